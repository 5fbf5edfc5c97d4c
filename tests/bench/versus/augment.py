"""Augmented views a second of balance against torchvision's v2, taking turns, on one thread each.

    cargo bench --no-run --bench augment
    python tests/bench/versus/augment.py target/release/deps/augment-… [--pairs 7] [--only color]

Every image of a batch of 128 has two views, each with its own draw: SimCLR's on 32 x 32 x 3
("color"), and those of experiments/fashion.exp on 28 x 28 x 1 ("gray"). Beside balance's one pass
stand its own transforms, one after the other without that pass, and torchvision three times: on tensors of bytes, on images of Pillow, and on the whole batch at once, which is quick
but draws once for all images, so that it does less than is asked.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {"color": (32, 3), "gray": (28, 1)}
WAYS = ["tensors", "Pillow", "one draw a batch"]
BATCH, BATCHES = 128, 4


def made(case):
    """Images of smooth noise, as bytes, channels last."""
    side, channels = CASES[case]
    draw = np.random.default_rng(0)
    coarse = draw.uniform(0, 255, (2048, side // 4, side // 4, channels))
    fine = coarse.repeat(4, 1).repeat(4, 2) + draw.normal(0, 12, (2048, side, side, channels))
    images = fine.clip(0, 255).astype(np.uint8)
    return images if channels == 3 else images[..., 0]


def theirs(case, way):
    """A function that makes the views of a batch."""
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    side, channels = CASES[case]
    if case == "color":
        jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
        steps = [
            v2.RandomResizedCrop(side, scale=(0.2, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([jitter], p=0.8),
            v2.RandomGrayscale(0.2),
        ]
    else:
        steps = [v2.RandomResizedCrop(side, scale=(0.5, 1.0)), v2.RandomHorizontalFlip()]
    steps += [v2.ToImage()] if way == "Pillow" else []
    steps += [v2.ToDtype(torch.float32, scale=True)]
    steps += [v2.Normalize([0.5] * channels, [0.25] * channels)]
    transform = v2.Compose(steps)
    images = made(case)
    if way == "Pillow":
        images = [Image.fromarray(image) for image in images]
    else:
        images = torch.from_numpy(images.reshape(-1, side, side, channels))
        images = images.permute(0, 3, 1, 2).contiguous()
    items = [int(item) for item in torch.randperm(len(images))]
    at = 0

    def batch():
        nonlocal at
        drawn = [items[(at + item) % len(items)] for item in range(BATCH)]
        at += BATCH
        if way == "one draw a batch":
            return torch.cat([transform(images[drawn]) for _ in range(2)])
        return torch.stack([transform(images[item]) for _ in range(2) for item in drawn])

    return batch


def serve(case, way):
    """Makes batches for every line of standard input, as the program of balance does."""
    batch = theirs(case, way)
    for _ in sys.stdin:
        begun = time.perf_counter()
        rows = sum(len(batch()) for _ in range(BATCHES))
        print(time.perf_counter() - begun, rows, flush=True)


class Side:
    """A program that makes batches when it is asked to."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        single = {**os.environ, "RAYON_NUM_THREADS": "1"}
        self.program = subprocess.Popen(command, text=True, env=single, **pipes)
        self.rates = []

    def turn(self):
        """Views a second."""
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        seconds, rows = self.program.stdout.readline().split()
        return int(rows) / float(seconds)

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def compare(case, program, pairs):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        images = made(case)
        labels = np.arange(len(images)) % 10
        np.savez(folder / f"{case}.npz", images=images, labels=labels)
        (folder / "augment.exp").write_text((HERE / "augment.exp").read_text())
        ours = Side([program, str(folder / "augment.exp"), case, str(BATCHES)])
        alone = Side([program, str(folder / "augment.exp"), case, str(BATCHES), "plain"])
        sides = [Side([sys.executable, __file__, "--serve", case, "--way", it]) for it in WAYS]
        sides.insert(0, alone)
        for side in (ours, *sides):
            side.turn()
            side.turn()
        for _ in range(pairs):
            for side in (ours, *sides):
                side.rates.append(side.turn())
        mine = statistics.median(ours.rates)
        print(f"{case}: balance {mine:.0f} views/s")
        for way, side in zip(["one transform after the other", *WAYS], sides):
            other = statistics.median(side.rates)
            ratios = sorted(a / b for a, b in zip(ours.rates, side.rates))
            spread = f"({ratios[0]:.3g} to {ratios[-1]:.3g})"
            print(f"  {way}: {other:.0f} views/s, balance makes {mine / other:.3g} x {spread}")
        for side in (ours, *sides):
            side.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve")
    parser.add_argument("--way", default=WAYS[0])
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.way)
    else:
        for case in CASES:
            if args.only in case:
                compare(case, args.program, args.pairs)
