"""Checks that the make-believe card computes what is right, and refuses what is wrong.

    check.py FOLDER    as `build` printed it
"""

import ctypes
import pathlib
import struct
import sys

from ctypes import byref, c_char_p, c_float, c_int, c_longlong, c_size_t, c_uint64, c_void_p

FOLDER = pathlib.Path(sys.argv[1])
F32, IN_F32 = 0, 68
HERE = pathlib.Path(__file__).resolve().parent
card = ctypes.CDLL(str(FOLDER / "libcuda.so"))


def source():
    common = HERE.parents[3] / "src/kernel/card/common.cuh"
    return common.read_text() + "\n" + (HERE / "check.cu").read_text()


def module():
    program, size, found = c_void_p(), c_size_t(), c_void_p()
    assert card.nvrtcCreateProgram(byref(program), source().encode(), None, 0, None, None) == 0
    options = (c_char_p * 2)(b"-DHALF=1", b"--gpu-architecture=compute_90")
    if card.nvrtcCompileProgram(program, 2, options) != 0:
        log = ctypes.create_string_buffer(1 << 20)
        card.nvrtcGetProgramLog(program, log)
        sys.exit(log.value.decode())
    card.nvrtcGetPTXSize(program, byref(size))
    image = ctypes.create_string_buffer(size.value)
    card.nvrtcGetPTX(program, image)
    assert card.cuModuleLoadData(byref(found), image) == 0
    return found


def memory(bytes):
    at = c_uint64()
    assert card.cuMemAlloc_v2(byref(at), c_size_t(bytes)) == 0
    return at


def upload(numbers):
    data = struct.pack(f"{len(numbers)}f", *numbers)
    at = memory(len(data))
    assert card.cuMemcpyHtoD_v2(at, data, c_size_t(len(data))) == 0
    return at


def read(at, count, kind="f"):
    data = ctypes.create_string_buffer(count * 4)
    assert card.cuMemcpyDtoH_v2(data, at, c_size_t(count * 4)) == 0
    return list(struct.unpack(f"{count}{kind}", data.raw))


def launch(name, blocks, threads, shared, *arguments, stream=None):
    """Nothing, or what the card says is wrong."""
    function, text = c_void_p(), c_char_p()
    assert card.cuModuleGetFunction(byref(function), MODULE, name.encode()) == 0
    places = (c_void_p * len(arguments))(*[ctypes.addressof(it) for it in arguments])
    error = card.cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared, stream, places, None)
    if error == 0:
        return None
    card.cuGetErrorString(error, byref(text))
    return text.value.decode()


def right_results():
    rows, columns = 5, 1000
    numbers = [float((it * 7919) % 13 - 6) for it in range(rows * columns)]
    x, y = upload(numbers), memory(rows * 4)
    for threads in [32, 256, 1024]:
        assert launch("totals", rows, threads, threads * 4, x, y, c_int(columns)) is None
        assert read(y, rows) == [sum(numbers[it * columns : (it + 1) * columns]) for it in range(rows)]
    y = memory(32 * 4)
    assert launch("lanes", 1, 32, 0, y) is None
    below = [0] + list(range(31))
    assert read(y, 32, "i") == [(496 + 31 * (it % 2)) * 100 + below[it] for it in range(32)]
    y = memory(256 * 4)
    assert launch("some", 1, 256, 0, y, c_int(100)) is None
    assert read(y, 100) == [99.0 - it for it in range(100)]
    # 1.5 and 3 in bf16, in one word.
    half = memory(4)
    assert card.cuMemsetD32Async(half, 0x40403FC0, c_size_t(1), None) == 0
    assert launch("halves", 1, 2, 0, half, half) is None
    assert read(half, 1, "I") == [0x40C04040]


def wrong_numbers():
    y = memory(256 * 4)
    assert launch("unsynchronised", 1, 256, 0, y) is None
    assert read(y, 256) != [255.0 - it for it in range(256)]
    assert launch("unwritten", 1, 256, 0, y) is None
    assert all(it != it for it in read(y, 256) + read(memory(8), 2))


def refusals():
    y = memory(256 * 4)
    for name, blocks, threads, shared, why in [
        ("beyond", 2, 256, 0, "bytes after the end of 1024 bytes"),
        ("before", 1, 1, 0, "bytes around its memory"),
        ("unaligned", 1, 8, 0, "not aligned"),
        ("outside", 1, 32, 0, "an index beyond an array"),
        ("asked", 1, 32, 64, "beyond the shared memory"),
        ("asked", 1, 32, 49 * 1024, "more shared memory"),
        ("asked", 1, 2048, 0, "too many threads"),
        ("parted", 1, 128, 0, "different barriers"),
        ("lost", 1, 32, 0, "do not come together"),
    ]:
        said = launch(name, blocks, threads, shared, y)
        assert said and why in said, f"{name}: {said}"
    host = ctypes.create_string_buffer(8)
    assert "no address on the card" in launch("before", 1, 1, 0, c_uint64(ctypes.addressof(host)))
    assert card.cuMemFree_v2(y) == 0
    assert "freed" in launch("beyond", 1, 1, 0, y)
    assert card.cuMemFree_v2(y) != 0


def product(size, as_is, rows, scale=1.0, onto=0.0, batch=1):
    """Of small integers, by columns: what cuBLAS finds, and what is right."""
    m, n, k = size
    left = [float(it % 5 - 2) for it in range(m * k * batch)]
    right = [float(it % 7 - 3) for it in range(k * n * batch)]
    to = upload([1.0] * (m * n * batch))
    error = card.cublasGemmStridedBatchedEx(
        HANDLE, as_is[0], as_is[1], m, n, k, byref(c_float(scale)), upload(left), F32, rows[0], c_longlong(m * k),
        upload(right), F32, rows[1], c_longlong(k * n), byref(c_float(onto)), to, F32, m, c_longlong(m * n),
        batch, IN_F32, 0,
    )  # fmt: skip
    expected = [
        scale * sum(
            left[b * m * k + (t * m + i, i * k + t)[as_is[0]]] * right[b * k * n + (j * k + t, t * n + j)[as_is[1]]]
            for t in range(k)
        ) + onto
        for b in range(batch) for j in range(n) for i in range(m)
    ]  # fmt: skip
    return error, read(to, m * n * batch), expected


def products():
    m, n, k = 37, 6, 300
    for left in [0, 1]:
        for right in [0, 1]:
            rows = (k if left else m, n if right else k)
            error, found, expected = product((m, n, k), (left, right), rows, 2.0, 3.0, 2)
            assert error == 0 and found == expected
    assert product((m, n, k), (0, 0), (m - 1, k))[0] != 0


def graphs():
    """What a stream notes is done when the graph is launched, as often as it is, and not before."""
    stream, graph, whole, at = c_void_p(), c_void_p(), c_void_p(), c_uint64()
    x, y = upload([1.0, 2.0, 3.0]), upload([0.0])
    assert card.cuStreamCreate(byref(stream), 1) == 0
    assert card.cuStreamBeginCapture_v2(stream, 2) == 0
    assert launch("totals", 1, 32, 32 * 4, x, y, c_int(3), stream=stream) is None
    assert card.cuStreamSynchronize(stream) != 0 and card.cuCtxSynchronize() != 0
    assert card.cuMemAllocAsync(byref(at), c_size_t(4), stream) != 0
    assert card.cuStreamEndCapture(stream, byref(graph)) == 0
    assert card.cuStreamSynchronize(stream) == 0 and card.cuCtxSynchronize() == 0
    assert card.cuGraphInstantiateWithFlags(byref(whole), graph, c_uint64(0)) == 0
    assert read(y, 1) == [0.0]
    for numbers in [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]:
        data = struct.pack("3f", *numbers)
        assert card.cuMemcpyHtoD_v2(x, data, c_size_t(len(data))) == 0
        assert card.cuGraphLaunch(whole, stream) == 0
        assert read(y, 1) == [sum(numbers)]
    assert card.cuGraphExecDestroy(whole) == 0 and card.cuGraphDestroy(graph) == 0


assert card.cuInit(0) == 0
MODULE = module()
HANDLE = c_void_p()
assert card.cublasCreate_v2(byref(HANDLE)) == 0
right_results()
wrong_numbers()
refusals()
products()
graphs()
print("the make-believe card is as it should be")
