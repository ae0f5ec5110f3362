"""From X to what an objective needs of it: features of a kernel, or an N x N matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemclust.distances import (
    LENGTHS,
    all_distances,
    check_matrix,
    geodesic_distances,
    known_metrics,
)
from gemclust.features import CosineMap, FeatureMap, Nystroem, compose
from gemclust.kernels import SHIFT_FREE, Kernel
from gemclust.messages import did_you_mean
from gemclust.objectives import Objective
from gemclust.objectives.wasserstein import TRUE_METRICS
from gemclust.samples import KEPT_NUMBERS, Samples, Scaling, in_working_precision, to_tensor

MAX_MATRIX_BYTES = 2 * 2**30
"""No kernel or distance matrix larger than this is computed."""

EXACT_KERNEL_SAMPLES = 5_000
AUTO_COMPONENTS = 500

KEPT_FEATURES = 2**26
"""Features of at most so many numbers are computed once and kept, more anew for each batch."""

EXACT_TRANSPORT_SAMPLES = 6_000
"""Up to so many samples, all distances are computed at once; of more, those within a batch."""


@dataclass(frozen=True)
class Geometry:
    """What an objective knows of the samples: features, a matrix, or nothing.

    Parameters
    ----------
    features : Samples, optional
        A feature map of the kernel, or the rows of X themselves.
    matrix : tensor of shape (n_samples, n_samples), optional
        Kernel or distances.
    distances : callable, optional
        From features to the distances between them, for samples too many for a matrix of all.
    unit : float
        What a norm or a distance of 1 is worth in the units of X. Everything is held near 1, so
        that neither very large nor very small X overflow.
    triangle : bool
        Whether the distances are known to obey the triangle inequality.
    """

    features: Samples | None = None
    matrix: Tensor | None = None
    distances: Callable[[Any], Tensor] | None = None
    unit: float = 1.0
    triangle: bool = False

    def take(self, rows: NDArray[Any] | slice | None = None) -> dict[str, Any]:
        """Features and matrix of the given samples, or of all, as `Batch` takes them."""
        if self.distances is not None and self.features is not None:
            part = self.distances(self.features.take(rows).cpu().numpy())
            return {"features": None, "matrix": part, "triangle": self.triangle}
        features = None if self.features is None else self.features.take(rows)
        matrix = self.matrix
        if matrix is not None and rows is not None:
            # Whole rows of many samples are not copied first.
            matrix = matrix[rows, rows] if isinstance(rows, slice) else matrix[rows[:, None], rows]
        return {"features": features, "matrix": matrix, "triangle": self.triangle}

    def subset(self, rows: NDArray[Any]) -> Geometry:
        """That of some of the samples."""
        features = None if self.features is None else self.features.subset(rows)
        matrix = None if self.matrix is None else self.matrix[rows][:, rows]
        return replace(self, features=features, matrix=matrix)


class Affinity:
    """How samples compare: the kernel or metric of an objective, fitted to the training data.

    Parameters
    ----------
    objective : Objective
        Says by its `affinity` and its parameters what is needed.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Bandwidths given by name and Nystroem landmarks come from here.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    precomputed : ndarray of shape (n_samples, n_samples), optional
        Kernel or distances given by the user.
    scaling : Scaling, optional
        Centre and scale of X, where the caller has them already.
    n_total : int, optional
        Number of samples of which X are some.
    """

    def __init__(
        self,
        objective: Objective,
        X: Any,
        weight: NDArray[Any],
        precomputed: Any = None,
        scaling: Scaling | None = None,
        n_total: int | None = None,
    ) -> None:
        self.objective = objective
        self.scaling = scaling or Scaling(X, weight)
        self.given = precomputed is not None
        self.kernel: Kernel | None = None
        self.map: FeatureMap | None = None
        if objective.affinity != "kernel" or self.given:
            return
        space = self._space(X)
        self.kernel = Kernel(objective, space, weight, self.scaling.scale)
        name = self.kernel.kernel
        if name == "cosine":
            self.map = FeatureMap(CosineMap(X), X, weight)
        components = self._n_components(n_total or X.shape[0])
        if components is not None and name not in ("linear", "cosine"):
            components = min(components, X.shape[0])
            nystroem = Nystroem(self.kernel, space, components, objective.random_state, weight)
            self.map = FeatureMap(nystroem, space, weight)

    @property
    def _shift_free(self) -> bool:
        """Whether X may be centred and scaled without a change of the kernel or metric."""
        if self.objective.affinity == "distance":
            metric = getattr(self.objective, "metric", "euclidean")
            return isinstance(metric, str) and metric in LENGTHS
        kernel = getattr(self.objective, "kernel", "linear")
        return isinstance(kernel, str) and (kernel == "linear" or kernel in SHIFT_FREE)

    def _space(self, X: Any) -> Any:
        """The rows that are compared."""
        return self.scaling(X) if self._shift_free else in_working_precision(X)

    def _n_components(self, n_samples: int) -> int | None:
        components = getattr(self.objective, "n_components", "auto")
        if components == "auto":
            return None if n_samples <= EXACT_KERNEL_SAMPLES else AUTO_COMPONENTS
        if components is None:
            return None
        if not isinstance(components, int | np.integer) or components < 1:
            raise ValueError(f"n_components={components!r} must be 'auto', None or at least 1.")
        return int(components)

    def geometry(
        self,
        X: Any,
        weight: NDArray[Any],
        precomputed: NDArray[Any] | None = None,
        inputs: Samples | None = None,
        device: str | torch.device = "cpu",
    ) -> Geometry:
        """What the objective needs to know of X.

        `inputs` are the samples in the units of the model, where the caller has them already;
        they say which rows of X the samples are.
        """
        kind = self.objective.affinity
        if kind is None:
            return Geometry()
        if self.given and precomputed is None:
            raise ValueError(
                "The model was fitted with `affinity`: pass `score` that of its samples; "
                "`partial_fit` takes none, give the objective a function as its kernel or metric."
            )
        if precomputed is not None:
            if kind == "kernel":
                return _kernel_geometry(precomputed, weight, device)
            return _distance_geometry(precomputed, 1.0, device)
        if inputs is None:
            inputs = Samples(X, device, self.scaling)
        if kind == "distance":
            return self._distance_geometry(X, inputs)
        if kind == "features" or self._is_linear:
            return Geometry(features=inputs, unit=self.scaling.scale)
        if self.map is not None:
            transform = compose(self.map, self._space)
            width, unit = self.map.width, self.map.unit
            # Normalised rows are made as fast as they are read, and kept they are X once more.
            keep = KEPT_NUMBERS if isinstance(self.map.function, CosineMap) else KEPT_FEATURES
            features = Samples(X, device, transform, inputs.rows, width, keep)
            return Geometry(features=features, unit=unit)
        assert self.kernel is not None
        _check_memory(len(inputs), inputs.array.dtype, "n_components=500, or the linear kernel")
        space = self._space(_rows(X, inputs.rows))
        matrix = check_matrix(self.kernel(space, space), space, "kernel")
        return _kernel_geometry(matrix, weight, device)

    @property
    def _is_linear(self) -> bool:
        return self.kernel is not None and self.kernel.kernel == "linear"

    def _distance_geometry(self, X: Any, inputs: Samples) -> Geometry:
        metric = getattr(self.objective, "metric", "euclidean")
        unit = self.scaling.scale if self._shift_free else 1.0
        if isinstance(metric, str) and metric == "geodesic":
            _check_memory(len(inputs), inputs.array.dtype, "another metric, or a subsample of X")
            neighbors, weighted = self.objective.n_neighbors, self.objective.weighted
            matrix = geodesic_distances(inputs.array, neighbors, weighted)
            unit = unit if weighted else 1.0
            return _distance_geometry(matrix, unit, inputs.device, triangle=True)
        if not callable(metric) and metric not in known_metrics():
            raise ValueError(
                f"metric={metric!r} is unknown; use one of {', '.join(known_metrics())}, "
                f"'precomputed' or a function.{did_you_mean(metric, known_metrics())}"
            )
        triangle = isinstance(metric, str) and metric in TRUE_METRICS
        if len(inputs) > EXACT_TRANSPORT_SAMPLES:
            samples = (
                inputs
                if self._shift_free
                else Samples(X, inputs.device, in_working_precision, inputs.rows)
            )
            some = self._space(X[: min(1_000, X.shape[0])])
            largest = float(all_distances(metric, some).max()) or 1.0

            def distances(features: Any) -> Tensor:
                _check_memory(len(features), features.dtype, "a smaller batch_size")
                matrix = all_distances(metric, features)
                return to_tensor(matrix / matrix.dtype.type(largest), inputs.device)

            return Geometry(samples, None, distances, largest * unit, triangle)
        space = self._space(_rows(X, inputs.rows))
        return _distance_geometry(all_distances(metric, space), unit, inputs.device, triangle)


def _rows(X: Any, rows: NDArray[Any] | None) -> Any:
    return X if rows is None else X[rows]


def _kernel_geometry(matrix: NDArray[Any], weight: NDArray[Any], device: Any) -> Geometry:
    # Centring changes no MMD; in float32 it saves the digits that a large mean would take.
    share = weight.astype(np.float64) / weight.sum(dtype=np.float64)
    mean = matrix @ share
    centred = matrix - mean[:, None] - mean[None, :] + share @ mean
    unit = float(np.abs(centred).max()) or 1.0
    tensor = to_tensor((centred / unit).astype(matrix.dtype), device)
    return Geometry(matrix=tensor, unit=float(np.sqrt(unit)))


def _distance_geometry(
    matrix: NDArray[Any], scale: float, device: Any, triangle: bool = False
) -> Geometry:
    unit = float(matrix.max()) or 1.0
    tensor = to_tensor(matrix / matrix.dtype.type(unit), device)
    return Geometry(matrix=tensor, unit=unit * scale, triangle=triangle)


def _check_memory(n_samples: int, dtype: np.dtype[Any], remedy: str) -> None:
    needed = n_samples**2 * dtype.itemsize
    if needed > MAX_MATRIX_BYTES:
        raise ValueError(
            f"A matrix of {n_samples} x {n_samples} pairs would take {needed / 2**30:.1f} GiB, "
            f"more than the bound of {MAX_MATRIX_BYTES / 2**30:.0f} GiB. Use {remedy}."
        )
