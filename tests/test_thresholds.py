"""Levels of trees whose heights are made so that it is plain which valleys are real."""

import numpy as np
import pytest

from gemclust.thresholds import (
    FEW,
    LEAST,
    MANY,
    MANY_SURROUNDED,
    MERGES,
    PARTS,
    SURROUNDED,
    Thresholds,
    thresholds,
)


def divided(heights, touched=0.0):
    heights = np.asarray(heights)
    return found(heights, np.ones(len(heights), dtype=bool), touched)(heights)


def found(heights, counts, touched=0.0):
    return thresholds(heights, counts, touched)


def inside(highest, n=37):
    """What is in clusters, with no gap in it before it is small."""
    return np.linspace(highest, 0.01, n)


@pytest.mark.parametrize("order", [np.arange(40), np.arange(40)[::-1], "permuted"])
@pytest.mark.parametrize(
    ("top", "next_one", "clear"),
    [(0.9, 0.3, True), (0.4, 0.16, True), (0.39, 0.1, False), (0.9, 0.4, False), (3.0, 1.0, True)],
)
def test_valleys_that_stand_clear_of_the_others_are_real(order, top, next_one, clear):
    order = np.random.RandomState(0).permutation(40) if isinstance(order, str) else order
    heights = np.r_[top * 1.02, top * 1.01, top, inside(next_one)][order]
    found = divided(heights)
    above = heights >= top
    np.testing.assert_array_equal(found[~above], heights[~above])
    np.testing.assert_allclose(found[above], heights[above] / (0.4 if clear else 1))
    assert (found[above].min() > 1) == (clear or top > 1)
    np.testing.assert_array_equal(found.argsort(), heights.argsort())


def test_small_trees_have_nothing_to_stand_clear_of():
    heights = np.r_[0.9, np.linspace(0.1, 0.01, MERGES - 2)]
    np.testing.assert_array_equal(divided(heights), heights)
    assert divided(np.r_[heights, 0.0])[0] > 1


def test_last_gap_counts():
    heights = np.r_[4.0, 0.8, 0.25, np.linspace(0.2, 0.01, 30)]
    np.testing.assert_allclose(divided(heights)[:2], np.array([4.0, 0.8]) / 0.4)
    np.testing.assert_array_equal(divided(heights)[2:], heights[2:])
    # None below the least level: what is left of a tree ends at 0, always far below.
    flat = np.r_[0.39, 0.3, np.zeros(30)]
    np.testing.assert_array_equal(divided(flat), flat)


@pytest.mark.parametrize(("number", "real"), [(1, 0), (3, 0), (7, 0), (8, 8), (40, 40)])
def test_several_valleys_are_real_at_a_lower_level_than_one(number, real):
    # 1 - MANY ln(8 / FEW) is .902.
    found = divided(np.r_[np.full(number, 0.905), inside(0.6)])
    assert (found >= 1).sum() == real
    np.testing.assert_array_equal(found[number:], inside(0.6))


@pytest.mark.parametrize(("touched", "real"), [(0, 0), (SURROUNDED - 1e-6, 0), (SURROUNDED, 8)])
def test_level_of_several_is_lower_where_groups_are_surrounded(touched, real):
    assert 1 - MANY_SURROUNDED * np.log(8 / FEW) < 0.81 < 1 - MANY * np.log(8 / FEW)
    found = divided(np.r_[np.full(8, 0.81), inside(0.6)], touched)
    assert (found >= 1).sum() == real
    # Of three and fewer, and of many, it is the same.
    for number, level in ((3, 1.0), (400, LEAST)):
        for height in (level - 1e-3, level + 1e-3):
            heights = np.r_[np.full(number, height), inside(0.5)]
            assert (divided(heights, touched) >= 1).sum() == number * (height > level)


def test_level_of_several_ends():
    many = divided(np.r_[np.full(400, LEAST + 1e-3), inside(0.5)])
    assert (many >= 1).sum() == 400
    assert (divided(np.r_[np.full(400, LEAST - 1e-3), inside(0.5)]) < 1).all()


def test_number_of_several_ends_at_the_widest_gap():
    heights = np.r_[np.full(20, 0.95), np.full(5, 0.8), inside(0.7)]
    # 25 would reach 1 - MANY ln(25 / FEW) = .788, and 30 more no gap.
    assert (divided(heights) >= 1).sum() == 20
    # Far above, a gap says nothing about the last of them.
    assert (divided(np.r_[3.0, 2.0, heights]) >= 1).sum() == 22


@pytest.mark.parametrize(("n_clear", "real"), [(2, True), (3, True), (20, False)])
def test_one_valley_below_many_clear_ones_must_be_more_significant(n_clear, real):
    heights = np.r_[np.full(n_clear, 50.0), 1.4, inside(0.9)]
    found = divided(heights)
    assert (found >= 1).sum() == n_clear + real
    level = 1 + PARTS * np.log(max(1, n_clear / FEW))
    np.testing.assert_allclose(found[n_clear:], heights[n_clear:] / level)
    np.testing.assert_allclose(found[:n_clear], 50 / 0.4)
    assert (divided(np.r_[np.full(n_clear, 50.0), 1.6, inside(0.9)]) >= 1).sum() == n_clear + 1


def test_several_below_clear_ones_are_counted_anew():
    two, many = np.full(2, 50.0), np.full(30, 0.8)
    assert 1 - MANY * np.log(30 / FEW) < 0.8 < 1 - MANY * np.log(2 / FEW)
    assert (divided(np.r_[two, many, inside(0.6)]) >= 1).sum() == 32
    # Were the twenty clear ones counted, too, these three would be real.
    assert (divided(np.r_[np.full(20, 50.0), np.full(3, 0.9), inside(0.6)]) >= 1).sum() == 20


def test_clusters_in_clear_ones_are_real_where_most_have_them():
    # Twenty far pairs: a valley in each of them is none that one in twenty has by chance.
    found = divided(np.r_[np.full(19, 50.0), np.full(20, 1.2), inside(0.7)])
    assert (found >= 1).sum() == 39
    # With three in twenty, it may be: 1 + PARTS ln(19 / (3 FEW)) is 1.2.
    assert 1.15 < 1 + PARTS * np.log(19 / (3 * FEW)) < 1.25
    assert (divided(np.r_[np.full(19, 50.0), np.full(3, 1.15), inside(0.9)]) >= 1).sum() == 19
    assert (divided(np.r_[np.full(19, 50.0), np.full(3, 1.25), inside(0.9)]) >= 1).sum() == 22


def test_gap_is_never_above_what_is_real_by_itself():
    # The widest gap of the latter half is at 6, but nine valleys reach 1, and 12 do together.
    heights = np.r_[np.full(6, 2.0), np.full(3, 1.02), np.full(3, 0.96), inside(0.8)]
    assert (divided(heights) >= 1).sum() == 12
    assert (divided(np.r_[heights[:9], inside(0.8)]) >= 1).sum() == 9


def test_new_level_begins_between_the_valleys_that_are_real_and_the_others():
    clear = found(np.r_[3.0, inside(0.5)], np.ones(38, dtype=bool))
    assert clear.levels == (1.0, 0.4)
    np.testing.assert_allclose(clear.least, [np.sqrt(3.0 * 0.5)])
    several = found(np.r_[np.full(20, 0.95), inside(0.6)], np.ones(57, dtype=bool))
    np.testing.assert_allclose(several.least, [np.sqrt(0.95 * 0.6)])
    np.testing.assert_allclose(several.levels, [1, 1 - MANY * np.log(20 / FEW)])


def test_level_of_several_is_that_of_the_largest_number_that_reaches_it():
    # 24 would, but the gap is below 20 of them.
    heights = np.r_[np.full(20, 0.95), np.full(4, 0.81), inside(0.75)]
    level = 1 - MANY * np.log(24 / FEW)
    assert level < 0.81
    np.testing.assert_allclose(divided(heights)[:20], 0.95 / level)
    np.testing.assert_array_equal(divided(heights)[20:], heights[20:])


@pytest.mark.parametrize("height", [0.0, 0.5, 0.83])
def test_trees_in_which_all_valleys_are_equal(height):
    equal = np.full(30, height)
    levels = found(equal, np.ones(30, dtype=bool))
    assert (levels(equal) >= 1).sum() == 30 * (height == 0.83)
    assert (levels(np.array([0.0, 0.3])) < 1).all()


def test_groups_that_are_too_small_say_nothing():
    heights = np.r_[np.full(20, 0.95), inside(0.6)]
    counts = np.ones(len(heights), dtype=bool)
    assert (found(heights, counts)(heights) >= 1).sum() == 20
    counts[2:20] = False
    assert found(heights, counts) == Thresholds()


@pytest.mark.parametrize("seed", range(50))
def test_order_of_heights_stays(seed):
    rng = np.random.RandomState(seed)
    heights = np.exp(rng.normal(rng.uniform(-1, 0.5), rng.uniform(0.1, 3), size=60))
    counts = rng.rand(60) < 0.8
    levels = found(heights, counts, touched=rng.uniform(0, 2 * SURROUNDED))
    order = heights.argsort()
    assert (np.diff(levels(heights)[order]) >= 0).all()
    assert np.isnan(levels(np.array([np.nan]))).all()
    assert np.isinf(levels(np.array([np.inf]))).all()
