"""Augmented views a second of balance against PyTorch, both on one card, taking turns.

    cargo bench --no-run --features cuda --bench augment
    python tests/gpu/versus/augment.py target/release/deps/augment-… [--pairs 7] [--batch 128]

Every image of a batch has two views, each with its own draw: SimCLR's on 32 x 32 x 3. On both sides
the images lie on the card as bytes, and what comes out are numbers in f32 there, channels last.
PyTorch draws the parameters of a whole batch on the card, reads crops by grid_sample, and changes
colours of all views at once in the order of torchvision's ColorJitter that each has drawn; all of it
is compiled by torch.compile ("compiled"), and once more recorded as a CUDA graph ("graph").
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
DESIGN = HERE.parent.parent / "bench" / "versus" / "augment.exp"
SIDE, IMAGES, BATCHES = 32, 2048, 200
WAYS = {"compiled": "default", "graph": "reduce-overhead"}
GRAY = (0.2989, 0.587, 0.114)


def made():
    """Images of smooth noise, as bytes, channels last."""
    draw = np.random.default_rng(0)
    coarse = draw.uniform(0, 255, (IMAGES, SIDE // 4, SIDE // 4, 3))
    fine = coarse.repeat(4, 1).repeat(4, 2) + draw.normal(0, 12, (IMAGES, SIDE, SIDE, 3))
    return fine.clip(0, 255).astype(np.uint8)


def uniform(count, low, high, device):
    import torch

    return low + (high - low) * torch.rand(count, device=device)


def crops(count, device):
    """Matrices of affine_grid for crops of RandomResizedCrop, mirrored half of the time: ten draws,
    of which the first that fits is taken, as torchvision does one by one."""
    import torch

    area = uniform((count, 10), 0.2, 1.0, device) * SIDE * SIDE
    ratio = torch.exp(uniform((count, 10), math.log(3 / 4), math.log(4 / 3), device))
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (heights >= 1) & (widths <= SIDE) & (heights <= SIDE)
    first = fits.float().argmax(1, keepdim=True)
    any_fits = fits.any(1)
    width = torch.where(any_fits, widths.gather(1, first)[:, 0], SIDE)
    height = torch.where(any_fits, heights.gather(1, first)[:, 0], SIDE)
    left = (torch.rand(count, device=device) * (SIDE - width + 1)).floor()
    top = (torch.rand(count, device=device) * (SIDE - height + 1)).floor()
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    matrices = torch.zeros(count, 2, 3, device=device)
    matrices[:, 0, 0] = mirror * width / SIDE
    matrices[:, 0, 2] = (2 * left + width) / SIDE - 1
    matrices[:, 1, 1] = height / SIDE
    matrices[:, 1, 2] = (2 * top + height) / SIDE - 1
    return matrices


def luminance(x):
    return (GRAY[0] * x[:, 0] + GRAY[1] * x[:, 1] + GRAY[2] * x[:, 2])[:, None]


def turned(x, turn):
    """Hues of all views, each turned by its own share of the circle."""
    import torch

    red, green, blue = x.unbind(1)
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    scale = torch.where(chroma > 0, 1 / chroma, 0.0)
    hue = torch.where(value == green, 2 + (blue - red) * scale, 4 + (red - green) * scale)
    hue = torch.where(value == red, (green - blue) * scale, hue) + 6 * turn
    places = [torch.remainder(hue + offset, 6.0) for offset in (5.0, 3.0, 1.0)]
    return torch.stack([value - chroma * torch.minimum(it, 4 - it).clamp(0, 1) for it in places], 1)


def jittered(x):
    """Brightness, contrast, saturation and hue, in the order that each view has drawn."""
    import torch

    count, device = len(x), x.device
    factor = [uniform((count, 1, 1, 1), 0.6, 1.4, device) for _ in range(3)]
    turn = uniform((count, 1, 1), -0.1, 0.1, device)
    order = torch.rand(count, 4, device=device).argsort(1)
    happens = torch.rand(count, 1, 1, 1, device=device) < 0.8
    y = x
    for place in range(4):
        which = order[:, place].view(-1, 1, 1, 1)
        gray = luminance(y)
        mean = gray.mean((2, 3), keepdim=True)
        by = torch.where(which == 0, factor[0], torch.where(which == 1, factor[1], factor[2]))
        towards = torch.where(which == 0, 0.0, torch.where(which == 1, mean, gray))
        blended = (y * by + (1 - by) * towards).clamp(0, 1)
        y = torch.where(which == 3, turned(y, turn), blended)
    return torch.where(happens, y, x)


def views(images, items, mean, scale):
    """Two views of each item, channels last in memory."""
    import torch
    from torch.nn import functional as F

    items = items.repeat(2)
    x = images[items].permute(0, 3, 1, 2).float() / 255
    grid = F.affine_grid(crops(len(x), x.device), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    x = jittered(x)
    colourless = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.2
    x = torch.where(colourless, luminance(x).expand_as(x), x)
    return ((x - mean) * scale).permute(0, 2, 3, 1).contiguous()


def serve(way, batch, batches):
    """Makes batches for every line of standard input, as the program of balance does."""
    import torch

    torch.manual_seed(0)
    is_card = torch.cuda.is_available()
    device = "cuda" if is_card else "cpu"
    wait = torch.cuda.synchronize if is_card else lambda: None
    images = torch.from_numpy(made()).to(device)
    floats = images.float() / 255
    mean = floats.mean((0, 1, 2)).view(1, 3, 1, 1)
    scale = 1 / floats.std((0, 1, 2)).view(1, 3, 1, 1)
    make = torch.compile(views, mode=WAYS[way]) if way in WAYS else views
    order, at = torch.randperm(IMAGES, device=device), 0
    for _ in sys.stdin:
        wait()
        begun, rows = time.perf_counter(), 0
        for _ in range(batches):
            if at + batch > IMAGES:
                order, at = torch.randperm(IMAGES, device=device), 0
            torch.compiler.cudagraph_mark_step_begin()
            rows += len(make(images, order[at : at + batch], mean, scale))
            at += batch
        wait()
        print(time.perf_counter() - begun, rows, flush=True)


class Side:
    """A program that makes batches when it is asked to."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.program = subprocess.Popen(command, text=True, env={**os.environ}, **pipes)
        self.rates = []

    def turn(self):
        """Views a second."""
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        if not line:
            sys.exit(f"a side has ended: {self.program.args}")
        seconds, rows = line.split()
        return int(rows) / float(seconds)

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def compare(args):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        np.savez(folder / "color.npz", images=made(), labels=np.arange(IMAGES) % 10)
        design = DESIGN.read_text().replace("batch = 128", f"batch = {args.batch}")
        (folder / "augment.exp").write_text(design)
        count = ["--batch", str(args.batch), "--batches", str(args.batches)]
        them = [[sys.executable, __file__, "--serve", way, *count] for way in args.ways]
        card = [] if args.cpu else ["--card"]
        us = [args.program, str(folder / "augment.exp"), "color", str(args.batches), *card]
        sides = [Side(command) for command in [us, *them]]
        for side in sides:
            for _ in range(3):
                side.turn()
        for _ in range(args.pairs):
            for side in sides:
                side.rates.append(side.turn())
        ours = sides[0]
        mine = statistics.median(ours.rates)
        print(f"batches of {args.batch}: balance {mine:.4g} views/s")
        for way, side in zip(args.ways, sides[1:]):
            other = statistics.median(side.rates)
            ratios = sorted(a / b for a, b in zip(ours.rates, side.rates))
            spread = f"({ratios[0]:.3g} to {ratios[-1]:.3g})"
            print(f"  {way}: {other:.4g} views/s, balance makes {mine / other:.3g} x {spread}")
        for side in sides:
            side.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--cpu", action="store_true", help="balance on the CPU, to try this script")
    parser.add_argument("--serve")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.batch, args.batches)
    else:
        compare(args)
