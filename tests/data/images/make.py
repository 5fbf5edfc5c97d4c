"""Writes the files of this folder: tiny datasets in the published formats, by another hand.

python3 make.py (needs Pillow and the program tar). Prints the digests that the tests expect: the
SHA-256 of the decoded content, which is for each split the class bytes and then the pixels with
channels last.
"""

import gzip
import hashlib
import json
import struct
import subprocess
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent


def value(seed, image, y, x, channel):
    return (seed * 89 + image * 61 + y * 37 + x * 17 + channel * 101) % 256


def pixels(seed, image, height, width, channels):
    return bytes(
        value(seed, image, y, x, c)
        for y in range(height) for x in range(width) for c in range(channels)
    )


def planes(image, channels):
    return b"".join(image[c::channels] for c in range(channels))


def write(name, data):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def idx():
    """Training files raw, test files with gzip: 6 and 3 images of 3 x 4, classes below 10."""
    digest = hashlib.sha256()
    for seed, (split, count) in enumerate([("train", 6), ("t10k", 3)]):
        classes = bytes((3 * i + seed) % 10 for i in range(count))
        images = b"".join(pixels(seed, i, 3, 4, 1) for i in range(count))
        files = {
            "images-idx3-ubyte": struct.pack(">IIII", 0x803, count, 3, 4) + images,
            "labels-idx1-ubyte": struct.pack(">II", 0x801, count) + classes,
        }
        for name, data in files.items():
            zipped = split == "t10k"
            data = gzip.compress(data, mtime=0) if zipped else data
            write(f"idx/{split}-{name}{'.gz' if zipped else ''}", data)
        digest.update(classes + images)
    print("idx", digest.hexdigest())


def cifar10():
    """Six files of two images of 2 x 2 in colour, and the same as PNG sheets with class lists."""
    digest = hashlib.sha256()
    classes = {"train": [], "test": []}
    content = {"train": b"", "test": b""}
    for seed in range(6):
        split = "test" if seed == 5 else "train"
        stem = "test_batch" if seed == 5 else f"data_batch_{seed + 1}"
        images = [pixels(seed, i, 2, 2, 3) for i in range(2)]
        ids = [(seed * 2 + i) % 10 for i in range(2)]
        write(f"cifar10/{stem}.bin", b"".join(bytes([c]) + planes(p, 3) for c, p in zip(ids, images)))
        (HERE / "sheets").mkdir(exist_ok=True)
        Image.frombytes("RGB", (4, 2), b"".join(images)).save(HERE / "sheets" / f"{stem}.png")
        classes[split] += ids
        content[split] += b"".join(images)
    for split in classes:
        write(f"sheets/{split}_lables.json", json.dumps(classes[split]).encode())
        digest.update(bytes(classes[split]) + content[split])
    print("cifar10", digest.hexdigest())


def cifar100():
    """Two files of images of 2 x 2 in colour with superclasses 4, 1, 14, 8, 0 of classes 0 to 4."""
    digest = hashlib.sha256()
    coarse = [4, 1, 14, 8, 0]
    for seed, (split, count) in enumerate([("train", 4), ("test", 2)]):
        ids = [(i * 2 + seed) % 5 for i in range(count)]
        images = [pixels(seed, i, 2, 2, 3) for i in range(count)]
        records = [bytes([coarse[c], c]) + planes(p, 3) for c, p in zip(ids, images)]
        write(f"cifar-100-binary/{split}.bin", b"".join(records))
        digest.update(bytes(ids) + b"".join(images))
        print("cifar100", split, hashlib.sha256(b"".join(records)).hexdigest())
    print("cifar100", digest.hexdigest())
    for kind, option in [("gz", "z"), ("xz", "J")]:
        subprocess.run(
            ["tar", "--owner=0", "--group=0", "--mtime=@0", f"-c{option}f", f"cifar100.tar.{kind}",
             "cifar-100-binary"], cwd=HERE, check=True)


if __name__ == "__main__":
    idx()
    cifar10()
    cifar100()
