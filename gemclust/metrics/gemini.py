"""The GEMINI of any clustering."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from gemclust.distances import check_affinity
from gemclust.distributed import ALONE
from gemclust.evaluation import evaluate
from gemclust.geometry import Affinity
from gemclust.messages import naming_columns
from gemclust.objectives import Objective, get_objective
from gemclust.parameters import check_sample_weight
from gemclust.samples import Samples, as_array, to_tensor, working_dtype
from gemclust.shards import Shard


def gemini_score(
    X: ArrayLike,
    probabilities_or_labels: ArrayLike,
    objective: str | Objective = "auto",
    *,
    affinity: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""GEMINI of a clustering, whoever made it.

    .. math:: I_{ova} = E_{k \sim p(y)} [D(p(x|k) \| p(x))], \qquad
              I_{ovo} = E_{a, b \sim p(y)} [D(p(x|a) \| p(x|b))]

    Scores of different objectives, kernels or bandwidths are not comparable.

    Parameters
    ----------
    X : {array-like, CSR matrix} of shape (n_samples, n_features)
        The samples.
    probabilities_or_labels : array-like of shape (n_samples, n_clusters) or (n_samples,)
        p(y|x), with rows that sum to 1, or a label for each sample; every label is a cluster,
        that of noise points, too.
    objective : str or Objective, default="auto"
        A name or an instance, as in `GeminiClustering`. "auto" is "mmd_ovo", by which the
        estimator scores its clusters where it is given no other objective.
    affinity : array-like of shape (n_samples, n_samples), default=None
        Precomputed kernel (for MMD) or distances (for Wasserstein).
    sample_weight : array-like of shape (n_samples,), default=None
        A sample of weight 2 counts as two.

    Returns
    -------
    score : float
        Greater is better.

    Raises
    ------
    ValueError
        If the probabilities are negative or do not sum to 1, or if the data is not as described.

    References
    ----------
    Ohl et al., Generalised Mutual Information for Discriminative Clustering, NeurIPS 2022.

    Examples
    --------
    >>> X = [[0.0], [1.0], [10.0], [11.0]]
    >>> gemini_score(X, [0, 0, 1, 1])
    5.0
    >>> gemini_score(X, [0, 1, 0, 1])
    0.5
    """
    objective = get_objective(objective)
    X, probabilities_or_labels = as_array(X), as_array(probabilities_or_labels)
    with naming_columns(X):
        samples: Any = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    weight = check_sample_weight(sample_weight, samples)
    matrix = check_affinity(affinity, samples, objective)
    proba = _as_probabilities(probabilities_or_labels, samples)
    shard = Shard(samples, weight, matrix, ALONE)
    data, pilot = shard.data, shard.pilot
    fitted = Affinity(objective, pilot.X, pilot.weight, pilot.affinity, n_total=len(data))
    inputs = Samples(data.X, "cpu", fitted.scaling, data.rows)
    geometry = fitted.geometry(data.X, data.weight, data.affinity, inputs)
    counted = np.flatnonzero(weight)
    if data.position is not None:
        # In the order of training: parts of many samples are drawn by their numbers.
        counted = counted[np.argsort(data.position[counted], kind="stable")]
        geometry = geometry.subset(data.position[counted])
    with np.errstate(divide="ignore"):
        log_proba = to_tensor(np.log(proba[counted])[None])
    return float(evaluate(objective, log_proba, to_tensor(weight[counted]), geometry)[0])


def _as_probabilities(given: Any, X: Any) -> NDArray[Any]:
    given = np.asarray(given)
    if given.ndim not in (1, 2) or given.shape[0] != X.shape[0]:
        raise ValueError(
            f"The clustering has shape {given.shape}, but X has {X.shape[0]} samples: give a label "
            "or a row of probabilities for each."
        )
    if given.ndim == 1:
        if n_missing := sum(map(_is_missing, given)) if given.dtype.kind in "Of" else 0:
            raise ValueError(
                f"{n_missing} of the labels are missing (None or NaN): give each sample one, or "
                "leave those without one out, of X too."
            )
        try:
            clusters, labels = np.unique(given, return_inverse=True)
        except TypeError as error:
            kinds = sorted({type(value).__name__ for value in given.tolist()})
            raise ValueError(
                f"The labels are of several types ({', '.join(kinds)}), between which there is no "
                "order: give numbers or texts alone."
            ) from error
        return np.eye(len(clusters), dtype=working_dtype(X))[labels]
    proba = given.astype(working_dtype(X))
    sums = proba.sum(1)
    if not np.isfinite(proba).all() or (proba < 0).any() or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            "Each row of probabilities must be finite, not negative and sum to 1; the sums lie "
            f"between {sums.min():.4g} and {sums.max():.4g}, the least probability is "
            f"{proba.min():.4g}."
        )
    return proba


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA
        return True
