"""Running means over mini-batches, and what "auto" makes of the batch size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from gemclust import GeminiClustering
from gemclust.geometry import Affinity
from gemclust.models import Perceptron
from gemclust.objectives import get_objective
from gemclust.parameters import resolve_settings
from gemclust.problem import Problem, RunningMeans
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
        batch = problem._as_batch(log_proba, rows, problem.weight[rows].sum(), {})
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


def test_training_with_running_means_climbs_and_repeats():
    problem = make_problem("mmd_ovo")
    start = problem.model.initialise([0, 1], torch.float64)
    settings = Settings("adam", 15, 0.05, 30, 0.0, 40, running_means=0.2)
    runs = [train(problem, Run(start.clone()), settings, seed=0) for _ in range(2)]
    assert torch.equal(runs[0].parameters, runs[1].parameters)
    assert (problem.value(runs[0].parameters) > problem.value(start) + 0.05).all()
    plain = train(problem, Run(start.clone()), replace(settings, running_means=None), seed=0)
    assert not torch.equal(plain.parameters, runs[0].parameters)
