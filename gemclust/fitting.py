"""From samples to trained units: geometry, model, and training at the estimator's parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn

from gemclust import automatic
from gemclust.canonical import Canonical
from gemclust.categorical import Categorical
from gemclust.chunks import Watch, unwatched
from gemclust.distributed import ALONE, Processes
from gemclust.evaluation import log_probabilities, parts_of
from gemclust.geometry import KEPT_FEATURES, Affinity, Geometry
from gemclust.levels import climb
from gemclust.messages import warn
from gemclust.models import Model, Perceptron
from gemclust.modules import ClusterLogits, ModuleModel
from gemclust.objectives import Objective
from gemclust.parameters import check_same_model
from gemclust.penalties import Penalties
from gemclust.problem import Problem
from gemclust.rounding import places
from gemclust.samples import Samples, Scaling, to_tensor
from gemclust.seeding import n_steps, start
from gemclust.selection import (
    MergeTree,
    Selection,
    TestPoints,
    Winners,
    best_restart,
    n_points_to_test,
    points_by_rate,
    points_to_test,
    select,
    winners,
)
from gemclust.shards import Shard, some_rows
from gemclust.training import Run, Settings
from gemclust.units import (
    SAMPLES_PER_UNIT,
    UNIT_ITERATIONS,
    UNIT_OBJECTIVE,
    LocalFeatures,
    UnitModel,
)
from gemclust.views import View, as_distances, near_one, view_of_distances, views_of

if TYPE_CHECKING:
    from gemclust.estimator import GeminiClustering
    from gemclust.progress import Progress

Clusters = list[list[int]]


@dataclass(frozen=True)
class Frame:
    """How model and objective see samples: all that is fitted but the parameters.

    Parameters
    ----------
    scaling : Scaling
        Centre and scale of X.
    input : Scaling, LocalFeatures or None
        From rows of X to what the model takes; None where that is the number of the sample.
    model : Model
        p(y|x).
    affinity : Affinity
        How the objective compares samples.
    own_units : bool
        Whether units are trained by an objective of their own, instead of the estimator's.
    """

    scaling: Scaling
    input: Scaling | LocalFeatures | None
    model: Model
    affinity: Affinity
    own_units: bool

    def problem(
        self,
        data: Canonical,
        device: torch.device,
        clusters: Clusters | None = None,
        processes: Processes = ALONE,
    ) -> Problem:
        """The estimator's objective on these samples."""
        scaled = Samples(data.X, device, self.scaling, data.rows)
        seen = scaled if self.input is self.scaling else self.seen(data, device)
        geometry = self.affinity.geometry(data.X, data.weight, data.affinity, scaled, device)
        weight = _shares(data, device, processes)
        objective = self.affinity.objective
        return Problem(
            self.model, seen, weight, geometry, objective, clusters=clusters, processes=processes
        )

    def training_problem(
        self,
        data: Canonical,
        device: torch.device,
        penalties: Penalties,
        clusters: Clusters | None = None,
        processes: Processes = ALONE,
    ) -> Problem:
        """What training maximises on these samples."""
        if not self.own_units:
            return replace(self.problem(data, device, clusters, processes), penalties=penalties)
        if clusters is not None:
            clusters = [[unit] for units in clusters for unit in units]
        seen = self.seen(data, device)
        weight = _shares(data, device, processes)
        geometry = Geometry(features=seen)
        return Problem(
            self.model, seen, weight, geometry, UNIT_OBJECTIVE, penalties, clusters, processes
        )

    def seen(
        self,
        data: Canonical,
        device: torch.device,
        numbers: NDArray[Any] | None = None,
        keep: int = KEPT_FEATURES,
    ) -> Samples:
        """What the model sees of the samples, or of those of the given numbers."""
        if self.input is None:
            return Samples(np.arange(len(data))[:, None], device, rows=numbers)
        seen = Samples(data.X, device, self.input, data.rows, keep=keep)
        return seen if numbers is None else seen.subset(numbers)

    def log_probabilities(
        self,
        X: Any,
        parameters: NDArray[Any],
        clusters: Clusters,
        device: torch.device,
        then: Callable[[Tensor], Tensor] = lambda log_proba: log_proba,
        watch: Watch = unwatched,
    ) -> NDArray[Any]:
        """What `then` makes of log p(y|x) of some rows of X at a time."""
        inputs = Samples(X, device, self.input)
        result = log_probabilities(
            self.model, to_tensor(parameters[None], device), inputs, clusters, then, watch
        )
        return result[0].cpu().numpy()

    def n_parts(self, X: Any, device: torch.device) -> int:
        """How many parts of X `log_probabilities` tells of."""
        n_parts = len(parts_of(self.model, 1, Samples(X, device, self.input)))
        return n_parts if n_parts > 1 else 0

    def module(self, parameters: NDArray[Any], clusters: Clusters) -> nn.Module:
        """Torch module from rows of X to the logits of the clusters."""
        inner = self.model.module(to_tensor(parameters))
        return ClusterLogits(inner, to_tensor(self.scaling.centre), self.scaling.scale, clusters)


def _shares(data: Canonical, device: torch.device, processes: Processes) -> Tensor:
    """Weights that sum to 1 over all processes."""
    mass = sum(processes.gather(data.weight.sum()))
    return to_tensor(data.weight / mass, device)


class Fit:
    """One fit of the estimator: it is told how many units to train, and keeps what came of it.

    Parameters
    ----------
    estimator : GeminiClustering
        Its parameters, all checked; nothing else of it is read.
    shard : Shard
        The samples.
    objective : Objective
        The GEMINI.
    progress : Progress
        Where iterations are reported.
    last : tuple of Frame and ndarray, optional
        Frame and parameters from which to go on.

    Attributes
    ----------
    frame : Frame
        How samples are seen.
    problem : Problem
        What was trained, on all samples or those that are enough for units.
    run : Run
        All restarts.
    """

    frame: Frame
    problem: Problem
    run: Run

    def __init__(
        self,
        estimator: GeminiClustering,
        shard: Shard,
        objective: Objective,
        progress: Progress,
        last: tuple[Frame, NDArray[Any]] | None = None,
    ) -> None:
        self.estimator = estimator
        self.shard = shard
        self.objective = objective
        self.progress = progress
        self.last = last
        self.device = automatic.resolve_device(estimator.device)

    def train(self, n_units: int, merging: bool) -> None:
        """Geometry, model, and training of so many units, to be merged or not."""
        shard = self.shard
        self.progress.note("preparing %d units", n_units)
        self.frame = self._frame(n_units, merging)
        settings = automatic.resolve_settings(
            self.estimator, self.objective, shard.n_total, self.frame.model.n_units
        )
        n_init = 1
        if self.last is None:
            n_init = automatic.resolve_n_init(
                self.estimator, self.frame.model, self.objective, settings, shard.pilot.X, merging
            )
        rng = check_random_state(self.estimator.random_state)
        seeds = shard.group.first(rng.randint(np.iinfo(np.int32).max, size=n_init))
        if merging:
            most = min(settings.max_iter, UNIT_ITERATIONS)
            settings = replace(settings, drop=False, max_iter=most)
        levels = self._levels(settings, merging)
        self.problem = levels[-1]
        self.progress.unit = self.problem.unit
        if self.last is None:
            first, init, watch = levels[0], self.estimator.init, self.progress.step
            steps = n_steps(first, len(seeds), settings, init, merging)
            with self.progress.stage(f"seeding {n_units} units", steps):
                begin = start(first, seeds, settings, init, merging, watch)
        else:
            begin = Run(to_tensor(self.last[1].copy()).to(self.problem.weight)[None])
        if settings.solver != "lbfgs":
            levels = levels[-1:]
        with self.progress.stage(f"training {n_units} units", settings.max_iter):
            self.run = climb(levels, begin, settings, int(seeds[0]), self.progress, shard.group)
        self.progress.interrupted |= self.run.interrupted
        self.run.converged |= merging and settings.max_iter == UNIT_ITERATIONS

    def train_and_join(self, n_units: int) -> tuple[Fit, int, Selection]:
        """Units and how they are joined, with ever more of them where they are few.

        An interrupt before more are trained keeps these.
        """
        self.train(n_units, merging=True)
        number = partial(automatic.resolve_number, self.estimator)
        restart, selection = self.join(number)
        found = number(selection.tree)
        self.progress.note("%d units form %d clusters", n_units, found)
        ended = self.run.interrupted or self.run.stopped or self.progress.interrupted
        more = 0 if ended else automatic.more_units(self.estimator, n_units, found, self.shard)
        if not more:
            return self, restart, selection
        try:
            return copy.copy(self).train_and_join(more)
        except KeyboardInterrupt:
            if not self.progress.survives():
                raise
        warn(
            f"Interrupted before {more} units were trained; the {found} clusters found before are "
            "kept. Another interrupt gives up."
        )
        return self, restart, selection

    def best(self, clusters: Clusters) -> tuple[int, Winners]:
        """The restart to keep, each of whose units is a cluster, and which of them win."""
        problem, run = replace(self.problem, watch=self.progress.step), self.run

        def work() -> tuple[int, Winners]:
            restart = best_restart(problem, run)
            return restart, winners(problem, run.only(restart).parameters, clusters)

        def n_steps() -> int:
            n_restarts = len(run.parameters)
            first = problem.n_parts(n_restarts, len(clusters)) if n_restarts > 1 else 0
            return first + problem.n_parts(1, len(clusters))

        return self.progress.finish("evaluating", work, n_steps)

    def winners(self, restart: int, clusters: Clusters) -> Winners:
        """Which clusters of joined units win, by the estimator's objective on all samples."""
        parameters = self.run.only(restart).parameters

        @cache
        def problem() -> Problem:
            shard = self.shard
            scored = self.frame.problem(shard.data, self.device, None, shard.processes)
            return replace(scored, watch=self.progress.step)

        return self.progress.finish(
            "evaluating",
            lambda: winners(problem(), parameters, clusters),
            lambda: problem().n_parts(1, len(clusters)),
        )

    def join(self, number: Callable[[MergeTree], int]) -> tuple[int, Selection]:
        """The restart to keep, and how its units are joined; of a tree, `number` makes a number."""
        n_units, n_restarts = self.frame.model.n_units, len(self.run.parameters)

        def work() -> tuple[int, Selection]:
            points = self.test_points()
            self.progress.step("neighbours")
            return select(self.problem, self.run, points, number, self.progress.step)

        return self.progress.finish(f"joining {n_units} units", work, lambda: 1 + n_restarts)

    def test_points(self) -> TestPoints:
        """Samples between which valleys are looked for: of many, as many of each unit."""
        shard, pilot, data = self.shard, self.shard.pilot, self.shard.spread
        size = n_points_to_test(self.frame.model.n_units)
        # Equal samples are spread or merged in the pilot only.
        if data is pilot and (size < shard.n_total or pilot is not shard.data):
            given = shard.processes.concatenate(shard.data.weight)
            rows, weight = points_by_rate(given, self._rates(), min(size, shard.n_total))
            drawn = shard.draw(rows)
        else:
            rows, weight = points_to_test(data.weight, size), None
            drawn = data.draw(rows)
        inputs = self.frame.seen(drawn, self.device)
        if self.frame.input is None:
            # Free logits belong to the samples themselves.
            inputs = self.frame.seen(shard.data, self.device, rows)
        smallest = self.estimator.min_cluster_size
        share = len(rows) / pilot.n_standing * len(pilot) / shard.n_total

        def views(n_neighbours: int) -> list[View]:
            if drawn.affinity is None:
                return views_of(near_one(drawn.X), n_neighbours, np.random.RandomState(0))
            return [view_of_distances(as_distances(drawn.affinity, self.objective), n_neighbours)]

        return TestPoints(inputs, views, None if smallest is None else share * smallest, weight)

    def _rates(self) -> NDArray[Any]:
        r"""How often to draw each sample of all processes, so that each unit gets as many.

        .. math:: \sum_y p(y \mid x) / p(y)

        over the units that win. Neighbours then stand for about as many samples, but in tails that
        are so heavy that units there have few.
        """
        best = self.run.only(best_restart(self.problem, self.run)).parameters
        won, proportions = self.problem.survey(best)
        shares = torch.where(won[0], 1 / proportions[0], 0)

        def rate(log_proba: Tensor) -> Tensor:
            return (log_proba.to(shares).exp() @ shares).clamp_min(1)

        # Features are made and forgotten part by part.
        seen = self.frame.seen(self.shard.data, self.device, keep=0)
        rates = log_probabilities(self.frame.model, best, seen, then=rate)[0]
        return self.shard.processes.concatenate(rates.cpu().numpy().astype(np.float64))

    def _frame(self, n_units: int, merging: bool) -> Frame:
        pilot, spread, estimator = self.shard.pilot, self.shard.spread, self.estimator
        last = None if self.last is None else self.last[0]
        measured = places(pilot)
        scaling = Scaling(measured.X, measured.weight) if last is None else last.scaling
        seen: Scaling | LocalFeatures | None = scaling
        model: Model
        name = estimator.model if isinstance(estimator.model, str) else None
        if name == "local" or (name == "auto" and merging and not estimator.vat):
            if last is not None and isinstance(last.model, UnitModel):
                # Its parameters are those of its features.
                seen = last.model.features
            else:
                seen = LocalFeatures(spread.X, spread.weight, scaling, n_units, 0)
            model = UnitModel(seen, n_units)
        elif name == "categorical":
            model, seen = Categorical(len(self.shard.data), n_units), None
        elif name is None:
            model = ModuleModel(estimator.model, pilot.X.shape[1], n_units)
        else:
            hidden = () if name == "linear" else np.ravel(estimator.hidden_layer_sizes)
            model = Perceptron((pilot.X.shape[1], *hidden, n_units), estimator.activation)
        if last is not None:
            check_same_model(last.model, model)
        automatic = isinstance(estimator.objective, str) and estimator.objective == "auto"
        affinity = Affinity(
            self.objective, pilot.X, pilot.weight, pilot.affinity, scaling, self.shard.n_total
        )
        own_units = merging and automatic and isinstance(model, UnitModel)
        return Frame(scaling, seen, model, affinity, own_units)

    def _training_problem(
        self, data: Canonical, merging: bool, processes: Processes = ALONE
    ) -> Problem:
        scale = self.frame.scaling.scale
        penalties = automatic.resolve_penalties(self.estimator, scale, data.X.shape[1])
        problem = self.frame.training_problem(data, self.device, penalties, processes=processes)
        return replace(problem, objective=problem.objective.for_units()) if merging else problem

    def _levels(self, settings: Settings, merging: bool) -> list[Problem]:
        """The problem on ever more of the samples: the first for all restarts, the last on all.

        Units are to share the samples, for which some of them are enough.
        """
        shard = self.shard
        enough = min(len(shard.spread), SAMPLES_PER_UNIT * self.frame.model.n_units)
        begins = self.last is None and self.frame.input is not None
        if merging and begins and not (shard.spread is shard.data and enough == len(shard.data)):
            rows = some_rows(len(shard.spread), enough)
            return [self._training_problem(shard.spread.draw(rows), merging)]
        problem = self._training_problem(shard.data, merging, shard.processes)
        if merging or not begins:
            return [problem]
        *sizes, _ = automatic.level_sizes(shard.n_total, self.objective)
        if settings.solver != "lbfgs":
            sizes = sizes[:1]
        levels = []
        for size in sizes:
            few = size <= len(shard.pilot)
            rows = some_rows(len(shard.pilot) if few else len(problem), size)
            levels.append(
                self._training_problem(shard.pilot.draw(rows), merging)
                if few
                else problem.subset(rows)
            )
        return [*levels, problem]
