"""Times of whole training steps of balance on a card against PyTorch's, taking turns.

    tests/gpu/build bench --no-run --bench train
    python tests/gpu/versus/train.py target/cuda/release/deps/train-… [--pairs 7] [--only vit]

A step is forward, backward and the optimiser's, on one batch of made images that stay on the card.
PyTorch runs in bf16 by autocast, channels last, compiled, with a fused optimiser; its losses in f32,
as balance's. A turn is several steps and ends when the card has done them. For each case it prints
both medians, the ratio of PyTorch's to balance's (above 1 balance is faster), its range over pairs,
and the most that tensors took of the card's memory.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent.parent
# Steps of a turn.
CASES = {"vit_128": 40, "vit_1024": 10, "resnet18_1024": 10, "pairs_4096": 20, "pairs_32768": 2}


def spread(z, labels, views, temperature=0.5):
    """Half the SupCon loss on own positives and half the class-conditional InfoNCE loss."""
    import torch
    from torch.nn import functional as F

    z = F.normalize(z, dim=1)
    items = torch.arange(len(labels), device=z.device).repeat(views)
    labels = labels.repeat(views)
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    same = (labels[:, None] == labels) & ~own
    pair = (items[:, None] == items) & ~own
    logits = z @ z.T / temperature
    others = torch.logsumexp(logits.masked_fill(labels[:, None] == labels, -torch.inf), 1)
    positives = logits - torch.logaddexp(logits, others[:, None])
    sup = -(positives * same).sum(1) / same.sum(1)
    inside = torch.logsumexp(logits.masked_fill(~same, -torch.inf), 1)
    cnce = -((logits - inside[:, None]) * pair).sum(1) / pair.sum(1)
    return 0.5 * sup.mean() + 0.5 * cnce.mean()


def their_pairs(rows):
    """Value and gradient of the loss alone, as a function that gives the value."""
    import torch

    z = torch.randn(rows, 128, device="cuda", requires_grad=True)
    labels = torch.arange(rows // 2, device="cuda") % 10
    loss_of = torch.compile(spread)

    def step():
        z.grad = None
        loss = loss_of(z, labels, 2)
        loss.backward()
        return loss

    return step


def theirs(case):
    """One step of `case` in PyTorch, as a function that gives the loss."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    name, batch = case.rsplit("_", 1)
    batch = int(batch)
    if name == "pairs":
        return their_pairs(batch)
    sys.path.insert(0, str(TESTS / "parity"))
    from generate import Block, VisionTransformer
    from torchvision.models import resnet18

    class Fused(Block):
        def attention(self, x):
            rows, tokens, dim = x.shape
            parts = self.qkv(x).view(rows, tokens, 3, self.heads, dim // self.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v)
            return mixed.transpose(1, 2).reshape(rows, tokens, dim)

    images = torch.randn(2 * batch, 3, 32, 32, device="cuda")
    labels = torch.arange(batch, device="cuda") % 10
    if name == "resnet18":
        model = resnet18(num_classes=10)
        model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        model.fc = nn.Identity()
        model = model.cuda().to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    else:
        model = VisionTransformer(dim=256, depth=7, heads=8, side=32)
        model.blocks = nn.ModuleList(Fused(256, 8, 512) for _ in range(7))
        model = model.cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    @torch.compile
    def loss_of(images):
        with torch.autocast("cuda", torch.bfloat16):
            z = model(images)
        return spread(z.float(), labels, 2)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(images)
        loss.backward()
        optimizer.step()
        return loss

    return step


def serve(case, steps):
    """Takes a turn for every line of standard input, as the program of balance does."""
    import torch

    step = theirs(case)
    for _ in sys.stdin:
        begun = time.perf_counter()
        for _ in range(steps):
            loss = step()
        torch.cuda.synchronize()
        each = (time.perf_counter() - begun) / steps
        print(each, loss.item(), torch.cuda.max_memory_allocated(), flush=True)


class Side:
    """A program that takes a turn when it is asked to."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.program = subprocess.Popen([str(it) for it in command], text=True, **pipes)
        self.seconds, self.bytes = [], 0

    def ask(self):
        self.program.stdin.write("\n")
        self.program.stdin.flush()

    def hear(self):
        words = self.program.stdout.readline().split()
        if not words:
            raise RuntimeError("no answer")
        self.bytes = float(words[2])
        return float(words[0])

    def turn(self):
        self.ask()
        return self.hear()

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def begin(case, program):
    """Both sides of a case, at work on their first turn: PyTorch compiles meanwhile."""
    ours = Side([program, HERE / "train.exp", case, "--card", CASES[case]])
    other = Side([sys.executable, __file__, "--serve", case])
    for side in (ours, other):
        side.ask()
    return ours, other


def compare(case, sides, pairs):
    ours, other = sides
    for side in sides:
        side.turn()
    for _ in range(pairs):
        for side in sides:
            side.seconds.append(side.turn())
    mine, their = (statistics.median(side.seconds) for side in sides)
    ratios = sorted(b / a for a, b in zip(ours.seconds, other.seconds))
    mib = [side.bytes / 2**20 for side in sides]
    print(
        f"{case}: balance {mine * 1e3:.2f} ms, {mib[0]:.0f} MiB; PyTorch {their * 1e3:.2f} ms, "
        f"{mib[1]:.0f} MiB; {their / mine:.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )
    for side in sides:
        side.end()


def main(args):
    cases = [case for case in CASES if args.only in case]
    begun = {case: begin(case, args.program) for case in cases}
    # Until the last has compiled: it would take the card from the others.
    for case, sides in begun.items():
        try:
            for side in sides:
                side.hear()
        except RuntimeError as error:
            print(f"{case}: {error}", flush=True)
            cases.remove(case)
    for case in cases:
        compare(case, begun[case], args.pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, CASES[args.serve])
    else:
        main(args)
