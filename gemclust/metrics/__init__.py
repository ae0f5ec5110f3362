"""The GEMINI of any clustering, and scorers for searches without classes."""

from gemclust.metrics.gemini import gemini_score
from gemclust.metrics.scorers import (
    GeminiScorer,
    LabelScorer,
    calinski_harabasz_scorer,
    davies_bouldin_scorer,
    heldout_scorer,
    silhouette_scorer,
    stability_scorer,
)

__all__ = [
    "GeminiScorer",
    "LabelScorer",
    "calinski_harabasz_scorer",
    "davies_bouldin_scorer",
    "gemini_score",
    "heldout_scorer",
    "silhouette_scorer",
    "stability_scorer",
]
