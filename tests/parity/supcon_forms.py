"""Supervised contrastive losses as their libraries compute them, for `form=…` of `supcon`.

Written anew after the formulas of each library, in its own order of operations; double precision.
    python tests/parity/supcon_forms.py
"""

import json
import pathlib

import torch
from torch.nn.functional import normalize

ITEMS, VIEWS, DIM, TEMPERATURE = 7, 2, 5, 0.3
LABELS = [0, 1, 0, 2, 1, 0, 1]


def masks(labels):
    same = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool)
    return same & ~own, ~same, ~own


def sup_contrast(z, labels, t):
    """HobbitLong/SupContrast, contrast_mode all: the largest logit taken away, base temperature."""
    positives, _, others = masks(labels)
    logits = z @ z.T / t
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    log_prob = logits - (logits.exp() * others).sum(1, keepdim=True).log()
    count = positives.sum(1)
    count = torch.where(count < 1e-6, 1, count)
    mean = (positives * log_prob).sum(1) / count
    return (-(t / 0.07) * mean).mean()


def khosla_in(z, labels, t):
    """Equation 3 of Khosla et al., times the same factor."""
    positives, _, others = masks(labels)
    s = (z @ z.T / t).exp()
    ratio = s / (s * others).sum(1, keepdim=True)
    return -(t / 0.07) * ((ratio * positives).sum(1) / positives.sum(1)).log().mean()


def sincere(z, labels, t):
    """Feeney and Hughes: each positive against itself and the negatives."""
    positives, negatives, _ = masks(labels)
    logits = z @ z.T / t
    base = torch.logsumexp(logits.masked_fill(~negatives, float("-inf")), dim=1, keepdim=True)
    denominator = torch.logaddexp(logits, base.expand_as(logits))
    cost = (denominator - logits) * positives
    return (cost / positives.sum(1, keepdim=True)).sum() / len(z)


def metric_learning(z, labels, t):
    """PyTorch Metric Learning: the mean over anchors whose loss is above 0."""
    positives, negatives, _ = masks(labels)
    mat = z @ z.T / t
    kept = positives | negatives
    denominator = torch.logsumexp(mat.masked_fill(~kept, float("-inf")), dim=1, keepdim=True)
    losses = -(positives * (mat - denominator)).sum(1) / positives.sum(1)
    return losses[losses > 0].mean()


def solo_learn(z, labels, t):
    """solo-learn: the sum of positives over the sum of positives and negatives."""
    positives, negatives, _ = masks(labels)
    s = (z @ z.T / t).exp()
    pos, neg = (s * positives).sum(1), (s * negatives).sum(1)
    return -(pos / (pos + neg)).log().mean()


FORMS = {
    "thanos": sincere,
    "khosla_out": sup_contrast,
    "khosla_in": khosla_in,
    "sincere": sincere,
    "pml": metric_learning,
    "solo_learn": solo_learn,
}


def main():
    torch.manual_seed(0)
    rows = torch.randn(VIEWS * ITEMS, DIM, dtype=torch.float64) * 3
    labels = torch.tensor(LABELS * VIEWS)
    forms = {}
    for name, loss in FORMS.items():
        z = rows.clone().requires_grad_()
        value = loss(normalize(z, dim=1), labels, TEMPERATURE)
        value.backward()
        forms[name] = {"value": value.item(), "gradient": z.grad.flatten().tolist()}
    fixture = {
        "torch": torch.__version__,
        "views": VIEWS,
        "temperature": TEMPERATURE,
        "labels": LABELS,
        "embeddings": rows.tolist(),
        "forms": forms,
    }
    path = pathlib.Path(__file__).parent / "fixtures" / "supcon_forms.json"
    path.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
