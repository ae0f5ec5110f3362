"""Evidence of valleys against loops over all pairs, and on densities that are known."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from gemclust import GeminiClustering
from gemclust import valleys as valleys_module
from gemclust import views as views_module
from gemclust.objectives import MMD, Wasserstein
from gemclust.projections import local_directions
from gemclust.thresholds import SURROUNDED
from gemclust.valleys import (
    PART,
    Depths,
    Valleys,
    heights_of,
    level,
    merge,
)
from gemclust.views import (
    EDGES,
    RANKS,
    SCALES,
    as_distances,
    by_tree,
    evidence_in,
    scaled,
    share_in_cubes,
    view_of_distances,
    views_of,
)


def between(views, labels):
    """The significance of the valley between each two groups, NaN on the diagonal."""
    matrix = Valleys(views, labels, 0).matrix()
    np.fill_diagonal(matrix, np.nan)
    return matrix


def rng(seed=0):
    return np.random.RandomState(seed)


def three_groups(n_samples=60, n_features=2, spread=1.0):
    """Overlapping or not, with the group of each sample."""
    centres = np.zeros((3, n_features))
    centres[1, 0] = centres[2, -1] = 8
    return make_blobs(n_samples, centers=centres, cluster_std=spread, random_state=0)


def neighbours_by_sorting(points, n_neighbours):
    distances = cdist(points, points)
    np.fill_diagonal(distances, -1)
    order = np.argsort(distances, axis=1)[:, 1 : n_neighbours + 1]
    return np.take_along_axis(distances, order, 1), order


# Levels


def test_level():
    for dimension, factor in {1: 0.98, 4: 0.4375, 25: 0.5848}.items():
        assert level(100, 5, dimension) == pytest.approx(factor * (np.log(20) + 0.5))
    sizes = level(np.array([20, 100, 10_000]), 5, 2)
    assert np.all(np.diff(sizes) > 0)
    assert np.all(np.diff(level(10_000, SCALES, 2)) < 0)
    below = level(1000, 8, np.array([1, 2, 3, 5]))
    assert np.all(np.diff(below) < 0)


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_level_is_seldom_passed_inside_one_cluster(n_features):
    depths = []
    for seed in range(12):
        points = rng(seed).normal(size=(200, n_features))
        labels = (points[:, 0] > 0).astype(int)
        depths.append(between(views_of(points, 141, rng()), labels)[0, 1])
    assert np.mean(np.array(depths) < 1) >= 11 / 12
    assert max(depths) > 0


# Views


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_view_of_few_features_is_that_of_the_points(n_features):
    points, _ = three_groups(n_features=n_features)
    (view,) = views_of(points, 30, rng())
    distances, neighbours = neighbours_by_sorting(points, 30)
    np.testing.assert_allclose(view.distances, distances)
    np.testing.assert_array_equal(view.neighbours, neighbours)
    assert view.dimension == n_features
    np.testing.assert_allclose(view.points, points - points.mean(0))
    first, second = np.array([0, 3, 7]), np.array([1, 4, 5])
    middle = (points[first] + points[second]) / 2
    expected = np.sort(cdist(middle, points), axis=1)[:, :31]
    np.testing.assert_allclose(view.midway(first, second)[0], expected)


@pytest.mark.parametrize(
    ("n_features", "dimensions"),
    # Five features are not seen twice; of fewer than ten points a feature, no other directions.
    [
        (4, [4, 2]),
        (5, [5, 2]),
        (6, [6, 5, 2, 5]),
        (7, [7, 5, 2, 5]),
        (8, [8, 2, 5]),
        (80, [50, 2, 5]),
    ],
)
def test_many_features_are_projected(n_features, dimensions):
    points = rng().normal(size=(70, n_features)) * np.linspace(5, 1, n_features)
    views = views_of(points, 20, rng())
    assert [view.dimension for view in views] == dimensions
    scores = points - points.mean(0)
    scores = scores @ np.linalg.svd(scores, full_matrices=False)[2].T
    local = scores @ local_directions(scores, neighbours_by_sorting(scores, EDGES)[1])
    n_principal = {4: 1, 5: 1, 6: 2, 7: 2}.get(n_features, 3)
    for number, view in enumerate(views):
        # All of up to fifty features are seen as they are, which does not change distances.
        space = scores if number < n_principal else local
        expected, _ = neighbours_by_sorting(space[:, : view.dimension], 20)
        np.testing.assert_allclose(view.distances, expected)


def test_views_of_sparse_rows_are_those_of_dense_ones():
    for n_features in (1, 2, 6):
        points = rng().exponential(size=(50, n_features)) * (rng(1).rand(50, n_features) < 0.7)
        pairs = zip(
            views_of(sp.csr_array(points), 10, rng()), views_of(points, 10, rng()), strict=True
        )
        for sparse, dense in pairs:
            np.testing.assert_allclose(sparse.distances, dense.distances)
    # Of many features, so many components as there are seen of dense rows.
    wide = sp.random_array((70, 300), density=0.05, format="csr", rng=0)
    assert [view.dimension for view in views_of(wide, 10, rng())] == [50, 2, 5]


@pytest.mark.parametrize("n_features", [2, 40])
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_equal_points_have_no_distance(n_features, shift):
    points = np.repeat(rng().normal(size=(40, n_features)), 2, axis=0)
    expected, _ = neighbours_by_sorting(points, 30)
    view = views_of(points + shift, 30, rng())[0]
    np.testing.assert_array_equal(view.distances[:, 0], 0)
    np.testing.assert_allclose(view.distances, expected, rtol=1e-6, atol=1e-12)
    middle, _ = view.midway(np.array([0]), np.array([1]))
    np.testing.assert_array_equal(middle[:, :2], 0)


@pytest.mark.parametrize("n_nearest", [1, 4, 10])
def test_share_of_points_in_cubes_around_balls(n_nearest):
    points, _ = three_groups(16, n_features=6)
    within = np.sort(cdist(points, points), axis=1)[:, n_nearest - 1]
    expected = (cdist(points, points, "chebyshev") <= within[:, None]).mean()
    assert share_in_cubes(points, n_nearest) == pytest.approx(expected)
    # Where groups are far apart, no cube reaches from one to another.
    assert share_in_cubes(np.vstack([points, points + 1e6]), n_nearest) == pytest.approx(
        expected / 2
    )


@pytest.mark.parametrize(
    ("n_points", "n_features", "n_clusters", "expected"),
    [
        (2_000, 15, 1, True),
        (2_000, 16, 1, False),
        (2_001, 3, 1, True),
        (2_001, 16, 1, False),
        (2_001, 16, 20, True),
    ],
)
def test_many_points_of_separate_clusters_have_a_tree(n_points, n_features, n_clusters, expected):
    centers = 100 * rng().normal(size=(n_clusters, n_features))
    points, _ = make_blobs(n_points, centers=centers, random_state=0)
    assert by_tree(points, 56) == expected


@pytest.mark.parametrize("n_features", [7, 30])
def test_neighbours_are_the_same_by_tree_and_by_products(n_features, monkeypatch):
    points, _ = three_groups(n_features=n_features)
    found = []
    for tree in (False, True):
        monkeypatch.setattr(views_module, "by_tree", lambda *_, tree=tree: tree)
        view = views_of(points, 30, rng())[0]
        # Both points of a pair are as near to its middle.
        midway, _ = view.midway(*view.neighbours[:, :2].T)
        found.append((view.distances, view.neighbours, midway))
    for products, tree in zip(*found, strict=True):
        np.testing.assert_allclose(products, tree)


def test_points_on_a_lattice_are_spread_by_less_than_a_step():
    grid = np.repeat(np.arange(20.0), 10)[:, None]
    (view,) = views_of(3 * grid, 10, rng())
    assert len(np.unique(view.points)) == 200
    moved = view.points - 3 * grid
    assert np.ptp(moved) <= 3
    few = np.repeat(np.arange(4.0), 10)[:, None]
    (view,) = views_of(few, 10, rng())
    np.testing.assert_array_equal(np.unique(view.points), np.unique(few) - 1.5)


@pytest.mark.parametrize("n_points", [30, 700])
def test_scaling_finds_points_up_to_a_rotation(n_points):
    points = rng().normal(size=(n_points, 4)) * [5, 3, 2, 1]
    distances = cdist(points, points)
    found = scaled(distances)
    assert found.shape == (n_points, 4)
    np.testing.assert_allclose(cdist(found, found), distances, atol=1e-6)


def test_scaling_of_points_that_coincide_has_no_directions():
    assert scaled(np.zeros((10, 10))).shape == (10, 0)


def test_scaling_leaves_out_what_is_not_euclidean():
    """Of a metric in which three points are at 2 from one another and at 1 from a fourth."""
    distances = np.full((4, 4), 2.0)
    distances[3] = distances[:, 3] = 1
    np.fill_diagonal(distances, 0)
    found = scaled(distances)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(cdist(found, found)[:3, :3], distances[:3, :3], atol=1e-9)


def test_view_of_distances_is_that_of_the_points():
    points, _ = three_groups()
    matrix = cdist(points, points)
    before = matrix.copy()
    view = view_of_distances(matrix, 30)
    np.testing.assert_array_equal(matrix, before)
    distances, neighbours = neighbours_by_sorting(points, 30)
    np.testing.assert_allclose(view.distances, distances)
    np.testing.assert_array_equal(view.neighbours, neighbours)
    assert view.points is None
    repeated = np.repeat(np.arange(60), 2)
    view = view_of_distances(matrix[np.ix_(repeated, repeated)], 5)
    assert not (view.neighbours == np.arange(120)[:, None]).any()
    np.testing.assert_array_equal(view.distances[:, 0], 0)


def test_distances_from_a_kernel():
    points, _ = three_groups()
    expected = cdist(points, points)
    kernel = as_distances(points @ points.T, MMD())
    np.testing.assert_allclose(kernel, expected, atol=1e-6)
    assert as_distances(expected, Wasserstein()) is expected


# Evidence


def test_evidence_is_that_of_loops_over_all_edges():
    points, labels = three_groups(spread=2.0)
    view = view_of_distances(cdist(points, points), 40)
    valleys = Valleys([view], labels, 0)
    scales = valleys.scale[:, 0].astype(int)
    np.testing.assert_array_equal(scales, [3, 5, 8])
    distances = view.distances
    for s, k in enumerate(scales):
        height = -np.log(distances[:, k - 1])
        low, high = max(k // 2, 2), 2 * k
        slope = np.log(distances[:, high - 1] / distances[:, low - 1]) / np.log(high / low)
        for a in range(3):
            assert valleys.peak[s, a] == height[labels == a].max()
            assert valleys.inverse_dimension[s, a] == pytest.approx(slope[labels == a].mean())
            for b in set(range(3)) - {a}:
                saddle, rank = -np.inf, RANKS
                for i in range(60):
                    for place, j in enumerate(view.neighbours[i]):
                        if {labels[i], labels[j]} != {a, b}:
                            continue
                        rank = min(rank, place + 1)
                        if place < EDGES:
                            saddle = max(saddle, min(height[i], height[j]))
                assert valleys.saddle[s, a, b] == saddle
                assert valleys.rank[0, a, b] == min(rank, 41)


def test_points_that_stand_for_several_change_no_density():
    """Of an even sheet, the left half is seen in one point of five."""
    points = rng().uniform(size=(3_000, 2)) * [2, 1]
    left = points[:, 0] < 1
    kept = ~left | (rng(1).uniform(size=3_000) < 0.2)
    points, left = points[kept], left[kept]
    weight = np.where(left, 5.0, 1.0)
    (view,) = views_of(points, 109, rng())
    known = replace(view, weight=weight / weight.mean())
    # Between the two, points of both are neighbours.
    part = np.digitize(points[:, 0], [0.6, 1])
    scales = np.array([21, 54])
    plain, aware = (evidence_in(v, part, 3, scales) for v in (view, known))
    # Log densities: the highest of them in each part.
    differs = [2 * (each.peak[:, 2] - each.peak[:, 0]) for each in (plain, aware)]
    assert (differs[0] > np.log(3)).all()
    assert np.abs(differs[1]).max() < np.log(2)
    assert np.abs(1 / aware.inverse_dimension - 2).max() < 0.3


def test_equal_weights_change_nothing():
    points, labels = three_groups(spread=2.0)
    views = views_of(points, 40, rng())
    weighted = [replace(view, weight=np.ones(60)) for view in views]
    np.testing.assert_allclose(
        Valleys(weighted, labels, 0).matrix(), Valleys(views, labels, 0).matrix()
    )


def test_a_cluster_is_large_enough_by_what_its_points_count_for():
    points, labels = three_groups()
    views = views_of(points, 40, rng())
    counted = np.where(labels == 2, 0.2, 1.4)
    _, heights, _ = merge(Valleys(views, labels, 10, counted))
    assert (heights >= 1).sum() == 1
    _, heights, _ = merge(Valleys(views, labels, 10))
    assert (heights >= 1).sum() == 2


def test_joined_evidence_is_that_of_the_joined_groups():
    points, labels = three_groups(n_samples=70, spread=2.0)
    labels = 2 * labels + (points[:, 1] > points[:, 1].mean())
    labels = np.unique(labels, return_inverse=True)[1]
    view = view_of_distances(cdist(points, points), 40)
    valleys = Valleys([view], labels, 0)
    n_groups = len(valleys.size)
    assert (valleys.scale <= EDGES).all()
    for i, j in [(0, 1), (2, n_groups - 1), (0, 2)]:
        valleys.join(i, j)
        labels = np.where(labels == j, i, labels)
    alive = np.flatnonzero(valleys.alive)
    fresh = Valleys([view], np.searchsorted(alive, labels), 0)
    np.testing.assert_array_equal(valleys.size[alive], fresh.size)
    np.testing.assert_array_equal(valleys.peak[:, alive], fresh.peak)
    inverse = valleys.inverse_dimension[:, alive]
    np.testing.assert_allclose(inverse, fresh.inverse_dimension)
    for new, i in enumerate(alive.tolist()):
        expected = fresh.significance(new)
        np.testing.assert_allclose(valleys.significance(i)[alive], expected)


@pytest.mark.parametrize("n_features", [1, 2, 3, 6])
def test_dimension_of_a_cube(n_features):
    points = rng().uniform(size=(1500, n_features))
    valleys = Valleys(views_of(points, 141, rng())[:1], np.zeros(1500, dtype=int), 0)
    dimension = 1 / valleys.inverse_dimension[:, 0]
    # The more neighbours, the more of the border: a cube seems to have fewer dimensions there.
    assert np.abs(dimension[:5] / n_features - 1).max() < 0.3
    assert (dimension <= 1.05 * n_features).all()


def test_dimension_is_that_of_the_data_where_it_is_lower():
    flat = rng().uniform(size=(800, 2)) @ rng(1).normal(size=(2, 12))
    valleys = Valleys(views_of(flat, 141, rng()), np.zeros(800, dtype=int), 0)
    dimension = 1 / valleys.inverse_dimension[valleys.view == 0, 0]
    assert np.abs(dimension[:5] - 2).max() < 0.5


@pytest.mark.parametrize("n_features", [1, 2, 8])
def test_valleys_of_separate_groups_are_real_and_those_inside_are_not(n_features):
    points, labels = three_groups(n_samples=240, n_features=max(n_features, 2))
    if n_features == 1:
        points = np.where(labels == 2, points[:, 0] - 8, points[:, 0])[:, None]
    # The first group in two halves.
    halved = np.where((labels == 0) & (points[:, 0] > 0), 3, labels)
    matrix = between(views_of(points, 141, rng()), halved)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(np.diag(matrix)).all()
    assert matrix[0, 3] < 1
    far = [matrix[a, b] for a, b in [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]]
    assert min(far) >= 1


@pytest.mark.parametrize("factor", [1e-20, 1e-3, 1e6])
def test_significance_has_no_unit(factor):
    points, labels = three_groups()
    repeated, doubled = np.repeat(points[::10], 10, axis=0), np.repeat(labels[::10], 10)
    for X, groups in [(points, labels), (repeated, doubled)]:
        expected = between(views_of(X, 59, rng()), groups)
        actual = between(views_of(factor * X, 59, rng()), groups)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_groups_without_an_edge_are_apart():
    distances = cdist(*2 * [np.r_[rng().normal(size=(30, 2)), 100 + rng(1).normal(size=(30, 2))]])
    valleys = Valleys([view_of_distances(distances, 25)], np.repeat([0, 1], 30), 0)
    assert valleys.significance(0)[1] > 1e3


# Merging


@pytest.mark.parametrize("n_points", [1_000, 10_000])
def test_groups_touch_others_on_all_sides_or_along_a_curve(n_points):
    def touched(points, labels):
        labels = np.unique(labels, return_inverse=True)[1]
        return Valleys(views_of(points, 141, rng()), labels, 0).touched()

    turn = rng().uniform(0, 60, n_points)
    spiral = turn[:, None] * np.column_stack([np.cos(turn / 10), np.sin(turn / 10)])
    for curve in (spiral, turn[:, None]):
        assert touched(curve, turn.astype(int)) == pytest.approx(2, abs=0.1)
    # Hexagons touch six others where they are not at the border.
    rows, columns = np.meshgrid(range(8), range(8))
    centers = np.column_stack([(columns + rows % 2 / 2).ravel(), np.sqrt(0.75) * rows.ravel()])
    plane = rng().uniform(-0.5, 8, size=(n_points, 2)) * [1, np.sqrt(0.75)]
    assert SURROUNDED < touched(plane, cdist(plane, centers).argmin(1)) < 6
    # In more than three features there are several views.
    flat = np.column_stack([plane, rng().normal(size=(n_points, 2))])
    assert touched(flat, cdist(plane, centers).argmin(1)) == 0
    far = 1_000 * np.arange(50)[:, None] + rng().normal(size=(50, n_points // 50))
    # Nothing but the shortest edge from one cluster to the next.
    assert 1 < touched(far.reshape(-1, 1), np.repeat(np.arange(50), n_points // 50)) < 2


def test_merging_takes_the_least_valley_first():
    points, labels = three_groups(n_samples=240)
    halved = np.where((labels == 0) & (points[:, 0] > 0), 3, labels)
    views = views_of(points, 141, rng())
    matrix = between(views, halved)
    pairs, heights, _ = merge(Valleys(views, halved, 0))
    assert pairs.shape == (3, 2)
    assert set(pairs[0]) == {0, 3}
    assert heights[0] == Valleys(views, halved, 0).matrix(alone=True)[0, 3]
    assert np.unravel_index(np.nanargmin(matrix), matrix.shape) == (0, 3)
    assert np.all(heights[1:] >= 1)
    # Each group joins another once, and one is left.
    assert len(set(pairs[:, 1])) == 3
    assert not set(pairs[-1]) & set(pairs[:-1, 1])
    # A step is never below one that it contains.
    height = dict.fromkeys(range(4), 0.0)
    for (i, j), found in zip(pairs.tolist(), heights, strict=True):
        assert found >= max(height[i], height[j])
        height[i] = found


def random_tree(n_groups, seed):
    """Steps with valleys around the level of 200 points, sizes, and whether they count."""
    draw, groups = rng(seed), list(range(n_groups))
    members, steps = {group: draw.randint(5, 30) for group in groups}, []
    while len(groups) > 1:
        i, j = draw.choice(groups, 2, replace=False).tolist()
        groups.remove(j)
        members[i] += members[j]
        depth = draw.uniform(0, 4, (3, 1))
        dimension, rank = draw.uniform(1, 3, (3, 1)), draw.randint(1, 20, 1)
        valley = Depths(depth, np.array([[3], [8], [21]]), dimension, rank)
        steps.append(((i, j), valley, members[i], draw.rand() < 0.8))
    pairs, found, size, counts = zip(*steps, strict=True)
    return np.array(pairs).reshape(-1, 2), found, np.array(size), np.array(counts, dtype=bool)


def heights_from_the_top(pairs, found, size, counts):
    """One part after the other, each by all the valleys in it."""
    heights = np.zeros(len(pairs))

    def judge(step, limit):
        # The steps of a part are the last ones, before it, of the groups that it takes in.
        groups, inside, children = set(pairs[step].tolist()), [step], []
        for earlier in range(step - 1, -1, -1):
            i, j = pairs[earlier].tolist()
            if i in groups:
                groups.add(j)
                inside.append(earlier)
        for group in pairs[step].tolist():
            before = [e for e in inside[1:] if pairs[e][0] == group]
            children += before[:1]
        n_points = min(max(50, size[step]) * PART, size[-1])
        own = [found[e].significance(n_points)[0] for e in inside if counts[e]]
        heights[step] = min(limit, max(own, default=0.0))
        for child in children:
            judge(child, heights[step])

    judge(len(pairs) - 1, np.inf)
    return heights


@pytest.mark.parametrize("n_groups", [2, 3, 8, 30])
@pytest.mark.parametrize("seed", range(3))
def test_heights_are_judged_part_by_part_from_the_top(n_groups, seed):
    pairs, found, size, counts = random_tree(n_groups, seed)
    heights = heights_of(pairs, found, size, counts)
    np.testing.assert_allclose(heights, heights_from_the_top(pairs, found, size, counts))
    # Among all points, valleys are never surer than in a part; of all data they are the same.
    among_all = [max(0.0, each.significance(size[-1])[0]) for each in found]
    assert heights[-1] == max((v for v, c in zip(among_all, counts, strict=True) if c), default=0)
    assert np.all(heights[counts] >= np.minimum(among_all, heights[-1])[counts] * (1 - 1e-12))


def test_parts_of_the_data_are_judged_as_samples_of_their_own():
    """Two small clusters beside a large one are as sure as without it, once they are cut off."""
    draw = rng()
    small = [center + draw.normal(size=(60, 2)) for center in ([0, 0], [4.2, 0])]
    X = np.vstack([*small, draw.normal([40, 0], 1, (3000, 2))])
    labels = np.repeat([0, 1, 2], [60, 60, 3000])
    valleys = Valleys(views_of(X, 141, rng()), labels, 4)
    assert valleys.significance(0)[1] < 1 <= valleys.significance(0, alone=True)[1]
    np.testing.assert_array_equal(valleys.matrix(alone=True), valleys.matrix(alone=True).T)
    _, heights, _ = merge(valleys)
    assert (heights >= 1).all()


def test_small_groups_are_joined_whatever_lies_around_them():
    points, labels = three_groups(n_samples=(100, 60, 25))
    views = views_of(points, 141, rng())
    for smallest, n_real in [(0, 2), (26, 1), (101, 0)]:
        _, heights, _ = merge(Valleys(views, labels, smallest))
        assert (heights >= 1).sum() == n_real


def test_a_small_group_is_joined_before_others_with_a_valley_between_them():
    """It has one neighbour in one view and another in the other; the last step would count."""
    points, labels = make_blobs([100, 60, 3], centers=[[0, 0], [9, 0], [0, 0]], random_state=0)
    views = []
    for place in (-9, 18):
        seen = points.copy()
        seen[labels == 2, 0] += place
        views += views_of(seen, 141, rng())
    valleys = Valleys(views, labels, 4)
    assert np.all(valleys.significance(2)[:2] > valleys.significance(0)[1])
    pairs, heights, _ = merge(valleys)
    assert 2 in pairs[0]
    assert heights[0] < 1 <= heights[1]


def test_valleys_in_a_single_feature_count_less(monkeypatch):
    points = np.sort(rng().normal(size=(200, 1)), axis=0)
    labels = np.repeat([0, 1], 100)
    plane = np.c_[points, rng(1).normal(size=200)]
    found = []
    for times in (1, valleys_module.ON_A_LINE):
        monkeypatch.setattr(valleys_module, "ON_A_LINE", times)
        found.append(
            [Valleys(views_of(X, 141, rng()), labels, 4).depths(0, [1]) for X in (points, plane)]
        )
    (line, even), (line_less, even_less) = found
    np.testing.assert_allclose(line.depth, line_less.depth * valleys_module.ON_A_LINE)
    np.testing.assert_array_equal(even.depth, even_less.depth)


@pytest.mark.parametrize("seed", [1, 18, 45])  # with a constant, each of these was split
def test_features_that_add_nothing_leave_a_single_feature_one(seed):
    even = rng(seed).uniform(size=(150, 1))
    for X in (even, np.c_[even, np.ones(150)], np.c_[even, 2 * even], np.tile(even, 3)):
        assert [view.dimension for view in views_of(X, 20, rng())] == [1]
        assert GeminiClustering(random_state=0).fit(X).n_clusters_ == 1


@pytest.mark.parametrize("n_samples", [50, 150])
def test_even_features_stay_whole(n_samples):
    """Of a hundred of them, some three are split."""
    whole = [
        GeminiClustering(random_state=0).fit(rng(seed).uniform(size=(n_samples, 1))).n_clusters_
        for seed in range(12)
    ]
    assert whole.count(1) >= 11


def test_one_group_has_nothing_to_merge():
    views = views_of(rng().normal(size=(20, 2)), 19, rng())
    pairs, heights, _ = merge(Valleys(views, np.zeros(20, dtype=int), 0))
    assert pairs.shape == (0, 2)
    assert heights.shape == (0,)


@pytest.mark.parametrize("n_pairs", [2**20, 2_000])
def test_bridges_between_parts_are_short(monkeypatch, n_pairs):
    """The shortest of all where all pairs are compared, nearly so where only some are."""
    monkeypatch.setattr(views_module, "BRIDGE_PAIRS", n_pairs)
    centres = [[0, 0], [30, 0], [0, 40]]
    points, part = make_blobs([300, 500, 200], centers=centres, random_state=0)
    (view,) = views_of(points, 20, rng())
    bridges = views_module._bridges(view, view.neighbours[:, :EDGES])
    assert len(bridges) == 2
    distances = cdist(points, points)
    for a, b in bridges:
        shortest = distances[np.ix_(part == part[a], part != part[a])].min()
        length = distances[a, b]
        assert length == pytest.approx(shortest) if n_pairs > 10**6 else length < 1.1 * shortest
