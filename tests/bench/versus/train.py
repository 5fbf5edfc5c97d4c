"""Times of whole training steps of balance against PyTorch's, taking turns.

    cargo bench --no-run --bench train
    python tests/bench/versus/train.py target/release/deps/train-… [--pairs 7] [--only vit]
    python tests/bench/versus/train.py target/release/deps/train-… --growth

A step is forward, backward and the optimiser's, on one batch of made images, after a pause. Both
have as many threads. For each case it prints both medians, the ratio of the medians, the range of the ratios of
pairs, and both peak memories; PyTorch stands twice: as it comes, and with channels last. Behind
`--growth` are the times and memories of SupCon alone, in balance, over the number of embeddings.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
CASES = ["resnet18_128", "resnet18_32", "vit_128", "thanos_vit_128", "mlp_512"]
CASES += ["supcon_512", "supcon_2048", "spread_loop_128"]


def spread(z, labels, views, temperature=0.5):
    """Half the SupCon loss on own positives and half the class-conditional InfoNCE loss."""
    import torch
    from torch.nn import functional as F

    z = F.normalize(z, dim=1)
    items = torch.arange(len(labels)).repeat(views)
    labels = labels.repeat(views)
    own = torch.eye(len(z), dtype=torch.bool)
    same = (labels[:, None] == labels) & ~own
    pair = (items[:, None] == items) & ~own
    logits = z @ z.T / temperature
    others = torch.logsumexp(logits.masked_fill(labels[:, None] == labels, -torch.inf), 1)
    positives = logits - torch.logaddexp(logits, others[:, None])
    sup = -(positives * same).sum(1) / same.sum(1)
    inside = torch.logsumexp(logits.masked_fill(~same, -torch.inf), 1)
    cnce = -((logits - inside[:, None]) * pair).sum(1) / pair.sum(1)
    return 0.5 * sup.mean() + 0.5 * cnce.mean()


def supcon(z, labels, temperature=0.5):
    """SupCon with the mean over positives outside of the logarithm (Khosla et al., 2020)."""
    import torch
    from torch.nn import functional as F

    z = F.normalize(z, dim=1)
    own = torch.eye(len(z), dtype=torch.bool)
    same = (labels[:, None] == labels) & ~own
    logits = z @ z.T / temperature
    logs = logits - torch.logsumexp(logits.masked_fill(own, -torch.inf), 1, keepdim=True)
    return -((logs * same).sum(1) / same.sum(1)).mean()


def spread_loop(z, labels, temperature=0.5):
    """`spread` as the paper's users ran it: a loop over the batch builds lists of indices."""
    import torch
    from torch.nn import functional as F

    z = F.normalize(z, dim=1)
    items = list(range(len(labels))) * 2
    labels = labels.tolist() * 2
    logits = z @ z.T / temperature
    sup, cnce = 0.0, 0.0
    for i in range(len(z)):
        positives = [j for j in range(len(z)) if labels[j] == labels[i] and j != i]
        negatives = [j for j in range(len(z)) if labels[j] != labels[i]]
        pair = next(j for j in positives if items[j] == items[i])
        near = logits[i, torch.tensor(positives)]
        far = torch.exp(logits[i, torch.tensor(negatives)]).sum()
        sup = sup - (near - torch.log(torch.exp(near) + far)).mean()
        cnce = cnce - (logits[i, pair] - torch.log(torch.exp(near).sum()))
    return (0.5 * sup + 0.5 * cnce) / len(z)


def their_loss(case):
    """Value and gradient of a loss alone, as a function that gives the value."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(2)
    name, rows = case.rsplit("_", 1)
    images = int(rows) // 2 if name == "supcon" else int(rows)
    z = torch.randn(2 * images, 128, requires_grad=True)
    labels = torch.arange(images) % 10

    def step():
        z.grad = None
        loss = supcon(z, labels.repeat(2)) if name == "supcon" else spread_loop(z, labels)
        loss.backward()
        return loss.item()

    return step


def theirs(case, is_tuned):
    """One step of `case` in PyTorch, as a function that gives the loss."""
    if case.startswith(("supcon", "spread_loop")):
        return their_loss(case)
    import torch
    from torch import nn
    from torch.nn import functional as F
    from torchvision.ops import MLP

    sys.path.insert(0, str(HERE.parent.parent / "parity"))
    from generate import Block, VisionTransformer
    from torchvision.models import resnet18

    class Fused(Block):
        def attention(self, x):
            rows, tokens, dim = x.shape
            parts = self.qkv(x).view(rows, tokens, 3, self.heads, dim // self.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v)
            return mixed.transpose(1, 2).reshape(rows, tokens, dim)

    torch.manual_seed(0)
    torch.set_num_threads(2)
    name, batch = case.rsplit("_", 1)
    batch, views, side, channels = int(batch), 1, 32, 3
    if name == "resnet18":
        body = resnet18(num_classes=10)
        body.conv1, body.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        head, body.fc = nn.Linear(512, 10), nn.Identity()
    elif name == "mlp":
        side, channels = 28, 1
        body = nn.Sequential(nn.Flatten(), MLP(784, [512, 512, 128]))
        head = nn.Linear(128, 10)
    else:
        dim = 256 if name == "thanos_vit" else 128
        body = VisionTransformer(dim=dim, depth=7, heads=8, side=32)
        body.blocks = nn.ModuleList(Fused(dim, 8, 2 * dim) for _ in range(7))
        head = nn.Linear(dim, 10)
        views = 2 if name == "thanos_vit" else 1
    images = torch.randn(views * batch, channels, side, side)
    if is_tuned and name == "resnet18":
        body = body.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    parameters = [*body.parameters(), *head.parameters()]
    if "vit" in name:
        optimizer = torch.optim.AdamW(parameters, lr=3e-4)
    else:
        optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        z = body(images)
        loss = F.cross_entropy(head(z), labels.repeat(views))
        if name == "thanos_vit":
            loss = loss + spread(z, labels, views)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def serve(case, is_tuned):
    """Takes a step for every line of standard input, as the program of balance does."""
    step = theirs(case, is_tuned)
    for _ in sys.stdin:
        begun = time.perf_counter()
        loss = step()
        print(time.perf_counter() - begun, loss, flush=True)


class Side:
    """A program that takes a step when it is asked to."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.program = subprocess.Popen(command, text=True, **pipes)
        self.seconds = []

    def step(self):
        # The threads of the other side spin for some milliseconds after its step.
        time.sleep(0.03)
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        return float(self.program.stdout.readline().split()[0])

    def memory(self):
        status = Path(f"/proc/{self.program.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def end(self):
        self.program.stdin.close()
        self.program.wait()


def compare(case, program, pairs):
    ours = Side([program, str(HERE / "train.exp"), case])
    plain = Side([sys.executable, __file__, "--serve", case])
    tuned = Side([sys.executable, __file__, "--serve", case, "--tuned"])
    sides = [ours, plain, tuned] if case.startswith("resnet") else [ours, plain]
    for side in sides:
        side.step()
        side.step()
    for _ in range(pairs):
        for side in sides:
            side.seconds.append(side.step())
    mine = statistics.median(ours.seconds)
    words = [f"{case}: balance {mine * 1e3:.1f} ms, {ours.memory():.0f} MiB"]
    for name, side in zip(("PyTorch", "channels last"), sides[1:]):
        other = statistics.median(side.seconds)
        ratios = sorted(a / b for a, b in zip(ours.seconds, side.seconds))
        words.append(
            f"{name} {other * 1e3:.1f} ms, {side.memory():.0f} MiB, "
            f"ratio {mine / other:.2g} ({ratios[0]:.2g} to {ratios[-1]:.2g})"
        )
    print("; ".join(words), flush=True)
    for side in (ours, plain, tuned):
        side.end()


def growth(program):
    """Value and gradient of SupCon from 512 to 16,384 embeddings of 128 numbers."""
    for rows in (512, 1024, 2048, 4096, 8192, 16384):
        side = Side([program, str(HERE / "train.exp"), f"supcon_{rows}"])
        side.step()
        seconds = statistics.median(side.step() for _ in range(7))
        pairs = f"{seconds * 1e9 / rows**2:.1f} ns a pair"
        print(f"{rows}: {seconds * 1e3:.1f} ms, {pairs}; {side.memory():.0f} MiB", flush=True)
        side.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--serve")
    parser.add_argument("--tuned", action="store_true")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.tuned)
    elif args.growth:
        growth(args.program)
    else:
        for case in CASES:
            if args.only in case:
                compare(case, args.program, args.pairs)
