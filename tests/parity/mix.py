"""Writes the fixture of images mixed in a batch: what torchvision's MixUp and CutMix make of a batch
for given shares and boxes, the boxes that CutMix cuts for given draws, how its draws are
distributed, quantiles of the Beta distribution, and PyTorch's cross-entropy of the mixed labels.
"""

import json
import pathlib

import scipy
import scipy.stats
import torch
import torchvision
from torchvision.transforms import v2

ITEMS, CHANNELS, HEIGHT, WIDTH, CLASSES = 4, 2, 5, 7, 3
LABELS = [0, 2, 1, 2]
SHARES = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
DRAWS = 40_000


def last(images):
    return images.permute(0, 2, 3, 1).flatten().tolist()


def case(transform, images, params):
    """What the transform makes of images and labels where it draws `params`."""
    transform.make_params = lambda _inputs: params
    mixed, targets = transform(images, torch.tensor(LABELS))
    return {"images": last(mixed), "targets": targets.double().flatten().tolist()}


def entropy(targets, smoothing):
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(ITEMS, CLASSES, dtype=torch.float64, generator=generator)
    logits.requires_grad_()
    loss = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    loss.backward()
    return {
        "smoothing": smoothing,
        "logits": logits.flatten().tolist(),
        "value": loss.item(),
        "gradient": logits.grad.flatten().tolist(),
    }


def soft(own):
    hard = torch.nn.functional.one_hot(torch.tensor(LABELS), CLASSES).double()
    return own * hard + (1 - own) * hard.roll(1, 0)


def boxes(height, width, count):
    """Draws of CutMix, and the boxes that it makes of them."""
    drawn = []

    def randint(high, size):
        drawn.append(int(true_randint(high, size=size)))
        return torch.tensor(drawn[-1:])

    transform = v2.CutMix(alpha=1.0, num_classes=CLASSES)
    sample, shares = transform._dist.sample, []
    transform._dist.sample = lambda shape: shares.append(sample(shape)) or shares[-1]
    true_randint, torch.randint = torch.randint, randint
    found = [transform.make_params([torch.zeros(1, 1, height, width)]) for _ in range(count)]
    torch.randint = true_randint
    return [
        {
            "own": float(share),
            "column": drawn[2 * at],
            "row": drawn[2 * at + 1],
            "box": list(it["box"]),
            "adjusted": it["lam_adjusted"],
        }
        for at, (share, it) in enumerate(zip(shares, found))
    ]


def quantiles(rows):
    rows = torch.tensor(rows, dtype=torch.float64).T
    return [[float(torch.quantile(row, share)) for share in SHARES] for row in rows]


def main():
    torch.manual_seed(0)
    images = torch.randint(256, (ITEMS, CHANNELS, HEIGHT, WIDTH)) / 255
    mixup, cutmix = v2.MixUp(num_classes=CLASSES), v2.CutMix(num_classes=CLASSES)
    area = HEIGHT * WIDTH
    pasted = [(0, 0, 3, 2), (5, 1, 7, 5), (2, 2, 2, 2), (0, 0, WIDTH, HEIGHT)]
    cut = lambda box: 1 - (box[2] - box[0]) * (box[3] - box[1]) / area
    draws = boxes(9, 13, DRAWS)
    fixture = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "scipy": scipy.__version__,
        "shape": [HEIGHT, WIDTH, CHANNELS],
        "classes": CLASSES,
        "labels": LABELS,
        "images": last(images),
        "mixup": [
            {"own": own, **case(mixup, images, {"lam": own})} for own in [0.0, 0.3, 0.85, 1.0]
        ],
        "cutmix": [
            {"box": box, **case(cutmix, images, {"box": box, "lam_adjusted": cut(box)})}
            for box in pasted
        ],
        "boxes": {"height": 9, "width": 13, "cases": draws[:200]},
        "entropy": [
            {"own": own, **entropy(soft(own), smoothing)}
            for own in [0.3, 0.85]
            for smoothing in [0.0, 0.1]
        ],
        "shares": SHARES,
        "cutmix_draws": quantiles([[*it["box"], it["adjusted"]] for it in draws]),
        "beta": [
            {"alpha": alpha, "quantiles": [scipy.stats.beta.ppf(it, alpha, alpha) for it in SHARES]}
            for alpha in [0.05, 0.2, 0.5, 1.0, 4.0, 100.0]
        ],
    }
    path = pathlib.Path(__file__).parent / "fixtures" / "mix.json"
    path.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
