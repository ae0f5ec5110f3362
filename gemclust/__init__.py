"""Discriminative clustering by generalised mutual information (GEMINI)."""

from gemclust import metrics, objectives
from gemclust.estimator import GeminiClustering

__version__ = "0.1.0"

__all__ = ["GeminiClustering", "__version__", "metrics", "objectives"]
