"""Corruptions that draw nothing, as the code of CIFAR-10-C makes them (Hendrycks and Dietterich,
2019), by NumPy, SciPy, Pillow and colorsys."""

import colorsys
import json

import numpy as np
import PIL
import scipy
from PIL import Image
from scipy import ndimage

from generate import HERE

STRENGTHS = {
    "gaussian_blur": [0.4, 0.6, 0.7, 0.8, 1],
    "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    "brightness": [0.05, 0.1, 0.15, 0.2, 0.3],
    "contrast": [0.75, 0.5, 0.4, 0.3, 0.15],
    "saturate": [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
    "pixelate": [0.95, 0.9, 0.85, 0.75, 0.65],
}


def gaussian_blur(x, sigma):
    blur = lambda channel: ndimage.gaussian_filter(channel, sigma, mode="nearest", truncate=4.0)
    return np.stack([blur(x[..., d]) for d in range(x.shape[2])], axis=-1)


def defocus_blur(x, strength):
    radius, smooth = strength
    side = np.arange(-8, 9)
    across, down = np.meshgrid(side, side)
    disk = (across**2 + down**2 <= radius**2).astype(float)
    disk /= disk.sum()
    bell = np.exp(-0.5 * (np.arange(-1, 2) / smooth) ** 2)
    bell /= bell.sum()
    kernel = ndimage.correlate(disk, np.outer(bell, bell), mode="constant")
    # OpenCV's BORDER_REFLECT_101 is `mirror` here.
    blur = lambda channel: ndimage.correlate(channel, kernel, mode="mirror")
    return np.stack([blur(x[..., d]) for d in range(x.shape[2])], axis=-1)


def in_hsv(x, change):
    pixel = lambda rgb: colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*rgb)))
    return np.array([pixel(rgb) for rgb in x.reshape(-1, 3)]).reshape(x.shape)


def brightness(x, by):
    if x.shape[2] == 1:
        return x + by
    return in_hsv(x, lambda h, s, v: (h, s, min(v + by, 1)))


def saturate(x, by):
    return in_hsv(x, lambda h, s, v: (h, min(max(s * by[0] + by[1], 0), 1), v))


def contrast(x, share):
    means = x.mean(axis=(0, 1), keepdims=True)
    return (x - means) * share + means


def pixelate(x, share):
    height, width = x.shape[:2]
    image = Image.fromarray(np.uint8(np.round(x * 255)).squeeze())
    small = image.resize((int(width * share), int(height * share)), Image.BOX)
    large = np.array(small.resize((width, height), Image.BOX)).reshape(x.shape)
    return (large + 0.25) / 255


def corrupted(x, kind):
    change = globals()[kind]
    made = [np.clip(change(x / 255.0, c), 0, 1) * 255 for c in STRENGTHS[kind]]
    return [np.uint8(it).flatten().tolist() for it in made]


def picture(generator, shape):
    """A smooth picture with some grain, so that blurs and boxes have something to do."""
    grain = generator.uniform(size=shape)
    smooth = ndimage.gaussian_filter(grain, (2, 2, 0), mode="wrap")
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.uint8(255 * np.clip(0.75 * smooth + 0.25 * grain, 0, 1))


def main():
    generator = np.random.default_rng(3)
    images = []
    for shape in [(20, 23, 3), (8, 8, 1)]:
        x = picture(generator, shape)
        kinds = [kind for kind in STRENGTHS if kind != "saturate" or shape[2] == 3]
        height, width, channels = shape
        images.append({
            "height": height,
            "width": width,
            "channels": channels,
            "bytes": x.flatten().tolist(),
            "corrupted": {kind: corrupted(x, kind) for kind in kinds},
        })
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "pillow": PIL.__version__}
    text = json.dumps({"versions": versions, "images": images}, separators=(",", ":"))
    (HERE / "corruptions.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
