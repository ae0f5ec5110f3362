"""Discriminative clustering by generalised mutual information (GEMINI)."""

# First: loaded after parts of SciPy and scikit-learn, torch takes longer.
import torch  # noqa: F401, I001

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from gemclust.estimator import GeminiClustering, select_n_clusters

if TYPE_CHECKING:
    from gemclust import datasets, displays, explain, export, metrics, objectives

__version__ = "0.1.0"

__all__ = [
    "GeminiClustering",
    "__version__",
    "datasets",
    "displays",
    "explain",
    "export",
    "metrics",
    "objectives",
    "select_n_clusters",
]


def __getattr__(name: str) -> ModuleType:
    """A module of the public face is loaded when it is first used."""
    if name in __all__:
        return import_module(f"gemclust.{name}")
    raise AttributeError(f"module 'gemclust' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
