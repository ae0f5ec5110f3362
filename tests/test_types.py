"""What a user writes is accepted by mypy in its strict mode, and mistakes are not."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Types of torch, which take mypy a quarter of a minute, are left out.
CONFIGURATION = """
[mypy]
strict = True
[mypy-gemclust.*]
follow_imports = silent
[mypy-torch.*]
follow_imports = skip
[mypy-sklearn.*,scipy.*,ot.*,matplotlib.*,joblib.*,onnx.*,skl2onnx.*,pandas.*,rich.*]
ignore_missing_imports = True
"""

SNIPPET = """
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV

from gemclust import GeminiClustering, select_n_clusters
from gemclust.datasets import make_gaussian_student
from gemclust.displays import (
    ClustersDisplay,
    ConfidenceDisplay,
    DecisionMapDisplay,
    ObjectiveCurvesDisplay,
    ProfileDisplay,
    SelectionDisplay,
)
from gemclust.explain import cluster_profiles, feature_importances
from gemclust.export import to_onnx
from gemclust.metrics import GeminiScorer, gemini_score, heldout_scorer, silhouette_scorer
from gemclust.objectives import MMD, Objective, SlicedWasserstein, Wasserstein

X, y = make_gaussian_student(100, random_state=0)
rows: NDArray[np.float32] = np.zeros((4, 2), dtype=np.float32)
weight = [1.0] * len(X)

model = GeminiClustering(hidden_layer_sizes=[10])
assert_type(model.fit(X, sample_weight=weight), GeminiClustering)
assert_type(model.partial_fit(X), GeminiClustering)
assert_type(model.n_clusters_, int)
assert_type(model.objective_value_, float)
assert_type(model.score(X), float)
labels: NDArray[np.int64] = model.predict(rows)
proba: NDArray[np.float32] = model.predict_proba([[0.0, 1.0]])
two, _ = model.cut(X, n_clusters=2)
assert_type(model.selection_.n_clusters(0.7), int)
assert_type(select_n_clusters(X, sensitivity=0.7, random_state=np.random.RandomState(0)), int)

objectives: list[str | Objective] = [
    "mmd_ovo",
    MMD("ovo", kernel="rbf", gamma="median"),
    Wasserstein("ova", metric="geodesic"),
    SlicedWasserstein("ova"),
]
for objective in objectives:
    other = GeminiClustering(3, objective=objective, n_units=50, n_init=3, batch_size=100)
    assert_type(gemini_score(X, other.fit_predict(X), objective=objective), float)

ClustersDisplay.from_estimator(model, X, ax=None).plot()
ConfidenceDisplay.from_estimator(model, X).plot()
DecisionMapDisplay.from_estimator(model, X).plot()
ObjectiveCurvesDisplay.from_estimator(model).plot()
ProfileDisplay.from_estimator(model, X).plot()
SelectionDisplay.from_estimator(model).plot()
table = cluster_profiles(model, X, features=["x1"])
importances = feature_importances(model, X, n_repeats=3)
to_onnx(model, Path("model.onnx"))

for scorer in (heldout_scorer, silhouette_scorer, GeminiScorer("mmd_ovo")):
    assert_type(scorer(model, X), float)
    GridSearchCV(model, {"n_clusters": [2, 3]}, scoring=scorer).fit(X)
"""

MISTAKES = [
    "GeminiClustering(n_clusters=3.5)  # type: ignore[arg-type]",
    "GeminiClustering(n_cluster=3)  # type: ignore[call-arg]",
    "GeminiClustering(3, 10)  # type: ignore[call-arg]",
    'GeminiClustering(hidden_layer_sizes="ten")  # type: ignore[arg-type]',
    "GeminiClustering(objective=3)  # type: ignore[arg-type]",
    "GeminiClustering().predict()  # type: ignore[call-arg]",
    'MMD("ovo", kernel=3)  # type: ignore[arg-type]',
    "x: str = model.fit(X).n_clusters_  # type: ignore[assignment]",
    "heldout_scorer(model)  # type: ignore[call-arg]",
]


def code_of(page):
    """The examples of a page as one program."""
    examples = doctest.DocTestParser().get_examples((ROOT / page).read_text(encoding="utf-8"))
    return "".join(example.source for example in examples)


def test_users_code_is_typed(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    # A comment that ignores no error is an error in the strict mode.
    (tmp_path / "snippet.py").write_text("\n".join([SNIPPET, *MISTAKES]))
    (tmp_path / "readme.py").write_text(code_of("README.md"))
    (tmp_path / "getting_started.py").write_text(code_of("docs/getting_started.md"))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *sorted(tmp_path.glob("*.py"))],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
