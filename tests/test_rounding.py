"""Samples that are equal: rounded ones are spread over their cells, copies are merged."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

from gemclust.canonical import MERGE_SAMPLES, canonical
from gemclust.rounding import apart, evenly, lattice_step

rng = np.random.RandomState(0)
WHOLE = np.round(rng.normal(0, 3, (800, 2)))
SMOOTH = rng.normal(size=(300, 2))


def of(X, weight=None, affinity=None):
    return canonical(X, np.ones(X.shape[0]) if weight is None else weight, affinity)


@pytest.mark.parametrize("factor", [1e-30, 1 / 3, 1.0, 1e30])
@pytest.mark.parametrize("shift", [0, 1, -7])
def test_step_of_a_lattice_in_any_unit(factor, shift):
    values = np.array([0, 1, 2, 5, 9, 9, 40.0])
    assert lattice_step(factor * (values + shift)) == pytest.approx(factor, rel=1e-9)
    assert lattice_step(np.full(5, factor * shift)) == 0
    assert np.isnan(lattice_step(factor * np.append(values, 3.3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_of_decimals(dtype):
    values = np.round(np.random.RandomState(1).normal(size=500), 1).astype(dtype)
    assert lattice_step(values) == pytest.approx(0.1, rel=1e-5)
    assert np.isnan(lattice_step(np.random.RandomState(1).normal(size=500)))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("step", [1.0, 0.1])
def test_rounded_samples_are_spread_over_their_cells(container, step):
    data = of(container(WHOLE * step))
    spread = apart(data)
    assert spread.X.shape == WHOLE.shape
    assert sp.issparse(spread.X) == (container is sp.csr_array)
    X, places = (each.toarray() if sp.issparse(each) else each for each in (spread.X, data.X))
    assert len(np.unique(X, axis=0)) == 800
    assert spread.weight.tolist() == [1.0] * 800
    # Rounded once more they are what they were, and in each cell they are even.
    rounded = np.round(places / step).repeat(data.weight.astype(int), axis=0)
    np.testing.assert_array_equal(np.round(X / step), rounded)
    within = X / step - rounded
    np.testing.assert_allclose(np.quantile(within, [0.1, 0.5, 0.9]), [-0.4, 0, 0.4], atol=0.05)


def test_weights_say_how_many_samples_there_are():
    places, index = np.unique(WHOLE, axis=0, return_inverse=True)
    counts = np.bincount(index.ravel()).astype(float)
    expected = apart(of(WHOLE)).X
    np.testing.assert_array_equal(apart(of(places, counts)).X, expected)
    # What all rows have in common says nothing, nor does the unit of weights for repeated rows.
    np.testing.assert_array_equal(apart(of(places, 5 * counts)).X, expected)
    np.testing.assert_array_equal(apart(of(WHOLE, np.full(800, 1 / 3))).X, expected)
    many = apart(of(places, 1e6 * counts + (counts == 1)))
    assert len(many) == MERGE_SAMPLES
    # In proportion to the weights.
    cells = np.unique(np.round(many.X), axis=0, return_counts=True)[1]
    assert np.abs(cells - counts / 800 * MERGE_SAMPLES).max() < 2


@pytest.mark.parametrize(
    "X",
    [
        SMOOTH,
        SMOOTH.repeat(4, axis=0),
        SMOOTH[rng.randint(0, 300, 1500)],
        np.c_[np.round(SMOOTH[:, 0]), SMOOTH[:, 1]],
        np.c_[np.round(SMOOTH[:, 0]), SMOOTH[:, 1]].repeat(rng.randint(1, 9, 300), axis=0),
        np.round(SMOOTH, 4)[rng.randint(0, 300, 1500)],
        load_digits().data,
        np.ones((50, 3)),
        sp.csr_array(np.hstack([WHOLE] * 30)),
    ],
    ids=[
        "smooth",
        "copies",
        "bootstrap",
        "one lattice of two",
        "one lattice of two, copies",
        "decimals that are copied",
        "digits",
        "all equal",
        "sparse and wide",
    ],
)
def test_other_samples_stay_as_they_are(X):
    data = of(X)
    assert apart(data) is data


def test_constant_features_stay_constant():
    spread = apart(of(np.c_[WHOLE, np.full(800, 0.3)])).X
    np.testing.assert_array_equal(spread[:, 2], 0.3)
    assert len(np.unique(spread[:, 0])) == 800


def test_samples_of_a_given_matrix_stay():
    data = of(WHOLE, affinity=WHOLE @ WHOLE.T)
    assert apart(data) is data


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_copies_among_many_samples_are_merged(container):
    """Of more samples than are merged, some are drawn, among which there may be copies."""
    rows = np.random.RandomState(1).randint(0, 300, MERGE_SAMPLES + 1)
    many = of(container(SMOOTH[rows]))
    assert len(many) == MERGE_SAMPLES + 1
    drawn = many.draw(np.arange(MERGE_SAMPLES))
    merged = apart(drawn)
    assert len(merged) == 300
    np.testing.assert_array_equal(np.sort(merged.weight), np.sort(np.bincount(rows[:-1])))


def test_numbers_are_drawn_in_proportion_to_weight():
    assert evenly(np.array([2.0, 1.0, 3.0]), 6).tolist() == [0, 0, 1, 2, 2, 2]
    assert evenly(np.array([4e6, 2e6, 6e6]), 3).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(evenly(np.ones(300), 300), np.arange(300))
