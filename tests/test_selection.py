"""What is kept of a training: the best restart and the clusters it uses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gemclust import select_n_clusters
from gemclust.evaluation import log_probabilities
from gemclust.geometry import Affinity
from gemclust.metrics import gemini_score
from gemclust.models import Perceptron
from gemclust.objectives import get_objective
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling
from gemclust.selection import choose
from gemclust.training import Run

X = np.array([[-30.0], [-20.0], [10.0], [40.0]])


def make_problem(n_units, alpha=0.0):
    weight, objective = np.ones(len(X)), get_objective("mmd_ovo")
    scaling = Scaling(X, weight)
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    model = Perceptron((1, n_units))
    return Problem(model, Samples(scaling(X)), torch.full((4,), 0.25), geometry, objective, alpha)


def linear(*weights_then_biases):
    return torch.tensor(weights_then_biases, dtype=torch.float64)


def proba_of(problem, run, choice):
    """p(y|x) of the restart and the units that were kept."""
    best = run.parameters[choice.restart : choice.restart + 1]
    clusters = [[unit] for unit in choice.units]
    return log_probabilities(problem.model, best, problem.inputs, clusters)[0].exp().numpy()


def with_double_weight(problem):
    return replace(problem, weight=problem.weight.double())


def test_best_restart_is_kept_with_its_value_in_the_units_of_x():
    problem = with_double_weight(make_problem(2))
    run = Run(torch.stack([linear(-0.1, 0.1, 0, 0), linear(-9, 9, 0, 0), linear(0, 0, 0, 0)]))
    choice = choose(problem, run)
    assert choice.restart == 1
    assert choice.units.tolist() == [0, 1]
    expected = gemini_score(X, proba_of(problem, run, choice), "mmd_ovo")
    assert choice.value == pytest.approx(expected, rel=1e-12)


def test_penalty_counts_in_the_choice_and_not_in_the_value():
    run = Run(torch.stack([linear(-1, 1, 0, 0), linear(-9, 9, 0, 0)]))
    free = choose(with_double_weight(make_problem(2)), run)
    penalised = choose(with_double_weight(make_problem(2, alpha=0.01)), run)
    assert (free.restart, penalised.restart) == (1, 0)
    expected = gemini_score(X, proba_of(make_problem(2), run, penalised), "mmd_ovo")
    assert penalised.value == pytest.approx(expected, rel=1e-12)


def test_unit_that_wins_nothing_is_dropped_and_the_rest_renormalised():
    problem = with_double_weight(make_problem(3))
    run = Run(linear(-1, 0, 1, 0, -0.5, 0)[None])
    choice = choose(problem, run)
    assert choice.units.tolist() == [0, 2]
    proba = proba_of(problem, run, choice)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_allclose(choice.proportions, proba.mean(0))
    expected = gemini_score(X, proba, "mmd_ovo")
    assert choice.value == pytest.approx(expected, rel=1e-12)


def test_select_n_clusters_is_the_number_of_the_estimator():
    X = np.concatenate([rng_blob(seed, center) for seed, center in enumerate((0, 10, 20))])
    assert select_n_clusters(X, random_state=0) == 3
    assert select_n_clusters(X, max_clusters=2, random_state=0) == 2
    weight = np.repeat([1.0, 1.0, 0.0], 80)
    assert select_n_clusters(X, sample_weight=weight, random_state=0) == 2
    with pytest.raises(TypeError, match="n_clusters"):
        select_n_clusters(X, n_clusters=2)


def rng_blob(seed, center):
    return center + np.random.default_rng(seed).normal(size=(80, 2))
