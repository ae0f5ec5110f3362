"""What is kept of a training: the best restart, the clusters it uses, and the tree of its units."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import cut_tree, is_valid_linkage

from gemclust.evaluation import log_probabilities
from gemclust.geometry import Affinity
from gemclust.metrics import gemini_score
from gemclust.models import Perceptron
from gemclust.objectives import get_objective
from gemclust.penalties import Penalties
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling
from gemclust.selection import (
    MergeTree,
    Selection,
    TestPoints,
    best_restart,
    n_points_to_test,
    points_by_rate,
    points_to_test,
    select,
    winners,
)
from gemclust.training import Run
from gemclust.views import views_of

X = np.array([[-30.0], [-20.0], [10.0], [40.0]])


def make_problem(n_units, alpha=0.0):
    weight, objective = np.ones(len(X)), get_objective("mmd_ovo")
    scaling = Scaling(X, weight)
    geometry = Affinity(objective, X, weight).geometry(X, weight)
    model = Perceptron((1, n_units))
    return Problem(
        model, Samples(scaling(X)), torch.full((4,), 0.25), geometry, objective, Penalties(alpha)
    )


def linear(*weights_then_biases):
    return torch.tensor(weights_then_biases, dtype=torch.float64)


def with_double_weight(problem):
    return replace(problem, weight=problem.weight.double())


def units(n_units):
    return [[unit] for unit in range(n_units)]


def test_best_restart_has_the_largest_objective():
    run = Run(torch.stack([linear(-0.1, 0.1, 0, 0), linear(-9, 9, 0, 0), linear(0, 0, 0, 0)]))
    assert best_restart(with_double_weight(make_problem(2)), run) == 1


def test_penalty_counts_in_the_choice_of_a_restart():
    run = Run(torch.stack([linear(-1, 1, 0, 0), linear(-9, 9, 0, 0)]))
    assert best_restart(with_double_weight(make_problem(2)), run) == 1
    assert best_restart(with_double_weight(make_problem(2, alpha=0.01)), run) == 0


def test_units_that_win_nothing_do_not_count_in_the_choice_of_a_restart():
    """With its vague third unit the first is better, without it the second."""
    vague, clear = linear(-1, 0, 1, 0, -0.2, 0), linear(-1.01, 0, 1.01, 0, -60, 0)
    problem = with_double_weight(make_problem(3))
    run = Run(torch.stack([vague, clear]))
    values = problem.value(run.parameters)
    kept = [winners(problem, run.parameters[r : r + 1], units(3)) for r in range(2)]
    assert values[0] > values[1]
    assert kept[0].clusters == kept[1].clusters == [[0], [2]]
    assert kept[0].value < kept[1].value
    assert best_restart(problem, run) == 1


@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_value_is_the_gemini_in_the_units_of_x_without_penalties(alpha):
    problem = with_double_weight(make_problem(2, alpha))
    parameters = linear(-9, 9, 0, 0)[None]
    kept = winners(problem, parameters, units(2))
    assert (kept.numbers, kept.clusters) == ([0, 1], [[0], [1]])
    proba = log_probabilities(problem.model, parameters, problem.inputs)[0].exp().numpy()
    assert kept.value == pytest.approx(gemini_score(X, proba, "mmd_ovo"), rel=1e-12)


def test_cluster_that_wins_nothing_is_dropped_and_the_rest_renormalised():
    problem = with_double_weight(make_problem(3))
    parameters = linear(-1, 0, 1, 0, -0.5, 0)[None]
    kept = winners(problem, parameters, units(3))
    assert (kept.numbers, kept.clusters) == ([0, 2], [[0], [2]])
    inputs = problem.inputs
    log_proba = log_probabilities(problem.model, parameters, inputs, kept.clusters)[0]
    proba = log_proba.exp().numpy()
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_allclose(kept.proportions, proba.mean(0))
    assert kept.value == pytest.approx(gemini_score(X, proba, "mmd_ovo"), rel=1e-12)


def test_best_restart_is_one_of_those_that_may_be_kept():
    run = Run(torch.stack([linear(-0.1, 0.1, 0, 0), linear(-9, 9, 0, 0), linear(-1, 1, 0, 0)]))
    problem = with_double_weight(make_problem(2))
    assert [best_restart(problem, run, among) for among in ([0], [0, 2], [1, 2])] == [0, 2, 1]


# Trees

# Groups of units join within a step that comes later but is not higher.
TREE = MergeTree(np.array([[3, 1], [4, 0], [3, 2], [4, 3]]), np.array([0.2, 0.1, 0.2, 1.5]))


def test_tree_is_cut_from_the_top():
    cuts = {n_clusters: TREE.cut(n_clusters).tolist() for n_clusters in (1, 2, 3, 4, 5, 9)}
    assert cuts == {
        1: [0, 0, 0, 0, 0],
        2: [0, 1, 1, 1, 0],
        3: [0, 1, 2, 1, 0],
        4: [0, 1, 2, 3, 0],
        5: [0, 1, 2, 3, 4],
        9: [0, 1, 2, 3, 4],
    }


def test_number_is_that_of_the_valleys_that_are_real():
    numbers = {s: TREE.n_clusters(s) for s in (0.5, 0.6, 1.0, 2.0, 4.0, 6.0, 9.0, 11.0)}
    assert numbers == {0.5: 1, 0.6: 1, 1.0: 2, 2.0: 2, 4.0: 2, 6.0: 4, 9.0: 4, 11.0: 5}
    assert TREE.n_clusters(1 / 1.5) == 2
    assert MergeTree(np.empty((0, 2), dtype=int), np.empty(0)).n_clusters() == 1


@pytest.mark.parametrize("n_units", [2, 5, 40])
@pytest.mark.parametrize("ties", [False, True])
def test_tree_of_any_shape_is_one_of_scipy(n_units, ties):
    rng = np.random.RandomState(n_units)
    left, pairs = list(range(n_units)), []
    for _ in range(n_units - 1):
        a, b = rng.choice(left, 2, replace=False)
        pairs.append((a, b))
        left.remove(b)
    tree = MergeTree(np.array(pairs), np.cumsum(rng.randint(0 if ties else 1, 2, n_units - 1)) / 10)
    assert is_valid_linkage(tree.linkage)
    by_scipy = cut_tree(tree.linkage)
    groups = {frozenset([unit]) for unit in range(n_units)}
    members = dict(enumerate(map(frozenset, np.arange(n_units)[:, None].tolist())))
    for step, (a, b, _, size) in enumerate(tree.linkage):
        joined = members[n_units + step] = members[a] | members[b]
        assert len(joined) == size
        groups = groups - {members[a], members[b]} | {joined}
        labels = tree.cut(len(groups))
        assert {frozenset(np.flatnonzero(labels == g).tolist()) for g in labels} == groups
        # Of steps of one height SciPy may take another first.
        if not ties:
            assert len(set(zip(by_scipy[:, step + 1], labels, strict=True))) == len(groups)


def test_clusters_hold_the_units_of_their_leaves():
    selection = Selection(TREE, [[0], [5, 1], [2], [6, 3, 7], [4]], np.array([9, 1, 4, 2, 6]))
    assert selection.clusters(2) == [[0, 4], [5, 1, 2, 6, 3, 7]]
    assert selection.clusters(5) == selection.leaves
    assert selection.n_clusters() == 2
    assert selection.heights.tolist() == [1.5, 0.2, 0.2, 0.1]
    np.testing.assert_array_equal(selection.linkage, TREE.linkage)


# Selection


def unit_problem(n_samples=60):
    """Three groups on a line, four units each but one, which wins nothing."""
    rng = np.random.RandomState(0)
    points = (rng.normal(size=n_samples) + 20 * (np.arange(n_samples) % 3))[:, None]
    centres = np.array([-1, 0, 1, 19, 20, 21, 39, 40, 41, 20.0])
    parameters = linear(*(4 * centres), *(-2 * centres**2 - 5 * (np.arange(10) == 9)))
    weight, objective = np.ones(n_samples), get_objective("mmd_ovo")
    geometry = Affinity(objective, points, weight).geometry(points, weight)
    mass = torch.full((n_samples,), 1 / n_samples, dtype=torch.float64)
    problem = Problem(Perceptron((1, 10)), Samples(points), mass, geometry, objective)
    return points, problem, parameters


def points_of(problem, points, smallest=None):
    return TestPoints(
        problem.inputs, lambda n: views_of(points, n, np.random.RandomState(0)), smallest
    )


def test_units_of_one_group_become_a_cluster():
    points, problem, parameters = unit_problem()
    restart, selection = select(
        problem, Run(parameters[None]), points_of(problem, points), lambda tree: tree.n_clusters()
    )
    assert restart == 0
    # The unit that wins nothing goes with the one next to it.
    assert [sorted(units) for units in selection.clusters(3)] == [
        [0, 1, 2],
        [3, 4, 5, 9],
        [6, 7, 8],
    ]
    assert selection.counts == {3: 1}
    assert selection.sizes.sum() == 60
    off = ~np.eye(3, dtype=bool)
    assert (selection.valleys[off] >= 1).all()


def test_most_frequent_number_wins_over_the_objective():
    points, problem, parameters = unit_problem()
    # Where all units are one, its objective is lowest, and the number another.
    one, same = 0 * parameters, parameters.clone()
    run = Run(torch.stack([one, parameters, one, one]))
    restart, selection = select(
        problem, run, points_of(problem, points), lambda tree: tree.n_clusters()
    )
    assert restart in (0, 2, 3)
    assert selection.counts == {1: 3, 3: 1}
    run = Run(torch.stack([one, torch.full_like(one, torch.nan), same, same]))
    restart, selection = select(
        problem, run, points_of(problem, points), lambda tree: tree.n_clusters()
    )
    assert restart == 2
    assert selection.counts == {1: 1, 3: 2}


def test_smallest_cluster_is_a_share_of_the_points():
    _, problem, _ = unit_problem(600)
    sizes = {n: points_of(replace_inputs(problem, n), np.arange(n)[:, None]) for n in (8, 500)}
    assert {n: points.smallest for n, points in sizes.items()} == {8: 4, 500: 5}
    assert points_of(problem, np.arange(600)[:, None], 12.5).smallest == 12.5
    assert TestPoints(Samples(np.zeros((5000, 1))), lambda n: [], None).smallest == 20


def replace_inputs(problem, n_samples):
    return replace(problem, inputs=Samples(np.zeros((n_samples, 1))))


def test_of_very_few_points_nothing_is_said():
    points, problem, parameters = unit_problem(5)
    few = points_of(problem, points)
    assert few.views is None
    _, selection = select(problem, Run(parameters[None]), few, lambda tree: tree.n_clusters())
    assert selection.counts == {1: 1}
    assert sorted(selection.clusters(1)[0]) == list(range(10))


# Test points


def small_beside_large():
    """Points, and the unit of each: two in a large group, one in a small one and in a tiny one."""
    rng = np.random.RandomState(0)
    sizes = [300, 40, 4]
    X = np.repeat([0.0, 30.0, 60.0], sizes)[:, None] + rng.normal(size=(sum(sizes), 2))
    units = np.repeat([0, 1, 2, 3], [150, 150, 40, 4])
    return TestPoints(Samples(X), lambda n: views_of(X, n, rng), None), units


def test_strays_go_with_their_neighbours_and_small_units_stay():
    points, units = small_beside_large()
    where = points.views[0].points
    # Two halves of a group are no strays where they are cut straight.
    units[:300] = np.argsort(np.argsort(where[:300, 0])) // 150
    np.testing.assert_array_equal(points.settled(units), units)
    # Nearest neighbours: each of the two finds the other one in its unit.
    pair = [300, points.views[0].neighbours[300, 0]]
    strayed = units.copy()
    strayed[pair] = 1
    np.testing.assert_array_equal(points.settled(strayed), units)


def test_small_group_is_found_though_a_unit_of_a_large_one_has_won_some_of_it():
    points, units = small_beside_large()
    units[[300, 301]] = 1
    bridged, settled = (points.valleys(each).matrix() for each in (units, points.settled(units)))
    assert bridged[2, :2].min() < 1 < settled[2, :2].min()


def test_a_unit_is_the_largest_part_of_its_points():
    """Neighbours of one another in the large group that a unit of the small one has won."""
    points, units = small_beside_large()
    patch = np.r_[10, points.views[0].neighbours[10, :4]]
    strayed = units.copy()
    strayed[patch] = 2
    settled = points.settled(strayed)
    assert (settled[300:] == units[300:]).all()
    assert set(settled[:300]) == {0, 1}
    assert points.valleys(settled).matrix()[2, :2].min() > 1


def test_test_points_are_few_and_spread_by_weight():
    assert [n_points_to_test(n_units) for n_units in (5, 20, 100)] == [2_000, 2_000, 10_000]
    assert len(points_to_test(np.ones(25_000), 2_000)) == 2_000
    np.testing.assert_array_equal(points_to_test(np.ones(300), 10_000), np.arange(300))
    # None stands twice, and of light samples only some.
    heavy = points_to_test(np.repeat([1.0, 9.0], 50), 2_000)
    assert 19 <= (heavy < 50).sum() <= 21
    np.testing.assert_array_equal(heavy[heavy >= 50], np.arange(50, 100))
    weight = np.random.RandomState(0).uniform(0.5, 2, 20_000)
    drawn = np.bincount(points_to_test(weight, 4_000), minlength=20_000)
    assert drawn.sum() == 4_000
    half = weight[:10_000].sum() / weight.sum() * 4_000
    assert drawn[:10_000].sum() == pytest.approx(half, abs=1)


def test_points_are_drawn_by_rate_and_stand_for_what_is_not_drawn():
    rates = np.repeat([2000.0, 30.0, 10.0, 1.0], [50, 100, 500, 9_350])
    rows, weight = points_by_rate(np.ones(10_000), rates, 1_000)
    assert abs(len(rows) - 1_000) <= 1
    assert weight.mean() == pytest.approx(1)
    drawn = np.bincount(np.digitize(rows, [50, 150, 650]))
    assert drawn[:2].tolist() == [50, 100]
    # What is left goes to the others in proportion to their rates.
    assert drawn[2:] == pytest.approx(850 * np.array([5_000, 9_350]) / 14_350, abs=1)
    # Each part counts for as many as it has.
    mass = np.bincount(np.digitize(rows, [50, 150, 650]), weight)
    assert mass / mass.sum() == pytest.approx([0.005, 0.01, 0.05, 0.935], rel=0.01)


def test_points_of_equal_rate_are_those_drawn_evenly():
    weight = np.random.RandomState(0).uniform(0.5, 2, 20_000)
    rows, stands_for = points_by_rate(weight, np.full(20_000, 0.3), 4_000)
    np.testing.assert_array_equal(rows, points_to_test(weight, 4_000))
    np.testing.assert_allclose(stands_for, 1)


def test_light_samples_are_drawn_by_their_rate_and_heavy_ones_once():
    weight = np.repeat([1.0, 0.01, 1e9], [9_000, 995, 5])
    rate = np.repeat([1.0, 900.0, 1.0], [9_000, 995, 5])
    rows, stands_for = points_by_rate(weight, rate, 2_000)
    drawn = np.bincount(np.digitize(rows, [9_000, 9_995]))
    assert drawn[2] == 5
    assert drawn[:2] == pytest.approx(1_995 * np.array([9_000, 8_955]) / 17_955, abs=1)
    # In the mean, those of a unit of light samples stand for as little as these weigh.
    mass = np.bincount(np.digitize(rows, [9_000, 9_995]), stands_for)
    assert mass[1] / mass[0] == pytest.approx(0.01 * 995 / 9_000, rel=0.01)


def test_all_points_are_drawn_where_so_many_are_looked_at():
    rows, stands_for = points_by_rate(np.ones(50), np.arange(1.0, 51), 50)
    np.testing.assert_array_equal(rows, np.arange(50))
    np.testing.assert_array_equal(stands_for, 1)
