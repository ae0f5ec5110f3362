"""How the objective grew in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gemclust.displays.base import axes_for
from gemclust.pipelines import clusterer

KEPT, OTHERS = "#0072B2", "0.7"


class ObjectiveCurvesDisplay:
    """The objective over the iterations of each restart; the one that was kept stands out.

    Restarts that fell behind end early, which a dot marks.

    Parameters
    ----------
    curves : sequence of sequence of float
        The penalised objective after each iteration of each restart.
    kept : int
        Which restart was kept.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the curves.
    figure_ : matplotlib Figure
        Which holds it.
    lines_ : list of matplotlib Line2D
        One for each restart, in their order.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import ObjectiveCurvesDisplay
    >>> model = GeminiClustering(3, n_init=4, random_state=0).fit(load_iris().data)
    >>> display = ObjectiveCurvesDisplay.from_estimator(model)
    >>> len(display.lines_)
    4
    """

    def __init__(self, *, curves: Sequence[Sequence[float]], kept: int) -> None:
        self.curves = curves
        self.kept = kept

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> ObjectiveCurvesDisplay:
        """Draw `objective_curves_` of an estimator.

        Parameters
        ----------
        estimator : GeminiClustering, or a Pipeline or search that ends in one
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ObjectiveCurvesDisplay
        """
        model = clusterer(estimator)
        curves = model.objective_curves_
        return cls(curves=curves, kept=curves.index(model.objective_curve_)).plot(ax)

    def plot(self, ax: Any = None) -> ObjectiveCurvesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ObjectiveCurvesDisplay
            Itself.
        """
        self.ax_ = axes_for(ax, figsize=(5.5, 4))
        self.figure_ = self.ax_.figure
        self.lines_ = []
        first_other = int(self.kept == 0)
        for restart, curve in enumerate(self.curves):
            best = restart == self.kept
            label = "kept" if best else "other restarts" if restart == first_other else None
            (line,) = self.ax_.plot(
                np.arange(1, len(curve) + 1),
                curve,
                color=KEPT if best else OTHERS,
                linewidth=2 if best else 1,
                marker="o",
                markersize=4,
                markevery=[len(curve) - 1] if curve else [],
                label=label,
                zorder=2 + best,
            )
            self.lines_.append(line)
        self.ax_.set(xlabel="iteration", ylabel="objective")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.spines[["top", "right"]].set_visible(False)
        if len(self.curves) > 1:
            self.ax_.legend(loc="lower right")
        return self
