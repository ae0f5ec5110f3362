"""Stages of long fits tell how far they are: to callbacks, and to the log now and then."""

import logging

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from gemclust import GeminiClustering, automatic, chunks, estimator, evaluation, progress
from gemclust.objectives import Wasserstein

N_SAMPLES = 120
X = make_blobs(N_SAMPLES, centers=[[0, 0], [8, 0], [0, 8]], random_state=0)[0]


@pytest.fixture
def stages():
    """Fits; returns (name, most steps, steps told of) of each stage."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks")

    class Recorder:
        max_propagation_depth = None

        def setup(self, estimator, context):
            self.stages = []

        def on_fit_task_begin(self, estimator, context):
            if context.parent is None:
                return
            if context.parent.parent is None:
                self.stages.append([context.task_name, context.max_subtasks, 0])
            else:
                self.stages[-1][2] += 1

        def on_fit_task_end(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

    def fitted(estimator):
        recorder = Recorder()
        estimator.set_callbacks(recorder).fit(X)
        return [tuple(stage) for stage in recorder.stages]

    return fitted


@pytest.fixture
def few_at_once(monkeypatch):
    """Samples are taken in many parts, as if they were more."""
    monkeypatch.setattr(chunks, "WHOLE", 50)
    monkeypatch.setattr(chunks, "CHUNK", 50)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("n_init", [1, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {"n_clusters": 3},
        {"n_clusters": 3, "model": "linear"},
        {"n_clusters": 3, "init": "random"},
        {"n_clusters": 3, "objective": "wasserstein_ova", "max_iter": 3},
        {"n_clusters": 3, "model": "categorical"},
        {"n_clusters": "auto"},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_seeding_tells_of_each_step(stages, parameters, n_init, solver):
    given = {"max_iter": 10} | parameters
    model = GeminiClustering(n_init=n_init, solver=solver, random_state=0, **given)
    name, most, told = stages(model)[0]
    assert name.startswith("seeding ")
    assert told <= most
    if parameters.get("init") == "random":
        assert (most, told) == (0, 0)
    else:
        assert told > 0
    if parameters.get("model") in ("linear", "categorical"):
        assert told == most  # nothing that may converge early


@pytest.mark.parametrize("objective", ["mmd_ovo", "tv_ovo", "kl_ova", "wasserstein_ova"])
@pytest.mark.parametrize("n_clusters", ["auto", 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parts_of_many_samples_are_steps(stages, few_at_once, monkeypatch, n_clusters, objective):
    if objective.startswith("wasserstein"):
        monkeypatch.setattr(evaluation, "TRANSPORT_PART", 25)
        objective = Wasserstein("ova", metric=lambda a, b: np.abs(a[:, None] - b[None]).sum(-1))
    model = GeminiClustering(n_clusters, objective=objective, n_init=1, max_iter=3, random_state=0)
    found = {name: numbers for name, *numbers in stages(model)}
    for name in ("evaluating", "labelling"):
        most, told = found[name]
        assert told == most > 1, name


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("n_clusters", ["auto", 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_transport_is_a_step(stages, n_clusters, mode):
    given = {"objective": Wasserstein(mode), "n_init": 1, "max_iter": 3, "random_state": 0}
    model = GeminiClustering(n_clusters, **given)
    *_, evaluating, _ = stages(model)
    n_clusters = model.n_clusters_
    n_transports = n_clusters if mode == "ova" else n_clusters * (n_clusters - 1) / 2
    assert evaluating == ("evaluating", n_transports, n_transports)
    assert n_transports > 1


@pytest.mark.parametrize("n_clusters", ["auto", 3])
def test_few_samples_have_no_parts(stages, n_clusters):
    *_, evaluating, labelling = stages(GeminiClustering(n_clusters, random_state=0))
    assert evaluating == ("evaluating", 0, 0)
    assert labelling == ("labelling", 0, 0)


def test_result_is_the_same_in_parts(few_at_once, monkeypatch):
    parts = GeminiClustering(random_state=0).fit(X)
    monkeypatch.undo()
    whole = GeminiClustering(random_state=0).fit(X)
    np.testing.assert_array_equal(parts.labels_, whole.labels_)
    assert parts.objective_value_ == pytest.approx(whole.objective_value_)


def messages_of(caplog):
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="gemclust"):
        GeminiClustering(3, n_init=1, verbose=1000, random_state=0).fit(X)
    return [record.getMessage() for record in caplog.records]


def test_log_says_now_and_then_how_far_a_long_stage_is(caplog, few_at_once, monkeypatch):
    begin = ["preparing 3 units", "seeding 3 units", "training 3 units"]
    assert messages_of(caplog) == [*begin, "evaluating", "labelling"]
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    messages = messages_of(caplog)
    assert "seeding 3 units: 1 of 14" in messages  # three seeds, thrice, and five imitations
    last = [message for message in messages if message.startswith("labelling")][-1]
    name, _, numbers = last.partition(": ")
    done, most = numbers.split(" of ")
    assert (name, done) == ("labelling", most)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_units_that_win_nothing_are_no_more_steps_than_were_told(stages, few_at_once):
    model = GeminiClustering(30, objective="kl_ovo", n_init=3, max_iter=3, random_state=0)
    found = {name: numbers for name, *numbers in stages(model)}
    assert model.n_clusters_ < 30  # evaluated anew without those that won nothing
    most, told = found["evaluating"]
    assert told == most > 1


class CtrlC(logging.Handler):
    """Comes when the log says that these stages begin."""

    def __init__(self, *stages):
        super().__init__()
        self.stages = list(stages)

    def emit(self, record):
        if record.getMessage() in self.stages:
            self.stages.remove(record.getMessage())
            raise KeyboardInterrupt


@pytest.fixture
def second_round(monkeypatch):
    """Fits where 20 units are few and 40 are begun; interrupts come when these stages begin."""
    centres = 10 * np.stack(np.divmod(np.arange(15), 4), 1)
    samples = make_blobs(750, centers=centres, random_state=0)[0]
    logger = logging.getLogger("gemclust")

    def fitted(model, *stages):
        monkeypatch.setattr(automatic, "UNITS", 20)
        monkeypatch.setattr(automatic, "MOST_UNITS", 40)
        handler = CtrlC(*stages)
        logger.addHandler(handler)
        try:
            return model.set_params(verbose=1000).fit(samples)
        finally:
            logger.removeHandler(handler)
            assert not handler.stages

    return fitted


@pytest.mark.parametrize("stage", ["preparing 40 units", "seeding 40 units"])
def test_interrupt_before_more_units_are_trained_keeps_those_of_before(
    second_round, monkeypatch, stage
):
    with pytest.warns(UserWarning, match="Interrupted before 40 units were trained") as record:
        model = second_round(GeminiClustering(random_state=0), stage)
    assert record[0].filename == __file__
    monkeypatch.setattr(automatic, "more_units", lambda *_: 0)
    expected = second_round(GeminiClustering(random_state=0))
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert model.objective_value_ == expected.objective_value_
    assert model.objective_curve_ == expected.objective_curve_
    assert sum(map(len, model.selection_.leaves)) == 20


def test_interrupt_that_nothing_survives_changes_nothing(second_round, monkeypatch):
    model = GeminiClustering(random_state=0)
    with pytest.raises(KeyboardInterrupt):
        second_round(model, "preparing 20 units")
    with pytest.warns(UserWarning, match="before 40 units"), pytest.raises(KeyboardInterrupt):
        second_round(model, "seeding 40 units", "evaluating")

    def in_a_process_group(*given, forgiving):
        return progress.Progress(*given, forgiving=False)

    monkeypatch.setattr(estimator, "Progress", in_a_process_group)
    with pytest.raises(KeyboardInterrupt):
        second_round(model, "seeding 40 units")
    assert not hasattr(model, "labels_")
