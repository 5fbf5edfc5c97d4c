"""Writes the image files of this folder, and what Pillow and torchvision make of them.

Run with Pillow, NumPy and torchvision: python tests/data/folders/make.py
"""

from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Resize
from torchvision.transforms.functional import InterpolationMode

HERE = Path(__file__).parent


def picture(height: int, width: int, seed: int) -> Image.Image:
    """Smooth colours with a little noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
    waves = [np.sin(rows / 7), np.cos(columns / 5), np.sin((rows + columns) / 9)]
    values = 128 + 90 * np.stack(waves, -1) + noise
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def main() -> None:
    colors = picture(40, 56, 0)
    colors.save(HERE / "rgb.jpg", quality=90)
    colors.save(HERE / "progressive.jpg", quality=90, progressive=True)
    colors.convert("L").save(HERE / "grey.jpg", quality=90)
    colors.convert("CMYK").save(HERE / "cmyk.jpg", quality=90)
    colors.quantize(16).save(HERE / "palette.png")
    colors.convert("RGBA").save(HERE / "alpha.png")
    deep = (np.asarray(colors.convert("L")).astype(np.uint16) << 8) + 77
    Image.fromarray(deep).save(HERE / "deep.png")

    for name in ["rgb", "progressive", "grey"]:
        opened = Image.open(HERE / f"{name}.jpg").convert("RGB")
        opened.save(HERE / f"{name}.expected.png")
    colors.convert("L").save(HERE / "luma.expected.png")
    for side in [24, 64]:
        scaled = Resize(side, InterpolationMode.BILINEAR, antialias=True)(colors)
        CenterCrop(side)(scaled).save(HERE / f"fit_{side}.expected.png")
    colors.save(HERE / "rgb.png")

    images = np.random.default_rng(1).integers(0, 256, (12, 5, 4), dtype=np.uint8)
    labels = np.arange(12) % 3
    groups = np.arange(12, dtype=np.uint8) % 2
    np.savez(HERE / "plain.npz", images=images, labels=labels, groups=groups)
    np.savez_compressed(
        HERE / "parts.npz",
        x_train=images[:9],
        y_train=labels[:9],
        x_test=images[9:],
        y_test=labels[9:],
    )
    np.savez(HERE / "floats.npz", images=images / 255.0, labels=labels)
    three = np.zeros(3, int)
    np.savez(HERE / "empty.npz", images=np.zeros((0, 6, 6), "u1"), labels=np.zeros(0, int))
    np.savez(HERE / "thin.npz", images=np.zeros((3, 0, 6), "u1"), labels=three)
    by_rows = np.arange(60, dtype="u1").reshape(3, 4, 5)
    np.savez(HERE / "columns.npz", images=np.asfortranarray(by_rows), labels=three)
    objects = np.array([b"a", None, 3], dtype=object)
    np.savez(HERE / "objects.npz", images=objects, labels=three)


if __name__ == "__main__":
    main()
