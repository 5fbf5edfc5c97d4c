"""What PyTorch and scikit-learn make of groups: GroupDRO over some steps, logistic regression with
both penalties, and areas under ROC curves.

GroupDRO is the LossComputer of the released code (kohpangwei/group_DRO, loss.py) in the form that
George (HazyResearch/hidden-stratification) trains: logits of the weights, the adjustment added in
place, no normalisation of the adjusted loss.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from generate import rounded, write

STEPS, ITEMS, DIM, CLASSES = 6, 12, 5, 3
COUNTS, ADJUSTMENT, ETA = [100, 4, 30], 2.0, 0.05


class GroupDro:
    def __init__(self):
        self.counts = torch.tensor(COUNTS, dtype=torch.float64)
        self.logits = torch.zeros(len(COUNTS), dtype=torch.float64)

    def loss(self, losses, group):
        present = (group == torch.arange(len(COUNTS)).unsqueeze(1)).double()
        count = present.sum(1)
        denominator = count + (count == 0).double()
        group_loss = (present @ losses) / denominator
        group_loss = group_loss + ADJUSTMENT / torch.sqrt(self.counts)
        self.logits = self.logits + ETA * group_loss.detach()
        return group_loss @ torch.softmax(self.logits, dim=0)


def robust(generator):
    weight = rounded(torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64))
    bias = rounded(torch.randn(CLASSES, generator=generator, dtype=torch.float64))
    saved = {"dro/weight": weight, "dro/bias": bias}
    computer, columns = GroupDro(), {name: [] for name in COLUMNS}
    for step in range(STEPS):
        x = rounded(torch.randn(ITEMS, DIM, generator=generator, dtype=torch.float64))
        label = torch.randint(CLASSES, (ITEMS,), generator=generator)
        # The last step has no item of the second group.
        group = torch.randint(len(COUNTS), (ITEMS,), generator=generator)
        group = torch.where(group == 1, 2, group) if step == STEPS - 1 else group
        x.requires_grad_(True)
        w = weight.clone().requires_grad_(True)
        losses = F.cross_entropy(F.linear(x, w, bias), label, reduction="none")
        loss = computer.loss(losses, group)
        loss.backward()
        found = [x.detach(), label, group, loss.detach(), x.grad, w.grad, computer.logits.clone()]
        for name, value in zip(COLUMNS, found):
            columns[name].append(value)
    return saved | {f"dro/{name}": torch.stack(value) for name, value in columns.items()}


COLUMNS = ["input", "label", "group", "loss", "input_gradient", "weight_gradient", "logits"]


def regression(generator, classes, penalty):
    """scikit-learn's minimum of C Σ ln(1 + …) + penalty, the bias free of it."""
    x = rounded(torch.randn(90, 6, generator=generator, dtype=torch.float64))
    way = torch.randn(6, classes, generator=generator, dtype=torch.float64)
    label = (x @ way + torch.randn(90, classes, generator=generator, dtype=torch.float64)).argmax(1)
    ratio = {"l1": 1.0, "l2": 0.0}[penalty]
    model = LogisticRegression(l1_ratio=ratio, C=0.3, solver="saga", tol=1e-12, max_iter=200_000)
    model.fit(x.numpy(), label.numpy())
    chance = model.predict_log_proba(x.numpy())[np.arange(90), label.numpy()]
    norm = np.abs(model.coef_).sum() if penalty == "l1" else 0.5 * (model.coef_**2).sum()
    name = f"regression/{penalty}_{classes}"
    return {
        f"{name}/input": x,
        f"{name}/label": label,
        f"{name}/weight": torch.tensor(model.coef_),
        f"{name}/bias": torch.tensor(model.intercept_),
        f"{name}/objective": torch.tensor([-0.3 * chance.sum() + norm]),
    }


def areas(generator):
    """Areas under ROC curves of scores with ties."""
    score = torch.randint(12, (60,), generator=generator).double() / 4
    label = torch.randint(2, (60,), generator=generator)
    group = torch.where(label == 0, torch.randint(2, (60,), generator=generator), 2)
    area = [roc_auc_score(label, score)]
    for negative in (0, 1):
        kept = (group == negative) | (label == 1)
        area.append(roc_auc_score(label[kept], score[kept]))
    return {
        "area/score": score,
        "area/label": label,
        "area/group": group,
        "area/expected": torch.tensor(area, dtype=torch.float64),
    }


def main():
    generator = torch.Generator().manual_seed(5)
    saved = robust(generator)
    for classes in (2, 4):
        for penalty in ("l1", "l2"):
            saved |= regression(generator, classes, penalty)
    write("worst_group", saved | areas(generator))


if __name__ == "__main__":
    main()
