"""Writes the fixtures of the transforms: what torchvision makes of given images for given
parameters, and how torchvision's samplers draw parameters.

Each case has three references: the tensor backend in floating point, which balance follows to
rounding; the tensor backend on bytes; and Pillow, which most published code used. How many grey
levels the last two may differ is stated for each case, and checked here before it is written.
"""

import json
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from safetensors.numpy import save_file
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

HERE = Path(__file__).parent / "fixtures"
VERSIONS = {
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "pillow": PIL.__version__,
}
BILINEAR = InterpolationMode.BILINEAR
# Draws of each sampler, and the shares at which its distribution is compared.
DRAWS = 40_000
SHARES = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]


def picture(height, width, channels, seed):
    """Smooth colours with some noise and a hard edge, as bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        phase = rng.uniform(0, 6.28, 2)
        wave = np.sin(x * (0.3 + 0.1 * channel) + phase[0]) * np.cos(y * 0.25 + phase[1])
        planes.append(128 + 100 * wave + rng.normal(0, 12, wave.shape))
    image = np.stack(planes, -1)
    image[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, channels)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


IMAGES = {
    "color": picture(13, 18, 3, 1),
    "tall": picture(20, 12, 3, 2),
    "gray": picture(14, 14, 1, 3),
}

# name, image, operation, arguments, levels of the byte backend, levels of Pillow. None: the
# backend does not have the operation.
CASES = [
    ("hflip", "color", "hflip", [], 0, 0),
    ("vflip", "tall", "vflip", [], 0, 0),
    ("center_crop", "color", "center_crop", [8], 0, 0),
    ("center_crop_odd", "tall", "center_crop", [7], 0, 0),
    ("shift", "color", "shift", [3, -2], 0, 0),
    # Pillow rounds once between the two directions.
    ("enlarged", "color", "resized_crop", [2, 3, 7, 9, 13, 18], 1, 1),
    ("enlarged_gray", "gray", "resized_crop", [0, 5, 9, 6, 14, 14], 1, 1),
    ("shrunk", "tall", "resized_crop", [1, 0, 17, 11, 6, 6], 1, 1),
    ("one_way_each", "color", "resized_crop", [0, 0, 13, 8, 9, 15], 1, 1),
    ("whole", "color", "resized_crop", [0, 0, 13, 18, 13, 18], 0, 0),
    ("resize_down", "tall", "resize", [7], 1, 1),
    ("resize_up", "color", "resize", [31], 1, 1),
    ("resize_square", "color", "resize_square", [9], 1, 1),
    # Bytes are cut off after each change, where floating point keeps the fraction.
    ("brighter", "color", "jitter", ["brightness", 1.3], 1, 1),
    ("darker_gray", "gray", "jitter", ["brightness", 0.55], 1, 1),
    ("black", "color", "jitter", ["brightness", 0.0], 0, 0),
    ("contrast", "color", "jitter", ["contrast", 1.4], 1, 1),
    ("flatter_gray", "gray", "jitter", ["contrast", 0.6], 1, 1),
    ("flat", "tall", "jitter", ["contrast", 0.0], 2, 1),
    ("saturated", "color", "jitter", ["saturation", 1.7], 1, 2),
    ("paler", "color", "jitter", ["saturation", 0.3], 2, 2),
    # Pillow keeps hue, saturation and value in a byte each.
    ("hue", "color", "jitter", ["hue", 0.1], 1, 8),
    ("hue_back", "tall", "jitter", ["hue", -0.37], 1, 5),
    ("hue_half", "color", "jitter", ["hue", 0.5], 1, 13),
    (
        "jitter",
        "color",
        "jitter",
        ["hue", -0.08, "contrast", 1.25, "brightness", 0.8, "saturation", 1.3],
        4,
        8,
    ),
    (
        "jitter_other_order",
        "color",
        "jitter",
        ["saturation", 0.7, "brightness", 1.2, "contrast", 0.9, "hue", 0.1],
        4,
        8,
    ),
    ("grayscale", "color", "grayscale", [3], 1, 1),
    ("to_gray", "color", "grayscale", [1], 1, 1),
    ("to_gray_of_gray", "gray", "grayscale", [1], 0, 0),
    ("solarize", "color", "solarize", [128], 0, 0),
    ("solarize_dark", "gray", "solarize", [40], 0, 0),
    # Within the image; at its border Pillow takes the nearest pixel, not a share of zero.
    ("rotate", "color", "rotate", [15.0], 1, 1),
    ("rotate_back", "gray", "rotate", [-8.5], 1, 1),
    ("rotate_half", "tall", "rotate", [180.0], 1, 1),
    ("affine", "color", "affine", [12.0, 2.0, -1.0, 1.15, 0.0, 0.0], 1, 1),
    ("affine_sheared", "tall", "affine", [-7.0, 0.0, 3.0, 0.9, 9.0, 0.0], 1, 1),
    ("affine_both", "gray", "affine", [5.0, -1.0, 1.0, 1.0, -6.0, 4.0], 1, 1),
    ("blur", "color", "blur", [3, 0.8], 1, 1),
    ("blur_wide", "tall", "blur", [9, 2.0], 1, 1),
    ("blur_gray", "gray", "blur", [5, 0.1], 1, 1),
    ("imagenet", "color", "normalize", [], None, None),
]

CHANGES = {
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
}


def apply(image, operation, args):
    """The operation on a tensor or a Pillow image; brightness up to 1 in floating point."""
    is_float = isinstance(image, torch.Tensor) and image.is_floating_point()
    match operation:
        case "hflip":
            return F.hflip(image)
        case "vflip":
            return F.vflip(image)
        case "center_crop":
            return F.center_crop(image, args)
        case "shift":
            return F.affine(image, 0, args, 1, [0, 0])
        case "resized_crop":
            return F.resized_crop(image, *args[:4], args[4:], BILINEAR, antialias=True)
        case "resize":
            return F.resize(image, args, BILINEAR, antialias=True)
        case "resize_square":
            return F.resize(image, args * 2, BILINEAR, antialias=True)
        case "jitter":
            for change, factor in zip(args[::2], args[1::2]):
                image = CHANGES[change](image, factor)
            return image
        case "grayscale":
            return F.rgb_to_grayscale(image, args[0])
        case "solarize":
            return F.solarize(image, args[0] / 255 if is_float else args[0])
        case "rotate":
            return F.rotate(image, args[0], BILINEAR)
        case "affine":
            return F.affine(image, args[0], args[1:3], args[3], args[4:], BILINEAR)
        case "blur":
            return F.gaussian_blur(image, args[:1] * 2, args[1:] * 2)
        case "normalize":
            return F.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    raise ValueError(operation)


def last(tensor):
    """Channels last."""
    return tensor.permute(1, 2, 0).contiguous().numpy()


def levels(expected, found, inside):
    return np.abs(expected * 255.0 - found.astype(float))[inside].max()


PROBLEMS = []


def check(worst, allowed, problem):
    if worst > allowed + 1e-2:
        PROBLEMS.append(problem)


def case(name, key, operation, args, of_bytes, of_pillow):
    image = IMAGES[key]
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    # ToTensor's numbers.
    exact = last(apply(tensor.float() / 255, operation, args))
    written = {f"{name}/float": exact.astype(np.float32)}
    inside = np.ones(exact.shape, bool)
    if operation in ("rotate", "affine"):
        whole = last(apply(torch.ones(tensor.shape), operation, args))
        inside = whole > 0.9999
        written[f"{name}/inside"] = inside.astype(np.uint8)
    if of_bytes is not None:
        found = last(apply(tensor, operation, args))
        worst = levels(exact, found, np.ones(exact.shape, bool))
        check(worst, of_bytes, f"{name}: {worst} levels from bytes")
        written[f"{name}/bytes"] = found
    if of_pillow is not None:
        pillow = Image.fromarray(image if image.shape[2] == 3 else image[..., 0])
        found = np.asarray(apply(pillow, operation, args))
        found = found if found.ndim == 3 else found[..., None]
        worst = levels(exact, found, inside)
        check(worst, of_pillow, f"{name}: {worst} levels from Pillow")
        written[f"{name}/pillow"] = found
    return written


def quantiles(draws):
    """Of each column."""
    return np.quantile(np.asarray(draws, float), SHARES, axis=0).T.tolist()


def samplers():
    """Quantiles of what torchvision draws, for a wide and for a square image."""
    torch.manual_seed(7)
    wide = torch.zeros(3, 40, 100)
    square = torch.zeros(3, 64, 64)

    def crops(image, scale, ratio):
        def draw():
            top, left, height, width = T.RandomResizedCrop.get_params(image, scale, ratio)
            return [top, left, height, width]

        return quantiles([draw() for _ in range(DRAWS)])

    def jitters():
        draws = []
        jitter = T.ColorJitter(0.4, 0.8, 1.5, 0.1)
        for _ in range(DRAWS):
            order, *factors = T.ColorJitter.get_params(
                jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
            )
            draws.append([*factors, *order.tolist()])
        return quantiles(draws)

    def affines():
        draws = []
        for _ in range(DRAWS):
            angle, moved, scale, shear = T.RandomAffine.get_params(
                [-30.0, 30.0], [0.2, 0.2], [0.8, 1.3], [-9.0, 9.0], [100, 40]
            )
            draws.append([angle, *moved, scale, *shear])
        return quantiles(draws)

    def blurs():
        blur = T.GaussianBlur(3, (0.1, 2.0))
        return quantiles([[blur.get_params(*blur.sigma)] for _ in range(DRAWS)])

    return {
        "shares": SHARES,
        "resized_crop_square": crops(square, [0.2, 1.0], [3 / 4, 4 / 3]),
        # Most draws do not fit, and some of ten do not either.
        "resized_crop_wide": crops(wide, [0.6, 1.0], [3 / 4, 4 / 3]),
        "color_jitter": jitters(),
        "affine": affines(),
        "gaussian_blur": blurs(),
    }


def main():
    tensors = {f"image/{name}": image for name, image in IMAGES.items()}
    listed = []
    for it in CASES:
        tensors.update(case(*it))
        name, image, operation, args, of_bytes, of_pillow = it
        listed.append(
            {
                "name": name,
                "image": image,
                "operation": operation,
                "args": args,
                "bytes": of_bytes,
                "pillow": of_pillow,
            }
        )
    assert not PROBLEMS, "\n".join(PROBLEMS)
    tensors = {key: np.ascontiguousarray(value) for key, value in sorted(tensors.items())}
    save_file(tensors, HERE / "augment.safetensors", metadata={"versions": json.dumps(VERSIONS)})
    text = {"versions": VERSIONS, "cases": listed, "samplers": samplers()}
    (HERE / "augment.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
