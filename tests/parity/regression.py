"""scikit-learn's LogisticRegression(solver="lbfgs"), to its minimum and as released, and few-shot
classifiers on given draws."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from generate import rounded, write


def drawn(generator, classes, rows, way):
    x = rounded(torch.randn(rows, 12, generator=generator, dtype=torch.float64))
    noise = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return x, (x @ way + noise).argmax(1)


def regression(generator, classes, c):
    way = torch.randn(12, classes, generator=generator, dtype=torch.float64)
    x, label = drawn(generator, classes, 700, way)
    test, test_label = drawn(generator, classes, 300, way)
    saved = {"input": x, "label": label, "test": test, "test_label": test_label}
    for name, tolerance in {"least": 1e-10, "released": 1e-4}.items():
        model = LogisticRegression(solver="lbfgs", C=c, tol=tolerance, max_iter=10_000)
        model.fit(x.numpy(), label.numpy())
        chance = model.predict_log_proba(x.numpy())[np.arange(len(x)), label.numpy()]
        objective = -c * chance.sum() + 0.5 * (model.coef_**2).sum()
        saved |= {
            f"{name}/weight": torch.tensor(model.coef_),
            f"{name}/bias": torch.tensor(model.intercept_),
            f"{name}/objective": torch.tensor([objective]),
            f"{name}/accuracy": torch.tensor([model.score(test.numpy(), test_label.numpy())]),
        }
    return {f"{classes}/{key}": value for key, value in saved.items()}


def few(generator, classes, k):
    """Classifiers of the k first images of each class, which lie one after another."""
    way = torch.randn(12, classes, generator=generator, dtype=torch.float64)
    label = torch.arange(classes).repeat_interleave(k)
    x = rounded(way.T[label] + torch.randn(len(label), 12, generator=generator, dtype=torch.float64))
    test_label = torch.arange(200) % classes
    test = way.T[test_label] + torch.randn(200, 12, generator=generator, dtype=torch.float64)
    test = rounded(test)
    unit = [it / it.norm(dim=1, keepdim=True) for it in (x, test)]
    logistic = LogisticRegression(solver="lbfgs", C=1.0, tol=1e-8, max_iter=10_000)
    logistic.fit(unit[0].numpy(), label.numpy())
    mean = NearestCentroid().fit(unit[0].numpy(), label.numpy())
    saved = {"input": x, "label": label, "test": test, "test_label": test_label}
    for name, model in {"logistic": logistic, "mean": mean}.items():
        saved[name] = torch.tensor([model.score(unit[1].numpy(), test_label.numpy())])
    return {f"few/{key}": value for key, value in saved.items()}


def main():
    generator = torch.Generator().manual_seed(11)
    saved = regression(generator, 2, 0.3) | regression(generator, 5, 10.0)
    write("regression", saved | few(generator, 6, 4))


if __name__ == "__main__":
    main()
