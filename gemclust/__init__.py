"""Discriminative clustering by generalised mutual information (GEMINI)."""

# First: loaded after parts of SciPy and scikit-learn, torch takes longer.
import torch  # noqa: F401

from gemclust import datasets, displays, explain, export, metrics, objectives
from gemclust.estimator import GeminiClustering, select_n_clusters

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
