"""Reports on training: to the log, and to scikit-learn's callbacks where it has them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from gemclust.messages import warn

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def _with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        return method


__all__ = ["CallbackSupportMixin", "Progress", "with_callbacks"]

logger = logging.getLogger("gemclust")

PAUSE = 2.0
"""Seconds after which the log says how far a stage is that has steps but no iterations."""

Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """A `fit` that runs callbacks, where scikit-learn has them, with the types of its own."""
    return cast(Method, _with_callbacks(method))


class Progress:
    """One task for the fit, one for each of its stages, and one for each step of a stage.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose fit is reported.
    verbose : int
        0: callbacks only; n: stages and every n-th iteration to the log "gemclust", at level INFO,
        which goes to standard error if no handler is configured.
    forgiving : bool
        Whether the first interrupt is survived after which something trained would be lost.

    Attributes
    ----------
    unit : float
        What an objective of 1 is worth in the units of X.
    interrupted : bool
        Whether training, or a stage after it, has been interrupted.
    """

    def __init__(self, estimator: Any, verbose: int, forgiving: bool = True) -> None:
        self.estimator = estimator
        self.verbose = verbose
        self.forgiving = forgiving
        self.unit = 1.0
        self.interrupted = False
        self._begin("fit", 0)
        self.task: Any = None
        if hasattr(estimator, "_init_callback_context"):
            # Where units turn out to be few, training begins anew: nobody knows how many stages.
            self.task = estimator._init_callback_context(max_subtasks=None)

    def __enter__(self) -> Progress:
        self._handler = logging.StreamHandler()
        self._level = logger.level
        self._handles = bool(self.verbose) and not logger.hasHandlers()
        if self._handles:
            logger.addHandler(self._handler)
        if self.verbose:
            logger.setLevel(logging.INFO)
        if self.task is not None:
            self.task.call_on_fit_task_begin(estimator=self.estimator)
        return self

    def __exit__(self, *error: object) -> None:
        if self._handles:
            logger.removeHandler(self._handler)
        logger.setLevel(self._level)
        if self.task is not None and error[0] is None:
            self.task.call_on_fit_task_end(estimator=self.estimator)

    def note(self, message: str, *values: object) -> None:
        """Write to the log."""
        if self.verbose:
            logger.info(message, *values)

    @contextmanager
    def stage(self, name: str, n_steps: int = 0) -> Iterator[None]:
        """A stage of the fit of at most so many steps, or of none that can be told apart."""
        self.note(name)
        self._begin(name, n_steps)
        if self.task is None:
            yield
            return
        whole = self.task
        self.task = whole.subcontext(task_name=name, max_subtasks=n_steps)
        self.task.call_on_fit_task_begin(estimator=self.estimator)
        try:
            yield
            self.task.call_on_fit_task_end(estimator=self.estimator)
        except KeyboardInterrupt:
            self.task.call_on_fit_task_end(estimator=self.estimator)
            raise
        finally:
            self.task = whole

    def finish(self, name: str, work: Callable[[], Result], n_steps: Callable[[], int]) -> Result:
        """A stage after training, begun anew after an interrupt; a second one gives up.

        What was trained would be lost otherwise. `work` leaves the same whether it is done once or
        begun twice, and so does `n_steps`, which says of at most how many steps it tells.
        """
        try:
            with self.stage(name, n_steps()):
                return work()
        except KeyboardInterrupt:
            if not self.survives():
                raise
        warn(
            f"Interrupted while {name}, which begins anew, so that what was trained is kept. "
            "Another interrupt gives up."
        )
        return self.finish(name, work, n_steps)

    def survives(self) -> bool:
        """Whether this interrupt is the first one, and may be survived."""
        first = not self.interrupted
        self.interrupted = True
        return first and self.forgiving

    def _begin(self, stage: str, n_steps: int) -> None:
        self.name, self.n_steps = stage, n_steps
        self.n_done, self.last_told = 0, time.monotonic()

    def step(self, name: str) -> bool:
        """Report a step of this stage; returns whether a callback wants the stage to stop."""
        self.n_done += 1
        if time.monotonic() - self.last_told >= PAUSE:
            self.note("%s: %d of %d", self.name, self.n_done, max(self.n_steps, self.n_done))
            self.last_told = time.monotonic()
        # Clusters that win nothing are left out, and the rest is evaluated anew: steps that nobody
        # could announce, of which callbacks must not hear.
        return self.n_done <= self.n_steps and self._task(name)

    def _task(self, name: str) -> bool:
        if self.task is None:
            return False
        task = self.task.subcontext(task_name=name)
        task.call_on_fit_task_begin(estimator=self.estimator)
        return bool(task.call_on_fit_task_end(estimator=self.estimator))

    def __call__(self, iteration: int, loss: float) -> bool:
        """Report an iteration; returns whether a callback wants training to stop."""
        if self.verbose and iteration % self.verbose == 0:
            logger.info("iteration %d: objective %.6g", iteration, -self.unit * loss)
        return self._task("iteration")
