"""Writes the fixture of spectral normalisation that tests/it/spectral.rs compares balance with.

A linear layer under PyTorch's own `spectral_norm`, step by step, and the largest singular value of
convolutions written out as matrices, by NumPy.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from generate import rounded, write

STEPS = 4
# Kernel side, channels, filters, height, width, stride, padding.
CONVOLUTIONS = [
    (3, 1, 4, 8, 8, 1, 1),
    (3, 2, 3, 6, 5, 1, 1),
    (3, 3, 2, 7, 7, 2, 1),
    (1, 4, 3, 3, 4, 2, 0),
    (5, 2, 2, 6, 6, 1, 2),
]


def normal(generator, *shape):
    return rounded(torch.randn(shape, generator=generator, dtype=torch.float64))


def linear(generator):
    """The weights a layer uses and their gradients, over steps of gradient descent."""
    layer = nn.Linear(7, 5, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(normal(generator, 5, 7))
    layer = spectral_norm(layer)
    original = layer.parametrizations.weight.original
    norm = layer.parametrizations.weight[0]
    saved = {"linear/start": original.detach().clone(), "linear/right": norm._v.clone()}
    inputs, direction = normal(generator, 3, 7), normal(generator, 3, 5)
    saved |= {"linear/input": inputs, "linear/direction": direction}
    outputs, gradients, rights = [], [], []
    for _ in range(STEPS):
        original.grad = None
        output = layer(inputs)
        (output * direction).sum().backward()
        outputs.append(output.detach())
        gradients.append(original.grad.clone())
        rights.append(norm._v.clone())
        with torch.no_grad():
            original -= 0.1 * original.grad
    saved["linear/output"] = torch.stack(outputs)
    saved["linear/gradient"] = torch.stack(gradients)
    saved["linear/rights"] = torch.stack(rights)
    return saved


def convolution(generator, side, channels, filters, height, width, stride, padding):
    """A kernel with the largest singular value of the whole convolution."""
    weight = normal(generator, filters, channels, side, side)
    pixels = torch.eye(channels * height * width, dtype=torch.float64)
    images = pixels.reshape(-1, channels, height, width)
    rows = F.conv2d(images, weight, stride=stride, padding=padding).flatten(1)
    norm = np.linalg.svd(rows.numpy(), compute_uv=False)[0]
    return weight.permute(2, 3, 1, 0), torch.tensor([norm])


def main():
    generator = torch.Generator().manual_seed(41)
    torch.manual_seed(41)
    saved = linear(generator)
    for at, sizes in enumerate(CONVOLUTIONS):
        weight, norm = convolution(generator, *sizes)
        saved |= {f"conv{at}/weight": weight, f"conv{at}/norm": norm}
        saved[f"conv{at}/sizes"] = torch.tensor(sizes)
    write("spectral", saved)


if __name__ == "__main__":
    main()
