"""Running means over mini-batches, and what "auto" makes of the batch size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering
from gemclust.automatic import resolve_settings
from gemclust.geometry import Affinity
from gemclust.means import RunningMeans
from gemclust.models import Perceptron
from gemclust.objectives import SlicedWasserstein, get_objective
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling
from gemclust.training import Run, Settings, train

MANY = 50_000
MEANS = ("mmd_ovo", "mmd_ova", "mi", "kl_ovo", "tv_ova", "tv_ovo", "hellinger_ova", "chi2_ova")
every_objective = pytest.mark.parametrize("objective", MEANS)


def make_problem(objective, n_samples=90):
    X, _ = make_blobs(n_samples, centers=3, cluster_std=1.5, random_state=0)
    objective, weight = get_objective(objective), np.ones(n_samples)
    inputs = Samples(Scaling(X, weight)(X))
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    weight = torch.full((n_samples,), 1 / n_samples, dtype=torch.float64)
    return Problem(Perceptron((2, 6, 3), "tanh"), inputs, weight, geometry, objective)


def evaluated(problem, parameters, rows=None, running=None):
    return problem.loss_and_gradient(parameters, torch.arange(len(parameters)), rows, running)


# Running means


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_running_mean_of_a_constant_stream_is_the_constant(share):
    running, mean = RunningMeans(share), torch.tensor([0.2, 0.8], dtype=torch.float64)
    for _ in range(5):
        (blended,) = running.blend(0, [mean])
        torch.testing.assert_close(blended, mean, rtol=1e-15, atol=0)


def test_running_mean_moves_by_its_share():
    running = RunningMeans(0.25)
    stream = torch.tensor([1.0, 5.0, -3.0], dtype=torch.float64)
    kept = [float(running.blend(0, [value])[0]) for value in stream]
    assert kept == [1.0, 2.0, 0.75]


def test_stages_are_kept_apart():
    running = RunningMeans(0.5)
    for stage, value in ((0, 1.0), (1, 10.0), (0, 3.0), (1, 20.0)):
        (blended,) = running.blend(stage, [torch.tensor(value)])
    assert float(blended) == 15.0
    assert float(running.kept[0][0]) == 2.0


@every_objective
def test_running_means_of_the_same_parameters_on_all_samples_change_nothing(objective):
    problem = make_problem(objective)
    parameters = problem.model.initialise([0, 1], torch.float64)
    running, plain = RunningMeans(0.3), evaluated(problem, parameters)
    for _ in range(3):
        for found, expected in zip(
            evaluated(problem, parameters, running=running), plain, strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@every_objective
def test_share_of_one_is_the_batch_alone(objective):
    problem = make_problem(objective)
    parameters = problem.model.initialise([0], torch.float64)
    running, rng = RunningMeans(1.0), np.random.RandomState(0)
    for _ in range(3):
        rows = rng.choice(90, 20, replace=False)
        found = evaluated(problem, parameters, rows, running)
        for a, b in zip(found, evaluated(problem, parameters, rows), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("objective", ["mmd_ovo", "mmd_ova", "mi"])
def test_running_means_lower_the_error_of_small_batches(objective):
    problem = make_problem(objective)
    parameters = 0.3 * problem.model.initialise([0], torch.float64)
    whole = float(evaluated(problem, parameters)[0][0])
    running, rng = RunningMeans(0.2), np.random.RandomState(0)
    alone, blended = [], []
    for _ in range(200):
        rows = rng.choice(90, 10, replace=False)
        alone.append(float(evaluated(problem, parameters, rows)[0][0]))
        blended.append(float(evaluated(problem, parameters, rows, running)[0][0]))
    error = [np.sqrt(np.mean(np.square(np.array(some) - whole))) for some in (alone, blended)]
    assert error[1] < 0.5 * error[0]


@pytest.mark.parametrize("objective", ["mmd_ovo", "mi"])
def test_gradient_is_that_of_the_batch_at_the_running_means(objective):
    problem = make_problem(objective)
    first, second = problem.model.initialise([0, 1], torch.float64)[:, None]
    rows = np.arange(0, 90, 3)
    running = RunningMeans(0.25)
    evaluated(problem, first, rows, running)
    value, gradient = evaluated(problem, second, rows, running)

    def means_of(parameters):
        log_proba = problem.log_proba(parameters, rows)
        batch = problem.as_batch(log_proba, rows, problem.weight[rows].sum(), {})
        return problem.objective.means(batch)

    old, new = ([m.detach() for m in means_of(p)] for p in (first, second))
    kept = [0.75 * a + 0.25 * b for a, b in zip(old, new, strict=True)]
    leaves = [m.clone().requires_grad_() for m in kept]
    expected = problem.objective.value(*leaves)
    torch.testing.assert_close(value, -expected.detach())
    slopes = torch.autograd.grad(expected.sum(), leaves)
    leaf = second.clone().requires_grad_()
    through = sum((m * s).sum() for m, s in zip(means_of(leaf), slopes, strict=True))
    torch.testing.assert_close(gradient, -torch.autograd.grad(through, leaf)[0])


@pytest.mark.parametrize("batch_size", [None, 70, 90, 200])
def test_one_batch_of_all_samples_has_no_running_means(batch_size):
    problem = make_problem("mmd_ovo")
    start = problem.model.initialise([0], torch.float64)
    settings = Settings("adam", batch_size, 0.05, 5, 0.0, 10)
    plain, running = (
        train(problem, Run(start.clone()), replace(settings, running_means=share), seed=0)
        for share in (None, 0.2)
    )
    assert torch.equal(plain.parameters, running.parameters)


def test_training_with_running_means_climbs_and_repeats():
    problem = make_problem("mmd_ovo")
    start = problem.model.initialise([0, 1], torch.float64)
    settings = Settings("adam", 15, 0.05, 30, 0.0, 40, running_means=0.2)
    runs = [train(problem, Run(start.clone()), settings, seed=0) for _ in range(2)]
    assert torch.equal(runs[0].parameters, runs[1].parameters)
    assert (problem.value(runs[0].parameters) > problem.value(start) + 0.05).all()
    plain = train(problem, Run(start.clone()), replace(settings, running_means=None), seed=0)
    assert not torch.equal(plain.parameters, runs[0].parameters)


# What "auto" means


def resolved(n_samples=MANY, n_units=10, objective="mmd_ovo", **params):
    estimator = GeminiClustering(**params)
    return resolve_settings(estimator, get_objective(objective), n_samples, n_units)


@pytest.mark.parametrize(
    ("objective", "batch_size", "share"),
    [
        ("mmd_ovo", 50, 0.5),
        ("mmd_ova", 200, 0.5),
        ("mmd_ova", 201, None),
        ("mmd_ovo", "auto", None),
        ("mmd_ovo", None, None),
        ("mi", 50, None),
        ("tv_ovo", 50, None),
        ("wasserstein_ova", 50, None),
    ],
)
def test_means_run_in_small_batches_of_an_objective_with_a_kernel(objective, batch_size, share):
    settings = resolved(objective=objective, batch_size=batch_size, solver="adam")
    assert settings.running_means == share


@pytest.mark.parametrize(
    ("n_samples", "n_units", "objective", "expected"),
    [
        (10_000, 10, "mmd_ovo", None),
        (10_001, 10, "mmd_ovo", 1_000),
        (1_000_000, 10, "mi", 10_000),
        (40_000, 80, "mmd_ova", 2_000),
        (40_000, 200, "mmd_ova", 5_000),
        (500, 3, "wasserstein_ova", None),
        (40_000, 3, "wasserstein_ova", 200),
        (40_000, 3, "sliced", 2_000),
    ],
)
def test_batch_grows_with_the_root_of_the_samples(n_samples, n_units, objective, expected):
    objective = SlicedWasserstein() if objective == "sliced" else objective
    settings = resolved(n_samples, n_units, objective, solver="adam")
    assert settings.batch_size == expected


@pytest.mark.parametrize("solver", ["lbfgs", "auto"])
def test_all_samples_at_once_with_lbfgs(solver):
    settings = resolved(solver=solver)
    assert (settings.solver, settings.batch_size, settings.running_means) == ("lbfgs", None, None)


def test_given_batch_size_is_taken_as_it_is():
    settings = resolved(batch_size=77)
    assert (settings.solver, settings.batch_size) == ("adam", 77)


def test_estimator_trains_on_small_batches_with_running_means():
    X, y = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8]], random_state=0)
    estimator = GeminiClustering(3, batch_size=30, max_iter=60, random_state=0).fit(X)
    assert adjusted_rand_score(y, estimator.labels_) > 0.95
    estimator.partial_fit(X[:90])
    assert adjusted_rand_score(y[:90], estimator.labels_) > 0.95
