"""Training with its data loading: Thanos of experiments/fashion.exp against the same in PyTorch.

    balance data fetch fashion_mnist
    cargo bench --no-run --bench epoch
    python tests/bench/versus/epoch.py target/release/deps/epoch-… DATA [--pairs 7] [--steps 47]

DATA is the folder that holds `fashion_mnist`. Both take turns of so many steps of each of the two
trainings (an epoch of one has 94): images drawn anew in two views each, forward, backward and
optimiser, with checkpoints and logs on the side of balance. PyTorch stands twice: its DataLoader
in the training's process, and with two workers. Its threads wait without spinning, which on a
machine that does other things as well makes it more than twice as fast.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FILE = HERE.parent.parent.parent / "experiments" / "fashion.exp"
# The place of Thanos among the cells of the sweep, and its trainings.
CELL, STAGES = 3, ["contrast", "recon"]
CLASSES = [0, 1, 0, 1, 0, 2, 0, 2, 1, 2]


def views(data):
    """A DataLoader's dataset: two views of each of 12,000 images, and their class."""
    import numpy as np
    import torch
    from torchvision.transforms import v2

    def idx(name, head):
        path = Path(data) / "fashion_mnist" / name
        return torch.from_numpy(np.fromfile(path, np.uint8)[head:].copy())

    images = idx("train-images-idx3-ubyte", 16).view(-1, 1, 28, 28)[:12000]
    labels = torch.tensor(CLASSES)[idx("train-labels-idx1-ubyte", 8)[:12000].long()]
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(28, scale=(0.5, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.286], [0.353]),
        ]
    )

    class Views(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, at):
            return transform(images[at]), transform(images[at]), labels[at]

    return Views()


def encoder():
    """ResNet-8 of width 32 that begins at half the resolution."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock

    def block(inner, outer, stride):
        change = [nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)]
        shortcut = nn.Sequential(*change) if inner != outer else None
        return BasicBlock(inner, outer, stride, shortcut)

    stem = [nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True)]
    blocks = [block(32, 32, 1), block(32, 64, 2), block(64, 128, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def serve(stage, data, workers, steps):
    """Takes so many steps for every line of standard input, as the program of balance does."""
    import torch
    from torch import nn
    from torch.nn import functional as F
    from train import spread

    torch.manual_seed(0)
    torch.set_num_threads(2)
    loader = torch.utils.data.DataLoader(
        views(data), 128, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    body, head = encoder(), nn.Linear(128, 3)
    decoder = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 784))
    parts = [body, head, decoder] if stage == "recon" else [body, head]
    parameters = [parameter for part in parts for parameter in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16 * len(loader))

    def batches():
        while True:
            yield from loader

    source = batches()
    for _ in sys.stdin:
        begun = time.perf_counter()
        for _ in range(steps):
            first, second, labels = next(source)
            images = torch.cat([first, second])
            optimizer.zero_grad(set_to_none=True)
            z = body(images)
            loss = F.cross_entropy(head(z), labels.repeat(2))
            if stage == "recon":
                loss = loss + F.mse_loss(decoder(z), images.flatten(1))
            else:
                loss = loss + spread(z, labels, 2)
            loss.backward()
            optimizer.step()
            schedule.step()
            value = loss.item()
        print(time.perf_counter() - begun, value, flush=True)


class Side:
    """A program for each training, that takes steps when it is asked to."""

    def __init__(self, command):
        given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        given["env"] = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        self.programs = [subprocess.Popen(command(it), **given) for it in STAGES]
        self.seconds, self.said = [], []

    def turn(self):
        """Seconds that the steps of all trainings took together."""
        self.said = []
        for program in self.programs:
            program.stdin.write("\n")
            program.stdin.flush()
            self.said.append(program.stdout.readline().split())
        return sum(float(words[0]) for words in self.said)

    def end(self):
        for program in self.programs:
            program.stdin.close()
            program.wait()


def compare(program, data, pairs, steps):
    def ours(stage):
        return [program, str(FILE), data, "fashion", str(CELL), stage, str(steps)]

    def theirs(workers):
        command = [sys.executable, __file__, "", data, "--workers", str(workers)]
        return lambda stage: [*command, "--steps", str(steps), "--serve", stage]

    sides = [Side(ours), Side(theirs(0)), Side(theirs(2))]
    for side in sides:
        side.turn()
    for _ in range(pairs):
        for side in sides:
            side.seconds.append(side.turn())
    mine = statistics.median(sides[0].seconds)
    print(f"{steps} steps of each: balance {mine:.2f} s")
    for name, side in zip(("PyTorch", "PyTorch, 2 workers"), sides[1:]):
        other = statistics.median(side.seconds)
        ratios = sorted(a / b for a, b in zip(sides[0].seconds, side.seconds))
        spread = f"({ratios[0]:.2g} to {ratios[-1]:.2g})"
        print(f"  {name}: {other:.2f} s, ratio {mine / other:.2g} {spread}")
    print("losses:", [[words[1] for words in side.said] for side in sides])
    for side in sides:
        side.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=47)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--serve")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.data, args.workers, args.steps)
    else:
        compare(args.program, args.data, args.pairs, args.steps)
