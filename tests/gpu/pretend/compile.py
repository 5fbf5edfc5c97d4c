"""Compiles a file of CUDA kernels into a library that the make-believe driver loads:

    compile.py SOURCE LIBRARY [options of NVRTC, folders of headers as -I]

The source is preprocessed behind include/kernel.hpp; what C++ has no word for is rewritten; and a table of
the kernels goes at its end.
"""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KERNEL = r"__attribute__\(\(noinline, pretend_kernel\)\)"
SHARED = r"__attribute__\(\(used, pretend_shared\)\) thread_local"
FLAGS = ["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-march=x86-64-v3", "-w"]
# Of memory and numbers as nvcc sees them: types may lie over each other, integers wrap around.
FLAGS += ["-fno-strict-aliasing", "-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
FLAGS += ["-fno-exceptions", "-fno-threadsafe-statics"]
CHECKS = ["-fsanitize=alignment,bounds", "-fno-sanitize-recover=all"]


def run(command, text):
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def options(given):
    """Options for g++, and the generation of cards that is asked for."""
    kept = [it for it in given if it.startswith(("-D", "-I"))]
    found = re.search(r"(?:compute|sm)_(\d+)", " ".join(given))
    return kept + [f"-D__CUDA_ARCH__={int(found[1] if found else 90) * 10}"]


def rewritten(text):
    # Memory that a launch asks for is an array of no known length.
    text = re.sub(
        rf"extern\s+{SHARED}\s+(?:(?:alignas\s*\([^()]*\)|__attribute__\(\(aligned\([^()]*\)\)\))\s*)?"
        r"([^;\[\]]*?)(\w+)\s*\[\s*\]\s*;",
        r"\1* const \2 = (\1*)::pretend::hooks.shared;",
        text,
    )
    aligned = rf"({SHARED})\s+alignas\s*(\([^()]*\))"
    text = re.sub(aligned, r"\1 __attribute__((aligned\2))", text)
    # Used, so that what no kernel writes to is not taken for zeros.
    text = re.sub(SHARED, "__attribute__((used)) thread_local", text)
    return re.sub(rf'(extern\s+"C"\s+)?{KERNEL}', "__attribute__((noinline))", text)


def table(names):
    lines = []
    for name in names:
        caller = f"::pretend::Caller<decltype(&user::{name})>"
        lines.append(f'{{"{name}", {caller}::call<&user::{name}>, {caller}::parameters, {caller}::count}},')
    return (
        "\nstatic const ::pretend::Kernel pretend_kernels[] = {\n" + "\n".join(lines) + "\n};\n"
        'extern "C" __attribute__((visibility("default"))) const ::pretend::Module pretend_module = {'
        "&::pretend::place, &::pretend::hooks, &::pretend::touch, pretend_kernels, "
        f"{len(names)}}};\n"
    )


def main():
    source, library = sys.argv[1], pathlib.Path(sys.argv[2])
    code = pathlib.Path(source).read_text()
    whole = f'#include "kernel.hpp"\nnamespace user {{\n#line 1 "{source}"\n{code}\n}}\n'
    compiler = os.environ.get("CXX", "g++")
    flags = FLAGS + [f"-I{HERE}/include"] + options(sys.argv[3:])
    text = run([compiler, "-E", "-x", "c++", *flags, "-"], whole)
    bare = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    names = re.findall(rf'extern\s+"C"\s+{KERNEL}\s+void\s+(\w+)\s*\(', bare)
    text = rewritten(text) + table(names)
    made = library.with_suffix(f".{os.getpid()}.o")
    run([compiler, "-x", "c++", "-fpreprocessed", *FLAGS, *CHECKS, "-c", "-o", str(made), "-"], text)
    linked = library.with_suffix(f".{os.getpid()}.new")
    run([compiler, "-shared", "-Wl,-z,defs", "-o", str(linked), str(made), "-lm"], None)
    made.unlink()
    # Others may be at the same library.
    linked.rename(library)


main()
