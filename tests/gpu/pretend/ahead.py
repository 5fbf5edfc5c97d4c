"""Compiles all kernels of the crate for the make-believe card, several at once, as its tests would one by one:

    ahead.py FOLDER    as `build` printed it
"""

import concurrent.futures
import ctypes
import os
import pathlib
import sys

CARD = pathlib.Path(__file__).resolve().parents[3] / "src/kernel/card"
library = ctypes.CDLL(str(pathlib.Path(sys.argv[1]) / "libnvrtc.so"))


def compiled(path, half):
    """What is wrong with a file. The text and its options are those of function.rs."""
    program = ctypes.c_void_p()
    parts = [*sorted(CARD.glob("*.cuh")), path]
    text = "\n".join(it.read_text() for it in parts)
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), None, 0, None, None)
    given = ["--gpu-architecture=compute_90", f"-DHALF={half}", "--std=c++17"]
    options = (ctypes.c_char_p * len(given))(*[it.encode() for it in given])
    if library.nvrtcCompileProgram(program, len(given), options) == 0:
        return None
    log = ctypes.create_string_buffer(1 << 20)
    library.nvrtcGetProgramLog(program, log)
    return f"{path.name}:\n{log.value.decode()}"


# Those that take longest go first.
paths = sorted(CARD.glob("*.cu"), key=lambda path: -path.stat().st_size)
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    found = [pool.submit(compiled, path, half) for path in paths for half in [1, 0]]
    wrong = [it.result() for it in found if it.result()]
print("\n".join(wrong), end="")
sys.exit(bool(wrong))
