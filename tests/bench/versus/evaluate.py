"""CPU time of balance against scikit-learn on the same numbers, taking turns.

    cargo bench --no-run --bench evaluate
    python tests/bench/versus/evaluate.py target/release/deps/evaluate-… [--rounds 5]

Prints, for each case, both medians in seconds of CPU time (all threads, data already in memory),
the ratio of the medians, and what both found, which must agree.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--rows", type=int, default=50_000)
parser.add_argument("--dim", type=int, default=512)
parser.add_argument("--only", default="")
args = parser.parse_args()

random = np.random.default_rng(0)
corners = random.normal(size=(100, args.dim))
points = corners[random.integers(100, size=args.rows)]
points = (points + 3.0 * random.normal(size=points.shape)).astype(np.float32)
queries = 10_000 * args.rows // 50_000
# Classes in turn, which overlap, so that the search for the minimum has something to do.
probed = (0.1 * corners[np.arange(args.rows) % 100] + random.normal(size=points.shape)).astype(np.float32)
unit = random.normal(size=(args.rows + queries, args.dim)).astype(np.float32)
unit /= np.linalg.norm(unit, axis=1, keepdims=True)


def file_of(rows):
    file = tempfile.NamedTemporaryFile(suffix=".f32")
    rows.tofile(file.name)
    return file


def ours(*words):
    out = subprocess.run([args.program, *map(str, words)], capture_output=True, text=True, check=True)
    seconds, found = out.stdout.split()
    return float(seconds), float(found)


def theirs(work):
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def neighbours():
    # On vectors of length one the nearest are those of largest cosine; this is its fastest way.
    search = NearestNeighbors(n_neighbors=20, algorithm="brute").fit(unit[queries:])
    return float(search.kneighbors(unit[:queries], return_distance=False)[:, 0].sum())


def clusters(k, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = KMeans(k, init=points[:k], n_init=1, max_iter=steps).fit(points)
    return float(found.inertia_)


def probe(steps):
    labels = np.arange(args.rows) % 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = LogisticRegression(max_iter=steps, tol=1e-4).fit(probed, labels)
    return float(found.score(probed[:1000], labels[:1000]))


def case(name, run_ours, run_theirs):
    if args.only not in name:
        return
    times = []
    for _ in range(args.rounds):
        times.append((run_ours(), theirs(run_theirs)))
    mine = statistics.median(it[0][0] for it in times)
    other = statistics.median(it[1][0] for it in times)
    found = [times[0][0][1], times[0][1][1]]
    print(f"{name}: balance {mine:.2f} s, scikit-learn {other:.2f} s, ratio {mine / other:.2f}", found, flush=True)


with file_of(unit) as unit_file, file_of(points) as point_file, file_of(probed) as probed_file:
    dim = args.dim
    case("linear probe", lambda: ours("linear", probed_file.name, dim, 100, 100), lambda: probe(100))
    case("knn k=20", lambda: ours("knn", unit_file.name, dim, queries, 20), neighbours)
    for k in (10, 100):
        run = lambda k=k: ours("kmeans", point_file.name, dim, k, 20)
        case(f"kmeans k={k}", run, lambda k=k: clusters(k, 20))
