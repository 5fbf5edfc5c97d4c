"""Writes the fixtures of the encoders that generate.py does not know, in its way and with its tools.

Encoders that torchvision or timm have are theirs; the others are written as their papers' code is.
"""

import json

import numpy as np
import timm
import torch
from generate import HERE, VERSIONS, NarrowResNet, images, randomise, record
from safetensors.numpy import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F
from torchvision.models import vision_transformer
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import MLP

VERSIONS["timm"] = timm.__version__


class NarrowResNet50(ResNet):
    """torchvision's ResNet-50 with 2 channels instead of 64."""

    def __init__(self):
        super().__init__(Bottleneck, [3, 4, 6, 3])
        self.conv1 = nn.Conv2d(3, 2, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(2)
        self.fc = nn.Identity()

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = 2
        return super()._make_layer(block, planes // 32, blocks, stride, dilate)


def resnet50():
    model = NarrowResNet50()
    generator = randomise(model, 50)
    with torch.no_grad():
        # Branches of full size amplify a difference in rounding from block to block.
        for name, parameter in model.named_parameters():
            if name.endswith("bn3.weight"):
                parameter.copy_(parameter / 4)
    record("resnet50", model, images(generator, 4, 3, 33, 33), generator)
    lighten("resnet50", 200)


def resnet8_group():
    """Blocks with GroupNorm of three groups."""
    model = NarrowResNet([1, 1, 1, 1])
    model.layer4 = nn.Identity()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(3, child.num_features))
    generator = randomise(model, 80)
    record("resnet8_group", model, images(generator, 4, 3, 9, 9), generator)


class Cnn(nn.Module):
    def __init__(self, widths, out, norm):
        super().__init__()
        self.depth = len(widths)
        for index, (inner, outer) in enumerate(zip([3] + widths, widths)):
            setattr(self, f"conv{index + 1}", nn.Conv2d(inner, outer, 3, padding=1, bias=not norm))
            setattr(self, f"bn{index + 1}", nn.BatchNorm2d(outer) if norm else nn.Identity())
        self.out = nn.Linear(widths[-1], out)

    def forward(self, x):
        for index in range(1, self.depth + 1):
            x = F.relu(getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(x)))
            x = F.max_pool2d(x, 2)
        return self.out(x.mean((2, 3)))


def cnn():
    for name, norm in (("cnn", True), ("cnn_bias", False)):
        model = Cnn([4, 6], 5, norm)
        generator = randomise(model, 44)
        record(name, model, images(generator, 4, 3, 9, 11), generator)


class WideBlock(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.convShortcut = None
        if inner != outer:
            self.convShortcut = nn.Conv2d(inner, outer, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        skip = x if self.convShortcut is None else self.convShortcut(active)
        return self.conv2(F.relu(self.bn2(self.conv1(active)))) + skip


class WideStage(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.layer = nn.Sequential(WideBlock(inner, outer, stride))


class WideResNet(nn.Module):
    """WRN-10-1 with the names of the usual PyTorch code."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = WideStage(16, 16, 1)
        self.block2 = WideStage(16, 32, 2)
        self.block3 = WideStage(32, 64, 2)
        self.bn1 = nn.BatchNorm2d(64)

    def forward(self, x):
        x = self.conv1(x)
        for stage in (self.block1, self.block2, self.block3):
            x = stage.layer(x)
        return F.relu(self.bn1(x)).mean((2, 3))


def wide_resnet():
    """Its kernels are multiples of 1/1024."""
    model = WideResNet()
    generator = randomise(model, 101)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 4:
                parameter.copy_((parameter * 1024).round().clamp(-127, 127) / 1024)
    record("wide_resnet", model, images(generator, 4, 3, 8, 8), generator)
    lighten("wide_resnet", 2000)


def lighten(name, most):
    """Leaves out gradients of more numbers than `most`, stores that of the input in single
    precision, and kernels of multiples of 1/1024 as bytes."""
    path = HERE / f"{name}.safetensors"
    arrays = load_file(path)
    for key, array in list(arrays.items()):
        if key.startswith("gradient/") and array.size > most:
            del arrays[key]
        elif key == "gradient_of_input":
            arrays[key] = array.astype(np.float32)
        elif key.startswith("weight/") and array.ndim == 4 and np.all(array * 1024 % 1 == 0):
            arrays[key] = (array.astype(np.float64) * 1024 + 128).astype(np.uint8)
    save_file(arrays, path, metadata={"versions": json.dumps(VERSIONS)})


def vit_standard():
    model = VisionTransformer(
        img_size=8, patch_size=4, num_classes=0, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2
    )
    generator = randomise(model, 32)
    inputs = images(generator, 3, 3, 8, 8)
    record("vit_standard", model, inputs, generator)
    model.eval()
    difference = (as_in_torchvision(model)(inputs) - model(inputs)).abs().max().item()
    assert difference < 1e-13, f"torchvision's transformer differs by {difference}"


def as_in_torchvision(model):
    """torchvision's transformer with the weights of timm's."""
    twin = vision_transformer.VisionTransformer(8, 4, 2, 2, 16, 32).double()
    twin.heads = nn.Identity()
    names = {
        "cls_token": "class_token",
        "pos_embed": "encoder.pos_embedding",
        "patch_embed.proj": "conv_proj",
        "blocks.": "encoder.layers.encoder_layer_",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "attn.qkv.": "self_attention.in_proj_",
        "attn.proj": "self_attention.out_proj",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.3",
    }

    def renamed(name):
        if name.startswith("norm."):
            return f"encoder.ln.{name[5:]}"
        for old, new in names.items():
            name = name.replace(old, new)
        return name

    twin.load_state_dict({renamed(k): v for k, v in model.state_dict().items()})
    return twin.eval()


class Flat(MLP):
    """torchvision's multilayer perceptron on the flattened image."""

    def forward(self, x):
        return super().forward(x.flatten(1))


def mlp():
    model = Flat(3 * 4 * 5, [7, 6, 5])
    generator = randomise(model, 60)
    record("mlp", model, images(generator, 4, 3, 4, 5), generator)


if __name__ == "__main__":
    torch.manual_seed(0)
    for make in (resnet50, resnet8_group, cnn, wide_resnet, vit_standard, mlp):
        make()
