"""Exact and sliced transport beyond the contract of every objective: short cuts change no value."""

import threading

import numpy as np
import ot
import pytest
import torch
from ot.sliced import get_random_projections
from references import wasserstein
from scipy.spatial.distance import cdist

from gemclust.objectives import Batch, SlicedWasserstein, Wasserstein
from gemclust.objectives import sliced as sliced_module
from gemclust.objectives import wasserstein as wasserstein_module
from gemclust.objectives.wasserstein import TRUE_METRICS, transport
from gemclust.threads import in_threads, n_workers, one_thread_if_small


def soft(logits):
    return logits


def hard(logits):
    low = torch.full_like(logits, -torch.inf)
    return low.scatter(2, logits.argmax(2, keepdim=True), 0.0)


def empty(logits):
    return torch.cat([logits[..., :-1], torch.full_like(logits[..., -1:], -torch.inf)], -1)


def make_batch(problem, metric="euclidean", shape=soft, **options):
    matrix = torch.tensor(cdist(problem.X, problem.X, metric))
    options = {"triangle": metric in TRUE_METRICS} | options
    return Batch(shape(problem.logits).log_softmax(-1), problem.weight, matrix=matrix, **options)


def expected_by_pot(batch, mode):
    """Plain linear programs on all of the mass."""
    values = []
    for joint in batch.weighted_proba.numpy().astype(float):
        pi, total = joint.sum(0), 0.0
        used = [k for k in range(len(pi)) if pi[k] > 0]
        for k in used:
            others = [(1.0, batch.weight.numpy())]
            if mode == "ovo":
                others = [(pi[b], joint[:, b] / pi[b]) for b in used if b != k]
            for share, target in others:
                cost = ot.emd2(joint[:, k] / pi[k], target, batch.matrix.numpy())
                total += pi[k] * share * cost
        values.append(total)
    return torch.tensor(values, dtype=torch.float64)


def value_and_gradient(objective, batch, **changes):
    log_proba = batch.log_proba.clone().requires_grad_()
    fields = {name: getattr(batch, name) for name in ("weight", "matrix", "features", "triangle")}
    value = objective.evaluate(Batch(log_proba, **fields | changes))
    (gradient,) = torch.autograd.grad(value.sum(), log_proba)
    return value.detach(), gradient


# Exact transport


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("n_clusters", [2, 3, 5])
@pytest.mark.parametrize("shape", [soft, hard, empty])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "sqeuclidean", "cosine"])
def test_value_is_that_of_plain_transport(make_problem, mode, n_clusters, shape, metric):
    problem = make_problem(60, n_clusters, n_restarts=2)
    batch = make_batch(problem, metric, shape)
    value = Wasserstein(mode).evaluate(batch)
    torch.testing.assert_close(value, expected_by_pot(batch, mode), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("triangle", [True, False])
@pytest.mark.parametrize("kind", ["overlapping", "apart", "equal", "one sample"])
def test_potentials_are_feasible_and_have_the_cost(kind, triangle):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    matrix, (a, b) = cdist(X, X), rng.dirichlet(np.ones(20), size=2)
    a, b = {
        "overlapping": (a, b),
        "apart": (np.where(np.arange(20) < 7, a, 0), np.where(np.arange(20) > 9, 3 * b, 0)),
        "equal": (a, 2 * a),
        "one sample": (np.eye(20)[4], b),
    }[kind]
    u, v = transport(a, b, matrix, triangle)
    a, b = a / a.sum(), b / b.sum()
    assert (u[:, None] + v <= matrix + 1e-12).all()
    assert a @ u + b @ v == pytest.approx(wasserstein(a, b, matrix), abs=1e-12)


@pytest.mark.parametrize("metric", sorted({*TRUE_METRICS} - {"geodesic", "l1", "l2", "manhattan"}))
def test_true_metrics_obey_the_triangle_inequality(metric):
    X = np.random.default_rng(0).normal(size=(40, 3)).round(1)
    distance = cdist(X, X, metric)
    assert (distance[:, None] <= distance[:, :, None] + distance.T[None] + 1e-12).all()
    assert (distance.diagonal() == 0).all()


def test_nothing_is_cancelled_unless_the_triangle_inequality_is_known(make_problem):
    batch = make_batch(make_problem(30, 3), "sqeuclidean")
    wrong = Batch(batch.log_proba, batch.weight, matrix=batch.matrix, triangle=True)
    exact = Wasserstein().evaluate(batch)
    assert not Batch(batch.log_proba, batch.weight).triangle
    assert (Wasserstein().evaluate(wrong) > exact + 1e-3).all()


@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_warm_start_gives_the_same_value_and_gradient(make_problem, mode, metric):
    batch = make_batch(make_problem(80, 3, n_restarts=2), metric)
    memory = {}
    for step in range(4):
        log_proba = (batch.log_proba + 0.1 * step * batch.log_proba.cos()).log_softmax(-1)
        moved = Batch(log_proba, batch.weight, matrix=batch.matrix, triangle=batch.triangle)
        cold = value_and_gradient(Wasserstein(mode), moved)
        warm = value_and_gradient(Wasserstein(mode), moved, memory=memory)
        torch.testing.assert_close(warm, cold, rtol=1e-9, atol=1e-12)


@pytest.fixture
def starts(monkeypatch):
    """Where each simplex began, in order."""
    seen = []
    emd = ot.emd

    def spy(*args, potentials_init=None, **options):
        seen.append(potentials_init)
        return emd(*args, potentials_init=potentials_init, **options)

    monkeypatch.setattr(ot, "emd", spy)
    return seen


def test_memory_holds_the_potentials_of_each_restart_and_pair(make_problem, starts):
    problem, memory = make_problem(30, 3, n_restarts=3), {}
    objective = Wasserstein("ovo")
    objective.evaluate(make_batch(problem, memory=memory))
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert sorted(memory) == [(r, *pair) for r in range(3) for pair in pairs]
    assert [start is None for start in starts] == [True] * 9
    # Restart 1 has stopped: the others go on from their own potentials.
    kept = dict(memory)
    problem.logits = problem.logits[[0, 2]]
    objective.evaluate(make_batch(problem, memory=memory, restarts=(0, 2)))
    assert len(starts) == 15
    assert len(memory) == 9
    for start, key in zip(starts[9:], [(r, *pair) for r in (0, 2) for pair in pairs], strict=True):
        assert set(start[0]) <= set(kept[key][0])
    assert all(memory[1, a, b] is kept[1, a, b] for a, b in pairs)


def test_without_memory_every_start_is_cold(make_problem, starts):
    problem = make_problem(30, 3)
    for _ in range(2):
        Wasserstein().evaluate(make_batch(problem))
    assert starts == [None] * 6


def test_two_clusters_and_a_metric_need_one_transport(make_problem, starts):
    problem = make_problem(30, 2)
    for metric, n_solved in (("euclidean", 1), ("sqeuclidean", 2)):
        starts.clear()
        Wasserstein().evaluate(make_batch(problem, metric))
        assert len(starts) == n_solved


def test_simplex_that_does_not_end_is_an_error(make_problem, monkeypatch):
    monkeypatch.setattr(wasserstein_module, "MAX_PIVOTS", 1)
    with (
        pytest.warns(UserWarning, match="numItermax"),
        pytest.raises(RuntimeError, match="not solved"),
    ):
        Wasserstein().evaluate(make_batch(make_problem(60, 3)))


def test_start_from_which_the_simplex_does_not_end_is_given_up(monkeypatch):
    rng = np.random.default_rng(0)
    source, target = rng.dirichlet(np.ones(60), 2)
    matrix = np.abs(np.subtract.outer(np.arange(60.0), np.arange(60.0)))
    wrong = tuple(50.0 * rng.standard_normal((2, 60)))
    expected = transport(source, target, matrix)
    monkeypatch.setattr(wasserstein_module, "WARM_PIVOTS", 1)
    with pytest.warns(UserWarning, match="numItermax"):
        u, v = transport(source, target, matrix, start=wrong)
    assert source @ u + target @ v == pytest.approx(source @ expected[0] + target @ expected[1])


# Threads


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_number_of_threads_changes_no_digit(make_problem, mode, set_threads, monkeypatch):
    monkeypatch.setattr(wasserstein_module, "SMALL_TRANSPORT", 0)
    batch = make_batch(make_problem(60, 4, n_restarts=3))
    values = []
    for n_threads in (1, 2, 5):
        set_threads(n_threads)
        with one_thread_if_small(1):
            values.append(value_and_gradient(Wasserstein(mode), batch))
    for value, gradient in values[1:]:
        assert torch.equal(value, values[0][0])
        assert torch.equal(gradient, values[0][1])


def test_pool_sees_the_users_threads_and_one_outside_the_main_thread(set_threads):
    set_threads(3)
    with one_thread_if_small(1):
        assert torch.get_num_threads() == 1
        assert n_workers() == 3
    assert n_workers() == 3
    seen = []
    thread = threading.Thread(target=lambda: seen.append(n_workers()))
    thread.start()
    thread.join()
    assert seen == [1]


def test_pool_keeps_the_order_and_raises_what_a_call_raises(set_threads):
    set_threads(4)
    names = list(in_threads(lambda i: (i, threading.current_thread().name), range(20)))
    assert [i for i, _ in names] == list(range(20))
    assert threading.current_thread().name not in {name for _, name in names}
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda i: 1 / i, [1, 0]))


# Random pairs


def test_random_pairs_have_the_sum_as_their_expectation(make_problem):
    batch = make_batch(make_problem(20, 4, n_restarts=2))
    rng, objective = np.random.RandomState(0), Wasserstein("ovo", n_pairs=2)
    exact = value_and_gradient(Wasserstein("ovo"), batch)
    draws = [value_and_gradient(objective, batch, rng=rng) for _ in range(300)]
    for part, expected in zip(zip(*draws, strict=True), exact, strict=True):
        part = torch.stack(part)
        error = part.std(0) / len(part) ** 0.5
        assert ((part.mean(0) - expected).abs() <= 4 * error + 1e-12).all()
        assert (part.std(0) > 0).any()


def test_random_pairs_save_transports_in_training_only(make_problem, starts):
    problem, objective = make_problem(20, 5), Wasserstein("ovo", n_pairs=3)
    for rng, n_solved in ((np.random.RandomState(0), 3), (None, 10)):
        starts.clear()
        objective.evaluate(make_batch(problem, rng=rng))
        assert len(starts) == n_solved


def test_random_pairs_do_not_depend_on_the_other_restarts(make_problem):
    batch = make_batch(make_problem(20, 5, n_restarts=3))
    objective = Wasserstein("ovo", n_pairs=3)
    together = value_and_gradient(objective, batch, rng=np.random.RandomState(0))[0]
    alone = Batch(batch.log_proba[[2]], batch.weight, matrix=batch.matrix, triangle=True)
    value = value_and_gradient(objective, alone, rng=np.random.RandomState(0))[0]
    torch.testing.assert_close(value, together[[2]])


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Wasserstein("ovo", n_pairs=0), "n_pairs=0 must be None or"),
        (Wasserstein("ovo", n_pairs=1.5), "n_pairs=1.5 must be None or"),
        (Wasserstein("ova", n_pairs=2), "n_pairs=2 needs mode='ovo'"),
        (Wasserstein("all"), "mode='all'"),
        (SlicedWasserstein(n_projections=0), "n_projections=0 must be"),
        (SlicedWasserstein(n_projections=None), "n_projections=None must be"),
        (SlicedWasserstein(random_state=-1), "random_state=-1 must be"),
    ],
)
def test_wrong_parameters_are_named(objective, message):
    with pytest.raises(ValueError, match=message):
        objective.check()


# Sliced transport


def sliced_batch(problem, **options):
    return Batch(problem.logits.log_softmax(-1), problem.weight, features=problem.X, **options)


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_sliced_value_and_gradient_are_those_of_pot(make_problem, mode):
    problem = make_problem(30, 3)
    batch = sliced_batch(problem)
    value, gradient = value_and_gradient(SlicedWasserstein(mode, n_projections=7), batch)
    directions = get_random_projections(problem.X.shape[1], 7, np.random.RandomState(0))
    log_proba = batch.log_proba.clone().requires_grad_()
    joint = problem.weight * log_proba[0].exp().T
    pi = joint.sum(1)
    sides = [(pi[k], joint[k] / pi[k]) for k in range(3)]
    others = sides if mode == "ovo" else [(torch.tensor(1.0), problem.weight)]
    options = {"projections": torch.tensor(directions), "p": 1}
    expected = sum(
        share * other * ot.sliced_wasserstein_distance(problem.X, problem.X, a, b, **options)
        for share, a in sides
        for other, b in others
        if a is not b
    )
    torch.testing.assert_close(value[0], expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, log_proba)[0])


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_sliced_is_at_most_exact_and_equal_to_it_on_a_line(make_problem, mode):
    problem = make_problem(40, 3, n_restarts=4)
    exact = Wasserstein(mode).evaluate(make_batch(problem))
    assert (SlicedWasserstein(mode).evaluate(sliced_batch(problem)) < exact).all()
    problem.X = problem.X[:, :1]
    exact = Wasserstein(mode).evaluate(make_batch(problem))
    torch.testing.assert_close(SlicedWasserstein(mode).evaluate(sliced_batch(problem)), exact)


@pytest.mark.parametrize("mode", ["ova", "ovo"])
def test_blocks_of_directions_change_nothing(make_problem, mode, monkeypatch):
    batch = sliced_batch(make_problem(30, 3, n_restarts=2))
    whole = value_and_gradient(SlicedWasserstein(mode), batch)
    monkeypatch.setattr(sliced_module, "BLOCK", 1)
    torch.testing.assert_close(value_and_gradient(SlicedWasserstein(mode), batch), whole)


def test_samples_are_sorted_once_where_they_are_seen_again(make_problem):
    problem, memory = make_problem(30, 3), {}
    first = SlicedWasserstein().evaluate(sliced_batch(problem, memory=memory))
    problem.X = None
    assert torch.equal(SlicedWasserstein().evaluate(sliced_batch(problem, memory=memory)), first)


def test_other_directions_are_another_objective(make_problem):
    batch = sliced_batch(make_problem(30, 3))
    values = {SlicedWasserstein(random_state=seed).evaluate(batch).item() for seed in (0, 0, 1)}
    assert len(values) == 2
