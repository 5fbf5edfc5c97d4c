"""Writes the fixtures that tests/it/parity.rs compares balance with.

Everything is computed by PyTorch in float64 from weights and inputs that float32 can hold, so that
the fixtures separate a difference in meaning from a difference in rounding.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, ResNet

HERE = Path(__file__).parent / "fixtures"
VERSIONS = {
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "numpy": np.__version__,
}
WIDTH = 3


def rounded(tensor):
    """The nearest numbers that float32 can hold."""
    return tensor.float().double()


def write(name, tensors):
    # Whatever float32 holds exactly is stored as float32.
    arrays = {}
    for key, tensor in sorted(tensors.items()):
        array = tensor.detach().double().contiguous().numpy()
        narrow = array.astype(np.float32)
        arrays[key] = narrow if np.array_equal(narrow, array) else array
    save_file(arrays, HERE / f"{name}.safetensors", metadata={"versions": json.dumps(VERSIONS)})


def randomise(model, seed):
    """Weights of He's scale, and statistics and scales that no initialiser would give."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    model.double()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if name.endswith("running_var"):
                value = 0.5 + normal(tensor.shape).abs()
            elif tensor.dim() == 1 and name.endswith("weight"):
                value = 1 + 0.2 * normal(tensor.shape)
            elif tensor.dim() >= 2:
                value = normal(tensor.shape) / math.sqrt(tensor[0].numel())
            else:
                value = 0.2 * normal(tensor.shape)
            tensor.copy_(rounded(value))
    return generator


def record(name, model, inputs, generator):
    """Weights, the output in both modes, and the gradient of a weighted sum of the output."""
    saved = {f"weight/{k}": v.clone() for k, v in model.state_dict().items()}
    saved = {k: v for k, v in saved.items() if not k.endswith("num_batches_tracked")}
    saved["input"] = inputs
    model.eval()
    saved["output/eval"] = model(inputs)
    model.train()
    inputs = inputs.clone().requires_grad_(True)
    output = model(inputs)
    direction = rounded(torch.randn(output.shape, generator=generator, dtype=torch.float64))
    (output * direction).sum().backward()
    saved["direction"] = direction
    saved["output/train"] = output
    saved["gradient_of_input"] = inputs.grad
    for key, parameter in model.named_parameters():
        saved[f"gradient/{key}"] = parameter.grad
    for key, tensor in model.state_dict().items():
        if "running" in key:
            saved[f"after/{key}"] = tensor
    write(name, {k: v.float() if k.startswith("gradient/") else v for k, v in saved.items()})


def images(generator, *shape):
    return rounded(torch.randn(shape, generator=generator, dtype=torch.float64))


class NarrowResNet(ResNet):
    """torchvision's ResNet with `WIDTH` channels instead of 64, and a stem for small images."""

    def __init__(self, layers):
        super().__init__(BasicBlock, layers)
        self.conv1 = nn.Conv2d(3, WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.maxpool = nn.Identity()
        self.fc = nn.Identity()

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = WIDTH
        return super()._make_layer(block, planes * WIDTH // 64, blocks, stride, dilate)


def resnet18():
    model = NarrowResNet([2, 2, 2, 2])
    generator = randomise(model, 18)
    record("resnet18", model, images(generator, 4, 3, 16, 16), generator)


def resnet8():
    """The ResNet of He et al. for CIFAR with one block in each of its three stages."""
    model = NarrowResNet([1, 1, 1, 1])
    model.layer4 = nn.Identity()
    generator = randomise(model, 8)
    record("resnet8", model, images(generator, 4, 3, 9, 9), generator)


class DecoderBlock(nn.Module):
    def __init__(self, inner, outer, scale):
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, outer, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = None
        if scale != 1 or inner != outer:
            conv = nn.Conv2d(inner, outer, 1, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outer))

    def resize(self, x):
        return x if self.scale == 1 else F.interpolate(x, scale_factor=self.scale)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(self.resize(out)))
        skip = x if self.shortcut is None else self.shortcut(self.resize(x))
        return F.relu(out + skip)


class Decoder(nn.Module):
    """The decoder of PyTorch Lightning Bolts' ResNet-18 autoencoder, with `WIDTH` for 64."""

    def __init__(self, dim, side):
        super().__init__()
        self.side = side
        self.linear = nn.Linear(dim, 8 * WIDTH * 16)
        widths = [8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH, WIDTH]
        for stage, scale in enumerate([2, 2, 2, 1]):
            inner, outer = widths[stage : stage + 2]
            blocks = DecoderBlock(inner, outer, scale), DecoderBlock(outer, outer, 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.conv1 = nn.Conv2d(WIDTH, 3, 3, padding=1, bias=False)

    def forward(self, x):
        x = self.linear(x).view(-1, 8 * WIDTH, 4, 4)
        x = F.interpolate(x, size=self.side // 8)
        return self.conv1(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


def decoder():
    model = Decoder(6, 16)
    generator = randomise(model, 33)
    record("decoder", model, images(generator, 6, 6), generator)


class Block(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def attention(self, x):
        rows, tokens, dim = x.shape
        parts = self.qkv(x).view(rows, tokens, 3, self.heads, dim // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (dim // self.heads) ** -0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(rows, tokens, dim)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    """The transformer of the released Thanos code without its dropouts."""

    def __init__(self, dim=16, depth=2, heads=2, side=8, patch=4, channels=3):
        super().__init__()
        self.patch = patch
        tokens = (side // patch) ** 2 + 1
        self.embed = nn.Linear(patch * patch * channels, dim)
        self.embed_norm = nn.LayerNorm(dim)
        self.cls = nn.Parameter(torch.zeros(1, dim))
        self.positions = nn.Parameter(torch.zeros(tokens + 2, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, 2 * dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        rows, channels, height, width = x.shape
        side = self.patch
        x = x.view(rows, channels, height // side, side, width // side, side)
        x = x.permute(0, 2, 4, 3, 5, 1).reshape(rows, -1, side * side * channels)
        x = self.embed_norm(self.embed(x))
        x = torch.cat([self.cls.expand(rows, 1, -1), x], dim=1)
        x = x + self.positions[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


def vit():
    model = VisionTransformer()
    generator = randomise(model, 31)
    record("vit", model, images(generator, 3, 3, 8, 8), generator)


OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {}),
    "adamw_set": (
        torch.optim.AdamW,
        {"weight_decay": 0.3, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    "sgd": (torch.optim.SGD, {}),
    "sgd_momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.05}),
    "sgd_nesterov": (
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ),
}


def optimizers(steps=12, rate=0.05):
    """Two variables under gradients drawn beforehand, and a cosine of `steps` steps."""
    generator = torch.Generator().manual_seed(5)
    shapes = {"a": (3, 5), "b": (7,)}
    start = {k: images(generator, *shape) for k, shape in shapes.items()}
    grads = {k: images(generator, steps, *shape) for k, shape in shapes.items()}
    saved = {f"start/{k}": v for k, v in start.items()}
    saved |= {f"gradient/{k}": v for k, v in grads.items()}
    for name, (make, options) in OPTIMIZERS.items():
        variables = {k: v.clone().requires_grad_(True) for k, v in start.items()}
        optimizer = make(variables.values(), lr=rate, **options)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        path = {k: [] for k in variables}
        for step in range(steps):
            for key, variable in variables.items():
                variable.grad = grads[key][step].clone()
            optimizer.step()
            schedule.step()
            for key, variable in variables.items():
                path[key].append(variable.detach().clone())
        saved |= {f"{name}/{k}": torch.stack(values) for k, values in path.items()}
    write("optimizers", saved)


def schedules():
    """The released curve, a period of 200 epochs over 600; and one of each other kind."""
    kinds = torch.optim.lr_scheduler

    def rates(epochs, kind, **options):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-4)
        schedule = kind(optimizer, **options)
        values = []
        for epoch in range(epochs):
            if epoch > 0:
                optimizer.step()
                schedule.step()
            values.append(schedule.get_last_lr()[0])
        return values

    curves = {
        "versions": VERSIONS,
        "rate": 3e-4,
        "released": rates(600, kinds.CosineAnnealingLR, T_max=100),
        "plain": rates(40, kinds.CosineAnnealingLR, T_max=40, eta_min=3e-5),
        "step": rates(30, kinds.MultiStepLR, milestones=[10, 25], gamma=0.2),
        "one_cycle": rates(50, kinds.OneCycleLR, max_lr=3e-4, total_steps=50),
    }
    (HERE / "schedules.json").write_text(json.dumps(curves) + "\n")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.manual_seed(0)
    for make in (resnet18, resnet8, decoder, vit, optimizers, schedules):
        make()
