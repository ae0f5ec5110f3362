"""The optimisation loop: it climbs, stops as documented, and restarts do not disturb each other."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn

from gemclust.batches import minibatches
from gemclust.evaluation import log_probabilities
from gemclust.geometry import Affinity
from gemclust.imitation import Imitation
from gemclust.levels import PATIENCE, climb
from gemclust.models import Perceptron
from gemclust.modules import ModuleModel
from gemclust.objectives import Batch, get_objective
from gemclust.penalties import Penalties
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling
from gemclust.threads import SMALL_PRODUCT, one_thread_if_small
from gemclust.training import KEPT_AFTER, Run, Settings, one_pass, train

LBFGS = Settings("lbfgs", None, 0.01, max_iter=300, tol=1e-4, n_iter_no_change=10)
ADAM = Settings("adam", None, 0.05, max_iter=400, tol=1e-4, n_iter_no_change=10)
SGD = Settings("sgd", None, 0.1, max_iter=400, tol=1e-4, n_iter_no_change=10)
SOLVERS = {"lbfgs": LBFGS, "adam": ADAM, "sgd": SGD}
every_solver = pytest.mark.parametrize("solver", SOLVERS)


def make_task(objective="mmd_ovo", hidden=(6,), n_samples=60, alpha=0.0, model=None, X=None):
    """Three blobs and a model of them."""
    if X is None:
        X, _ = make_blobs(n_samples, centers=3, cluster_std=1.5, random_state=0)
    objective, weight = get_objective(objective), np.ones(len(X))
    inputs = Samples(Scaling(X, weight)(X))
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    model = model or Perceptron((X.shape[1], *hidden, 3), "tanh")
    weight = torch.as_tensor(weight / weight.sum())
    return Problem(model, inputs, weight, geometry, objective, Penalties(alpha))


def make_start(problem, seeds=(0, 1, 2, 3, 4)):
    return problem.model.initialise(list(seeds), torch.float64)


def losses_of(problem, parameters):
    return problem.loss_and_gradient(parameters, torch.arange(len(parameters)))[0].numpy()


def run_of(problem, start, settings, report=None, seed=0):
    return train(problem, Run(start), settings, seed, report)


# Climbing


@every_solver
@pytest.mark.parametrize("hidden", [(), (6,)], ids=["linear", "mlp"])
@pytest.mark.parametrize("objective", ["mi", "tv_ovo", "hellinger_ova", "mmd_ova", "mmd_ovo"])
def test_every_restart_climbs(solver, hidden, objective):
    problem = make_task(objective, hidden, alpha=1e-3)
    start = make_start(problem)
    run = run_of(problem, start.clone(), replace(SOLVERS[solver], max_iter=80))
    before, after = losses_of(problem, start), losses_of(problem, run.parameters)
    assert (after < before - 0.02).all()
    assert run.parameters.shape == start.shape
    assert not run.interrupted


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("objective", ["mmd_ovo", "wasserstein_ova"])
def test_every_restart_climbs_on_mini_batches(solver, objective):
    problem = make_task(objective)
    start = make_start(problem, [0, 1])
    settings = replace(SOLVERS[solver], batch_size=20, max_iter=40)
    run = run_of(problem, start.clone(), settings)
    assert (losses_of(problem, run.parameters) < losses_of(problem, start) - 0.05).all()


def test_solvers_arrive_near_the_same_height():
    problem = make_task("mmd_ovo", ())
    start = make_start(problem, [0])
    reached = {
        name: losses_of(problem, run_of(problem, start.clone(), settings).parameters)[0]
        for name, settings in SOLVERS.items()
    }
    # The top is at infinite weights; the second order of L-BFGS comes nearest.
    assert reached["lbfgs"] < reached["adam"] < 0.97 * reached["lbfgs"]
    assert reached["lbfgs"] < reached["sgd"] < 0.97 * reached["lbfgs"]


@every_solver
def test_start_is_left_as_it_is(solver):
    problem = make_task()
    start = make_start(problem)
    before = start.clone()
    run_of(problem, start, replace(SOLVERS[solver], max_iter=5))
    assert torch.equal(start, before)


@pytest.mark.parametrize(
    "settings",
    [LBFGS, ADAM, SGD, replace(ADAM, learning_rate=3.0), replace(SGD, learning_rate=100.0)],
    ids=["lbfgs", "adam", "sgd", "adam, too fast", "sgd, too fast"],
)
def test_parameters_kept_are_those_of_the_best_loss_seen(settings):
    problem = make_task(alpha=1e-3)
    run = run_of(problem, make_start(problem), settings)
    best = [min(curve) for curve in run.curves]
    np.testing.assert_allclose(losses_of(problem, run.parameters), best, rtol=1e-9)


def test_penalty_is_part_of_the_loss():
    problem = make_task()
    start = make_start(problem)
    penalised = replace(problem, penalties=Penalties(0.3))
    expected = losses_of(problem, start) + 0.3 * problem.model.penalty(start).numpy()
    np.testing.assert_allclose(losses_of(penalised, start), expected, rtol=1e-12)
    free, held = (run_of(p, start.clone(), LBFGS).parameters for p in (problem, penalised))
    assert (problem.model.penalty(held) < 0.1 * problem.model.penalty(free)).all()


def test_loss_sees_only_the_units_that_count():
    problem = make_task()
    start = make_start(problem)
    logits = problem.model.logits(start, problem.inputs.take())[..., [2, 0]]
    batch = Batch(logits.log_softmax(-1), problem.weight, **problem.geometry.take())
    expected = -problem.objective.evaluate(batch)
    np.testing.assert_allclose(losses_of(replace(problem, clusters=[[2], [0]]), start), expected)


def test_imitation_ends_near_its_target():
    problem = make_task()
    nearest = torch.cdist(problem.inputs.take(), problem.inputs.take()[:3])
    target = (-nearest.square())[None].softmax(-1).expand(2, -1, -1)
    imitation = Imitation(problem.model, problem.inputs, problem.weight, target)
    run = run_of(imitation, make_start(problem, [0, 1]), replace(LBFGS, tol=1e-6, drop=False))
    reached = log_probabilities(problem.model, run.parameters, problem.inputs).exp()
    assert (reached - target).abs().max() < 0.1


# Mini-batches


@pytest.mark.parametrize(("n_samples", "batch_size"), [(100, 10), (103, 10), (7, 3), (5, 1)])
def test_batches_partition_the_samples(n_samples, batch_size):
    parts = list(minibatches(n_samples, batch_size, np.random.RandomState(0)))
    rows = [part for part, _ in parts]
    assert sorted(np.concatenate(rows)) == list(range(n_samples))
    sizes = [len(part) for part in rows]
    assert max(sizes) - min(sizes) <= 1
    assert abs(len(parts) - n_samples / batch_size) <= 0.5
    assert [share for _, share in parts] == pytest.approx([size / n_samples for size in sizes])


@pytest.mark.parametrize("batch_size", [None, 50, 80])
def test_batch_of_all_samples_is_one(batch_size):
    assert list(minibatches(50, batch_size, np.random.RandomState(0))) == [(None, 1.0)]


def test_batches_are_drawn_by_the_seed():
    rng = np.random.RandomState(3)
    first, second = ([p.tolist() for p, _ in minibatches(30, 10, rng)] for _ in range(2))
    again = [p.tolist() for p, _ in minibatches(30, 10, np.random.RandomState(3))]
    assert first == again != second


def test_training_on_mini_batches_repeats_under_its_seed():
    problem = make_task()
    settings = replace(ADAM, batch_size=20, max_iter=8)
    runs = [run_of(problem, make_start(problem), settings, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(runs[0].parameters, runs[1].parameters)
    assert not torch.equal(runs[0].parameters, runs[2].parameters)


# Stopping


def documented_stop(losses, tol, patience, against_best):
    """After how many iterations so many in a row improved too little; losses[0] is the start's."""
    stalled, reference = 0, losses[0]
    for iteration, loss in enumerate(losses[1:], 1):
        stalled = stalled + 1 if reference - loss <= tol * abs(loss) else 0
        reference = min(reference, loss) if against_best else loss
        if stalled == patience:
            return iteration
    return None


@every_solver
@pytest.mark.parametrize(("tol", "n_iter_no_change"), [(1e-4, 10), (1e-2, 3), (1e-3, 1)])
def test_training_stops_when_improvements_end(solver, tol, n_iter_no_change):
    problem = make_task(alpha=1e-3)
    start = make_start(problem)
    settings = replace(
        SOLVERS[solver], tol=tol, n_iter_no_change=n_iter_no_change, max_iter=2000, drop=False
    )
    run = run_of(problem, start.clone(), settings)
    assert run.converged.all()
    first = losses_of(problem, start) if solver == "lbfgs" else [np.inf] * 5
    for before, curve in zip(first, run.curves, strict=True):
        losses = [before, *curve]
        stop = documented_stop(losses, tol, n_iter_no_change, against_best=solver != "lbfgs")
        assert len(curve) == stop


def test_restarts_stop_at_their_own_time():
    problem = make_task()
    run = run_of(problem, make_start(problem), LBFGS)
    assert len({len(curve) for curve in run.curves}) > 1


@every_solver
def test_training_that_runs_out_of_iterations_has_not_converged(solver):
    problem = make_task()
    run = run_of(problem, make_start(problem), replace(SOLVERS[solver], max_iter=4, tol=0.0))
    assert not run.converged.any()
    assert [len(curve) for curve in run.curves] == [4] * 5


@every_solver
def test_report_hears_of_each_iteration_and_may_stop(solver):
    problem = make_task()
    heard = []

    def report(iteration, loss):
        heard.append((iteration, loss))
        return iteration == 3

    run = run_of(problem, make_start(problem), SOLVERS[solver], report)
    assert [iteration for iteration, _ in heard] == [1, 2, 3]
    best = np.minimum.accumulate(np.min(run.curves, axis=0))
    assert [loss for _, loss in heard] == pytest.approx(best.tolist())
    assert run.stopped
    assert not run.interrupted
    assert not run.converged.any()


@every_solver
def test_interruption_keeps_the_best_so_far(solver):
    problem = make_task()
    start = make_start(problem)

    def report(iteration, loss):
        if iteration == 3:
            raise KeyboardInterrupt
        return False

    run = run_of(problem, start.clone(), SOLVERS[solver], report)
    assert run.interrupted
    assert not run.converged.any()
    assert [len(curve) for curve in run.curves] == [3] * 5
    assert (losses_of(problem, run.parameters) < losses_of(problem, start)).all()


@every_solver
def test_training_after_an_interruption_changes_nothing(solver):
    problem = make_task()
    begin = Run(make_start(problem), interrupted=True)
    run = train(problem, begin, SOLVERS[solver], 0)
    assert run.interrupted
    assert torch.equal(run.parameters, begin.parameters)
    assert run.curves == [[]] * 5


# Restarts


@pytest.mark.parametrize("objective", ["mmd_ovo", "tv_ova", "mi", "wasserstein_ovo"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_each_of_five_restarts_walks_its_path_alone(solver, objective):
    # tanh has no kinks, at which rounding decides where a path goes on.
    problem = make_task(objective, n_samples=30)
    settings = replace(SOLVERS[solver], max_iter=60, drop=False)
    start = make_start(problem)
    together = run_of(problem, start.clone(), settings)
    for r in range(5):
        alone = run_of(problem, start[r : r + 1].clone(), settings)
        np.testing.assert_allclose(alone.curves[0], together.curves[r], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(
            log_probabilities(problem.model, alone.parameters, problem.inputs)[0].exp(),
            log_probabilities(problem.model, together.parameters, problem.inputs)[r].exp(),
            rtol=1e-4,
            atol=1e-4,
        )
        assert alone.converged[0] == together.converged[r]


@every_solver
def test_restart_that_is_not_finite_leaves_the_others_alone(solver):
    problem = make_task()
    start = make_start(problem, [0, 1, 2])
    start[1] = torch.nan
    settings = replace(SOLVERS[solver], max_iter=30, drop=False)
    run = run_of(problem, start.clone(), settings)
    for r in (0, 2):
        alone = run_of(problem, start[[r]].clone(), settings)
        torch.testing.assert_close(run.parameters[r], alone.parameters[0], rtol=1e-6, atol=1e-8)
    assert not run.converged[1]


# Restarts that fall behind


def test_restarts_that_fall_behind_stop_where_they_are():
    problem = make_task("mmd_ovo", ())
    start = make_start(problem, range(20))
    settings = replace(LBFGS, tol=0.0, max_iter=45)
    every = run_of(problem, start.clone(), replace(settings, drop=False))
    run = run_of(problem, start.clone(), settings)
    lengths = np.array([len(curve) for curve in run.curves])
    for curve, whole in zip(run.curves, every.curves, strict=True):
        # Those that go on walk the path they would walk with all others, as far as they go.
        np.testing.assert_allclose(curve, whole[: len(curve)], rtol=1e-6)
    for r, loss in enumerate(losses_of(problem, run.parameters)):
        assert loss == pytest.approx(run.curves[r][-1], rel=1e-9)
    for iteration, share in KEPT_AFTER.items():
        kept = lengths > iteration
        assert 1 <= kept.sum() <= np.ceil(share * 20)
        reached = np.array([curve[:iteration][-1] for curve in every.curves])
        alive = lengths >= iteration
        if (alive & ~kept).any():
            # A gap of rounding between paths may turn the order of two.
            assert reached[kept].max() <= reached[alive & ~kept].min() + 1e-6
    best = int(np.argmin([curve[-1] for curve in run.curves]))
    assert lengths[best] == lengths.max()
    assert not run.converged[lengths < lengths.max()].any()


def test_single_restart_is_never_dropped():
    problem = make_task("mmd_ovo", ())
    settings = replace(LBFGS, tol=0.0, max_iter=45)
    runs = [
        run_of(problem, make_start(problem, [0]), replace(settings, drop=drop))
        for drop in (True, False)
    ]
    assert runs[0].curves == runs[1].curves


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_other_solvers_drop_nothing(solver):
    run = run_of(make_task(), make_start(make_task()), replace(SOLVERS[solver], tol=0, max_iter=45))
    assert [len(curve) for curve in run.curves] == [45] * 5


# Ever more samples


def make_levels(objective="mmd_ovo", sizes=(40, 90)):
    problem = make_task(objective, (), n_samples=300)
    rows = np.random.default_rng(0).permutation(300)
    return [*(problem.subset(np.sort(rows[:size])) for size in sizes), problem]


@pytest.mark.parametrize("objective", ["mmd_ovo", "kl_ova", "tv_ovo"])
def test_climb_ends_on_all_samples(objective):
    levels = make_levels(objective)
    heard = []
    run = climb(levels, Run(make_start(levels[0])), LBFGS, 0, lambda *a: bool(heard.append(a)))
    assert len(run.parameters) == len(run.curves) == 1
    assert losses_of(levels[-1], run.parameters)[0] == pytest.approx(run.curves[0][-1])
    brief = replace(LBFGS, n_iter_no_change=PATIENCE[0])
    first = run_of(levels[0], make_start(levels[0]), brief)
    best = int(np.argmin([curve[-1] for curve in first.curves]))
    assert run.curves[0][: len(first.curves[best])] == first.curves[best]
    assert (losses_of(levels[-1], make_start(levels[0])) > run.curves[0][-1]).all()
    # Reports are numbered without a gap, and there are as many as iterations.
    assert [iteration for iteration, _ in heard] == list(range(1, len(heard) + 1))
    assert len(heard) == max(map(len, first.curves)) + len(run.curves[0]) - len(first.curves[best])


@pytest.mark.parametrize("max_iter", [1, 2, 5, 12])
def test_climb_makes_no_more_iterations_than_it_may(max_iter):
    levels = make_levels()
    settings = replace(LBFGS, max_iter=max_iter, tol=0.0)
    run = climb(levels, Run(make_start(levels[0])), settings, 0, lambda *a: False)
    assert len(run.curves[0]) == max_iter
    assert not run.converged.any()


@pytest.mark.parametrize("last", [1, 3])
@pytest.mark.parametrize("interrupt", [True, False])
def test_climb_that_is_ended_on_few_samples_stays_there(interrupt, last):
    levels = make_levels()

    def report(iteration, loss):
        if iteration == last and interrupt:
            raise KeyboardInterrupt
        return iteration == last

    run = climb(levels, Run(make_start(levels[0])), LBFGS, 0, report)
    assert run.interrupted is interrupt
    assert run.stopped is not interrupt
    assert [len(curve) for curve in run.curves] == [last] * 5


def test_climb_leaves_a_restart_behind_that_is_not_finite():
    levels = make_levels()
    start = make_start(levels[0], [0, 1, 2])
    start[0] = torch.nan
    run = climb(levels, Run(start), LBFGS, 0, lambda *a: False)
    assert np.isfinite(run.curves[0]).all()


# Losses that are not finite


@every_solver
@pytest.mark.parametrize("objective", ["mmd_ovo", "mmd_ova", "mi", "tv_ovo", "hellinger_ovo"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_input_that_overflows_is_the_likely_cause_of_a_first_loss(solver, objective, bad):
    problem = make_task(objective, ())
    problem.inputs.array[3, 0] = bad
    message = rf"no longer finite after 0 steps of {solver}; .*X holds values too large"
    with pytest.raises(FloatingPointError, match=message):
        run_of(problem, make_start(problem), SOLVERS[solver])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_learning_rate_is_the_likely_cause_of_a_later_loss(solver):
    problem = make_task(alpha=0.1)
    settings = replace(SOLVERS[solver], learning_rate=1e200)
    message = rf"no longer finite after 1 steps of {solver}; .*learning_rate=1e\+200 is too large"
    with pytest.raises(FloatingPointError, match=message):
        run_of(problem, make_start(problem), settings)


# Threads and random state


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_small_work_takes_one_thread_and_gives_the_others_back():
    with one_thread_if_small(10):
        assert torch.get_num_threads() == 1
        with one_thread_if_small(10):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_large_work_takes_the_threads_there_are():
    with one_thread_if_small(SMALL_PRODUCT + 1):
        assert torch.get_num_threads() == 2


def fail_in_one_thread():
    with one_thread_if_small(10):
        raise RuntimeError("in the middle")


@pytest.mark.usefixtures("two_threads")
def test_threads_are_given_back_after_an_error():
    for _ in range(2):  # the lock is free again, too
        with pytest.raises(RuntimeError, match="in the middle"):
            fail_in_one_thread()
        assert torch.get_num_threads() == 2
    with one_thread_if_small(10):
        assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_threads_are_given_back_when_training_fails_or_is_interrupted():
    problem = make_task()
    seen = []

    def interrupt(iteration, loss):
        seen.append(torch.get_num_threads())
        raise KeyboardInterrupt

    run_of(problem, make_start(problem), LBFGS, interrupt)
    assert seen == [1]
    assert torch.get_num_threads() == 2
    problem.inputs.array[:] = np.nan
    with pytest.raises(FloatingPointError):
        run_of(problem, make_start(problem), LBFGS)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_other_threads_than_the_main_one_change_nothing():
    # torch keeps the number per thread in some builds: compare before and within.
    seen = []

    def work():
        before = torch.get_num_threads()
        with one_thread_if_small(10):
            seen.append((before, torch.get_num_threads()))
        seen.append((before, torch.get_num_threads()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) == 2
    assert all(before == within for before, within in seen)
    assert torch.get_num_threads() == 2


def with_dropout(n_features, n_units):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, n_units))


@pytest.mark.parametrize("model", [None, ModuleModel(with_dropout, 2, 3)], ids=["mlp", "dropout"])
def test_global_random_state_is_neither_read_nor_touched(model):
    problem = make_task(model=model)
    settings = replace(ADAM, batch_size=20, max_iter=5)
    runs = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
            runs.append(run_of(problem, make_start(problem), settings))
            assert torch.equal(torch.get_rng_state(), states[0])
            assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert torch.equal(runs[0].parameters, runs[1].parameters)


# Passes over further batches


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (ADAM, lambda p: torch.optim.Adam(p, lr=0.05)),
        (SGD, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    ],
    ids=["adam", "sgd"],
)
def test_passes_continue_as_one_optimiser(settings, make):
    problems = [make_task(n_samples=n) for n in (60, 45, 30)]
    parameters, state = make_start(problems[0])[0].numpy(), {}
    reference = make_start(problems[0])[:1].clone()
    optimiser = make([reference])
    for problem in problems:
        parameters, state = one_pass(problem, parameters, state, settings)
        reference.grad = problem.loss_and_gradient(reference, torch.arange(1))[1]
        optimiser.step()
        np.testing.assert_allclose(parameters, reference[0].detach(), rtol=1e-10)
    assert all(isinstance(value, np.ndarray) for value in state.values())


@pytest.mark.parametrize("settings", [ADAM, SGD], ids=["adam", "sgd"])
def test_pass_climbs_and_leaves_what_it_was_given(settings):
    problem = make_task()
    start = make_start(problem)[0].numpy()
    settings = replace(settings, batch_size=15)
    parameters, state = one_pass(problem, start, {}, settings)
    assert (start == make_start(problem)[0].numpy()).all()
    kept = parameters.copy(), {name: value.copy() for name, value in state.items()}
    further, _ = one_pass(problem, parameters, state, settings)
    # So that a pass that fails can be undone by doing nothing.
    np.testing.assert_array_equal(parameters, kept[0])
    for name, value in state.items():
        np.testing.assert_array_equal(value, kept[1][name], err_msg=name)
    losses = [losses_of(problem, torch.as_tensor(p)[None]) for p in (start, parameters, further)]
    assert losses[0] > losses[1] > losses[2]


def test_pass_over_input_that_overflows_is_refused():
    problem = make_task()
    problem.inputs.array[0] = np.nan
    with pytest.raises(FloatingPointError, match="X holds values"):
        one_pass(problem, make_start(problem)[0].numpy(), {}, ADAM)
