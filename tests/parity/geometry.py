"""What NumPy says of the geometry of embeddings: writes fixtures/geometry.json.

Cases of rows with classes, and for each what `spectrum`, `collapse`, `alignment` and `cka` compute,
by the formulas of their papers in double precision and by decompositions that balance does not use
(SVD, pseudo-inverse, all pairs).
"""

import json
import pathlib

import numpy

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def rank(singular, more=0.0):
    total = singular.sum()
    if total == 0:
        return 0.0
    shares = singular / total + more
    shares = shares[shares > 0]
    return float(numpy.exp(-(shares * numpy.log(shares)).sum()))


def singular(rows, whole):
    values = numpy.linalg.svd(rows, compute_uv=False)
    values[values <= numpy.finfo(numpy.float32).eps * numpy.linalg.norm(whole)] = 0
    return values


def centred(rows):
    return rows - rows.mean(0)


def spectrum(rows, labels):
    each = [rank(singular(centred(rows[labels == c]), rows[labels == c])) for c in numpy.unique(labels)]
    return {
        "effective_rank": rank(singular(centred(rows), rows)),
        "rankme": rank(singular(rows, rows), 1e-7),
        "class_rank": float(numpy.mean(each)),
        "least_class_rank": min(each),
        "greatest_class_rank": max(each),
    }


def collapse(rows, labels, weights):
    classes = numpy.unique(labels)
    k = len(classes)
    means = numpy.stack([rows[labels == c].mean(0) for c in classes])
    variances = [((rows[labels == c] - m) ** 2).sum(1).mean() for c, m in zip(classes, means)]
    cdnv = [
        (variances[a] + variances[b]) / (2 * ((means[a] - means[b]) ** 2).sum())
        for a in range(k)
        for b in range(k)
        if a != b
    ]
    m = means - means.mean(0)
    off = rows - means[numpy.searchsorted(classes, labels)]
    within, between = off.T @ off / len(rows), m.T @ m / k
    norms = numpy.linalg.norm(m, axis=1)
    cosines = (m @ m.T / numpy.outer(norms, norms))[numpy.triu_indices(k, 1)]
    w = weights[classes]
    nearest = classes[((rows[:, None] - means) ** 2).sum(2).argmin(1)]
    return {
        "cdnv": float(numpy.mean(cdnv)),
        "nc1": float(numpy.trace(within @ numpy.linalg.pinv(between, rcond=1e-9)) / k),
        "nc2_norms": float(norms.std() / norms.mean()),
        "nc2_angles": float(cosines.std()),
        "nc2_simplex": float(numpy.abs(cosines + 1 / (k - 1)).mean()),
        "nc3": float(numpy.linalg.norm(w / numpy.linalg.norm(w) - m / numpy.linalg.norm(m)) ** 2),
        "nc4": float(((rows @ weights.T).argmax(1) == nearest).mean()),
        "nearest_mean_accuracy": float((nearest == labels).mean()),
    }


def uniformity(rows):
    unit = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    squares = ((unit[:, None] - unit) ** 2).sum(2)[numpy.triu_indices(len(rows), 1)]
    return {"uniformity": float(numpy.log(numpy.exp(-2 * squares).mean()))}


def cka(x, y):
    """By kernels of images with images, where balance has products of dimensions."""
    n = len(x)
    centre = numpy.eye(n) - 1 / n
    k, l = (centre @ (z @ z.T) @ centre for z in (x, y))
    return {"cka": float((k * l).sum() / (numpy.linalg.norm(k) * numpy.linalg.norm(l)))}


def case(draw, name, rows, labels, classes):
    rows = rows.astype(numpy.float32)
    weights = draw.standard_normal((classes, rows.shape[1])).astype(numpy.float32)
    # Another encoder's embedding, some of which is this one's.
    turn = draw.standard_normal((rows.shape[1], 5))
    other = (rows @ turn + draw.standard_normal((len(rows), 5))).astype(numpy.float32)
    wide = rows.astype(float)
    return {
        "name": name,
        "classes": classes,
        "rows": rows.tolist(),
        "labels": labels.tolist(),
        "weights": weights.tolist(),
        "other": other.tolist(),
        "expected": spectrum(wide, labels)
        | collapse(wide, labels, weights.astype(float))
        | uniformity(wide)
        | cka(wide, other.astype(float)),
    }


def cases():
    draw = numpy.random.default_rng(5)
    labels = draw.integers(0, 4, 120)
    means = 2 * draw.standard_normal((4, 6))
    yield case(draw, "spread", means[labels] + draw.standard_normal((120, 6)), labels, 4)
    # Fewer images than dimensions, in a class and in all.
    labels = numpy.repeat([0, 1, 2], [9, 5, 6])
    means = draw.standard_normal((3, 32))
    yield case(draw, "wide", means[labels] + 0.5 * draw.standard_normal((20, 32)), labels, 3)
    # All in three of eight dimensions.
    labels = draw.integers(0, 3, 60)
    flat = (draw.standard_normal((3, 3))[labels] + 0.3 * draw.standard_normal((60, 3))) @ draw.standard_normal((3, 8))
    yield case(draw, "flat", flat, labels, 3)
    # More classes than dimensions; one of them has one image, one none.
    labels = numpy.concatenate([draw.integers(0, 6, 70), [6]])
    means = draw.standard_normal((8, 4))
    yield case(draw, "crowded", means[labels] + 0.2 * draw.standard_normal((71, 4)), labels, 8)
    # Far from the origin, where a careless centring would cancel.
    labels = draw.integers(0, 2, 50)
    yield case(draw, "far", 100 + draw.standard_normal((2, 5))[labels] + 0.5 * draw.standard_normal((50, 5)), labels, 2)


if __name__ == "__main__":
    found = {"numpy": numpy.__version__, "cases": list(cases())}
    (FIXTURES / "geometry.json").write_text(json.dumps(found) + "\n")
