"""Writes the fixture that tests/it/measure.rs compares src/measure with.

Clusters, mixtures, agreement and silhouettes are scikit-learn's, assignments SciPy's, the
calibration error that of the code of Guo et al. (2017), and retrieval a naive ranking in NumPy.
Given the same start, k-means and mixtures take the same steps, so nothing here is drawn twice.
"""

import pathlib
import warnings

import numpy as np
import scipy
import sklearn
import torch
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
    roc_auc_score,
    silhouette_samples,
)
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import (
    _compute_precision_cholesky,
    _estimate_gaussian_parameters,
)

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(20260101)
out = {}


def keep(name, value):
    value = np.asarray(value)
    if value.dtype == np.float32:
        out[name] = np.ascontiguousarray(value)
    elif value.dtype.kind in "iub":
        out[name] = np.ascontiguousarray(value.astype(np.int32))
    else:
        out[name] = np.ascontiguousarray(value.astype(np.float64))


def blobs(count, dim, clusters, spread, offset):
    centres = random.normal(size=(clusters, dim))
    labels = random.integers(clusters, size=count)
    points = centres[labels] + spread * random.normal(size=(count, dim)) + offset
    return points.astype(np.float32), labels


def kmeans(name, points, start, tolerance=1e-4):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = KMeans(len(start), init=start, n_init=1, tol=tolerance, algorithm="lloyd").fit(points)
    exact = ((points.astype(np.float64) - found.cluster_centers_[found.labels_]) ** 2).sum()
    keep(f"{name}.start", start)
    keep(f"{name}.labels", found.labels_)
    keep(f"{name}.centres", found.cluster_centers_)
    keep(f"{name}.inertia", [exact, found.inertia_])
    keep(f"{name}.steps", [found.n_iter_])


points, truth = blobs(600, 16, 5, 0.6, 0.0)
keep("kmeans.overlapping.points", points)
kmeans("kmeans.overlapping", points, points[:5].copy())
far, _ = blobs(300, 40, 6, 0.3, 50.0)
keep("kmeans.far_from_zero.points", far)
kmeans("kmeans.far_from_zero", far, far[:6].copy())
start = points[:5].copy()
start[2] += 1000.0
kmeans("kmeans.empty_cluster", points, start)
few, _ = blobs(30, 64, 3, 0.2, 0.0)
keep("kmeans.fewer_points_than_dimensions.points", few)
kmeans("kmeans.fewer_points_than_dimensions", few, few[:3].copy())


def mixture(name, points, labels, k, covariance):
    wide = points.astype(np.float64)
    shares = np.eye(k)[labels]
    sizes, means, covariances = _estimate_gaussian_parameters(wide, shares, 1e-6, covariance)
    roots = _compute_precision_cholesky(covariances, covariance)
    precisions = {
        "full": lambda: np.array([root @ root.T for root in roots]),
        "diag": lambda: roots**2,
        "spherical": lambda: roots**2,
    }[covariance]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = GaussianMixture(
            k,
            covariance_type=covariance,
            reg_covar=1e-6,
            weights_init=sizes / sizes.sum(),
            means_init=means,
            precisions_init=precisions,
        ).fit(wide)
    keep(f"{name}.labels", found.predict(wide))
    keep(f"{name}.log_likelihood", [found.score(wide)])
    keep(f"{name}.weights", found.weights_)
    keep(f"{name}.means", found.means_)


mixed, _ = blobs(400, 6, 3, 0.7, 1.0)
mixed[:, 1] += 0.8 * mixed[:, 0]
begin = (np.arange(400) * 7 // 5) % 3
keep("mixture.points", mixed)
keep("mixture.start", begin)
for covariance in ["full", "diag", "spherical"]:
    mixture(f"mixture.{covariance}", mixed, begin, 3, covariance)
keep("mixture_few.start", np.arange(30) % 3)
for covariance in ["full", "diag", "spherical"]:
    mixture(f"mixture_few.{covariance}", few, np.arange(30) % 3, 3, covariance)

pairs = {
    "chance": (random.integers(4, size=200), random.integers(6, size=200)),
    "near": (truth, np.where(random.random(600) < 0.2, random.integers(5, size=600), truth)),
    "renamed": (truth, (truth + 2) % 5),
    "one_cluster": (truth, np.zeros(600, int)),
    "one_each": (np.arange(50), np.arange(50) % 7),
    "both_one": (np.zeros(9, int), np.zeros(9, int)),
    "gaps": (truth * 3, truth // 2 * 5),
    "opposed": (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])),
    "many": (random.integers(90, size=2000), random.integers(80, size=2000)),
}
for name, (first, second) in pairs.items():
    keep(f"agreement.{name}.first", first)
    keep(f"agreement.{name}.second", second)
    scores = [normalized_mutual_info_score, adjusted_mutual_info_score, adjusted_rand_score]
    keep(f"agreement.{name}.scores", [score(first, second) for score in scores])

single = truth.copy()
single[single == 4] = 3
single[17] = 4
for name, labels in {"truth": truth, "halves": truth % 2, "single": single}.items():
    keep(f"silhouette.{name}.labels", labels)
    keep(f"silhouette.{name}.values", silhouette_samples(points.astype(np.float64), labels))

matrices = {
    "square": random.normal(size=(9, 9)),
    "wide": random.normal(size=(4, 11)),
    "tall": random.normal(size=(12, 5)),
    "counts": random.integers(40, size=(10, 10)).astype(float),
    "ties": random.integers(3, size=(8, 13)).astype(float),
}
for name, worth in matrices.items():
    rows, columns = linear_sum_assignment(worth, maximize=True)
    given = np.full(worth.shape[0], -1)
    given[rows] = columns
    keep(f"assignment.{name}.worth", worth)
    keep(f"assignment.{name}.given", given)
    keep(f"assignment.{name}.sum", [worth[rows, columns].sum()])


def guo(confidences, right, bins):
    """_ECELoss of github.com/gpleiss/temperature_scaling, in double precision."""
    confidences, right = torch.tensor(confidences), torch.tensor(right)
    borders = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    ece = torch.zeros(1, dtype=torch.float64)
    for lower, upper in zip(borders[:-1], borders[1:]):
        inside = confidences.gt(lower.item()) * confidences.le(upper.item())
        share = inside.double().mean()
        if share.item() > 0:
            accuracy = right[inside].double().mean()
            ece += torch.abs(confidences[inside].mean() - accuracy) * share
    return ece.item()


confidences = random.beta(4, 1.5, size=1000)
confidences[:4] = [1.0, 0.2, 0.4, 0.6]
right = random.random(1000) < confidences**2
keep("calibration.confidences", confidences)
keep("calibration.right", right)
keep("calibration.ece", [guo(confidences, right, bins) for bins in (1, 5, 10, 15, 100)])
coarse = np.round(confidences, 1)
keep("calibration.tied", coarse)
keep("calibration.auroc", [roc_auc_score(right, confidences), roc_auc_score(right, coarse)])


def retrieval(name, queries, labels, gallery, gallery_labels, own):
    similarity = queries.astype(np.float64) @ gallery.astype(np.float64).T
    first, precision = [], []
    for at, label in enumerate(labels):
        order = np.argsort(-similarity[at], kind="stable")
        if own:
            order = order[order != at]
        hits = gallery_labels[order] == label
        relevant = hits.sum()
        first.append(hits[0] if relevant else -1)
        ranks = np.arange(1, relevant + 1)
        hits = hits[:relevant]
        precision.append((np.cumsum(hits) / ranks * hits).sum() / relevant if relevant else -1)
    keep(f"{name}.first", np.array(first).astype(int))
    keep(f"{name}.precision", precision)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


alone = truth[:150].copy()
alone[3] = 9
keep("retrieval.queries", unit(points[:150]))
keep("retrieval.labels", alone)
keep("retrieval.gallery", unit(points[150:500]))
keep("retrieval.gallery_labels", truth[150:500])
retrieval("retrieval.split", unit(points[:150]), alone, unit(points[:150]), alone, True)
retrieval("retrieval.train", unit(points[:150]), alone, unit(points[150:500]), truth[150:500], False)

versions = {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
save_file(out, HERE / "fixtures" / "clustering.safetensors", versions)
