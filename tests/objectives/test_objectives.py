"""The contract of every objective in the name table, and of one that a user might write."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from references import gemini_by_name
from scipy.special import log_softmax

from gemclust.objectives import OBJECTIVES, PROBABILITY_FLOOR, Batch, Objective, get_objective


class JensenShannon(Objective):
    """Written as a user would: p(y) first, then what depends on it."""

    n_stages = 2

    def means(self, batch, *earlier):
        if not earlier:
            return (batch.mean(batch.proba),)
        p, proportions = batch.proba, earlier[0][:, None]
        middle = ((p + proportions) / 2).clamp(min=1e-30)
        gaps = sum(q * (q.clamp(min=1e-30) / middle).log() for q in (p, proportions))
        return (batch.mean(gaps),)

    def value(self, *means):
        return means[1].sum(-1) / 2


@dataclass
class Case:
    """An objective and the form in which it sees the samples.

    "features", "matrix", "metric" (a matrix that obeys the triangle inequality) or "".
    """

    name: str
    form: str
    objective: Objective

    def affinity(self, X):
        if self.objective.affinity in (None, "features"):
            return X if self.objective.affinity else None
        return X @ X.T if self.objective.affinity == "kernel" else torch.cdist(X, X)

    def batch(self, log_proba, weight, X, **unit):
        features = X if self.form == "features" else None
        matrix = self.affinity(X) if self.form in ("matrix", "metric") else None
        triangle = self.form == "metric"
        return Batch(log_proba, weight, features=features, matrix=matrix, triangle=triangle, **unit)

    def evaluate(self, logits, weight, X, **unit):
        return self.objective.evaluate(self.batch(logits.log_softmax(-1), weight, X, **unit))

    def value_and_gradient(self, logits, weight, X):
        logits = logits.clone().requires_grad_()
        value = self.evaluate(logits, weight, X)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        return value.detach(), gradient

    def reference(self, logits, weight, X):
        """Value of one restart, from numpy arrays."""
        affinity = self.affinity(torch.as_tensor(X))
        affinity = None if affinity is None else affinity.numpy()
        with np.errstate(divide="ignore"):
            return gemini_by_name(self.name, np.exp(log_softmax(logits, -1)), weight, affinity)


def make_cases():
    objectives = {name: get_objective(name) for name in OBJECTIVES}
    objectives["jensen-shannon_ova"] = get_objective(JensenShannon())
    forms = {None: [""], "features": ["features"]}
    forms |= {"kernel": ["features", "matrix"], "distance": ["matrix", "metric"]}
    for name, objective in objectives.items():
        for form in forms[objective.affinity]:
            yield pytest.param(Case(name, form, objective), id=f"{name}-{form}".rstrip("-"))


CASES = list(make_cases())
every_objective = pytest.mark.parametrize("case", CASES)
every_geometric_objective = pytest.mark.parametrize(
    "case", [c for c in CASES if c.values[0].objective.affinity]
)
every_staged_objective = pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.values[0].objective.n_stages and c.values[0].form != "matrix"],
)


def assert_close(actual, expected, tolerance=1e-11):
    actual, expected = (torch.as_tensor(a, dtype=torch.float64) for a in (actual, expected))
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


# Values and gradients


@every_objective
@pytest.mark.parametrize(("seed", "n_samples", "n_clusters"), [(0, 12, 2), (1, 18, 3), (2, 24, 5)])
def test_value_equals_the_definition(case, make_problem, seed, n_samples, n_clusters):
    problem = make_problem(n_samples, n_clusters, n_restarts=3, seed=seed)
    values = case.evaluate(problem.logits, problem.weight, problem.X)
    weight, X = problem.weight.numpy(), problem.X.numpy()
    expected = [case.reference(logits, weight, X) for logits in problem.logits.numpy()]
    assert values.shape == (3,)
    assert_close(values, expected, 1e-10)


@every_objective
def test_value_of_a_hard_partition_equals_the_definition_where_that_is_finite(case, make_problem):
    problem = make_problem(n_clusters=4)
    hard = torch.full_like(problem.logits, -torch.inf)
    hard.scatter_(2, problem.logits.argmax(2, keepdim=True), 0.0)
    expected = case.reference(hard[0].numpy(), problem.weight.numpy(), problem.X.numpy())
    if np.isfinite(expected):
        assert_close(case.evaluate(hard, problem.weight, problem.X)[0], expected, 1e-10)
    else:
        assert case.name in ("kl_ovo", "chi2_ovo")


@every_objective
def test_gradient_equals_finite_differences_of_the_definition(case, make_problem):
    problem = make_problem(n_samples=8)
    _, gradient = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    logits, weight, X = (a.numpy() for a in (problem.logits[0], problem.weight, problem.X))
    step, numeric = 1e-5, np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = step
        up, down = (case.reference(logits + sign * shift, weight, X) for sign in (1, -1))
        numeric[index] = (up - down) / (2 * step)
    assert_close(gradient[0], numeric, 1e-7)


@every_objective
def test_gradcheck(case, make_problem):
    problem = make_problem(n_samples=9, n_restarts=2, seed=3)
    logits = problem.logits.requires_grad_()
    evaluate = lambda logits: case.evaluate(logits, problem.weight, problem.X)  # noqa: E731
    assert torch.autograd.gradcheck(evaluate, logits, atol=1e-7)


@every_staged_objective
def test_means_of_parts_average_to_the_whole(case, make_problem):
    objective = case.objective
    problem = make_problem(n_samples=15, n_restarts=2)
    whole, expected = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    logits = problem.logits.requires_grad_()
    parts, shares = [], []
    for part in (slice(0, 6), slice(6, 15)):
        weight, X = problem.weight[part], problem.X[part]
        shares.append(weight.sum())
        parts.append(case.batch(logits[:, part].log_softmax(-1), weight / weight.sum(), X))
    means = ()
    for _ in range(objective.n_stages):
        stage = zip(*(objective.means(part, *means) for part in parts), strict=True)
        means += tuple(shares[0] * first + shares[1] * second for first, second in stage)
    value = objective.value(*means)
    assert_close(value, whole)
    assert_close(torch.autograd.grad(value.sum(), logits)[0], expected)


@every_objective
def test_restarts_are_independent(case, make_problem):
    problem = make_problem(n_restarts=3)
    values, gradients = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    for r in range(3):
        alone = case.value_and_gradient(problem.logits[[r]], problem.weight, problem.X)
        assert_close(values[[r]], alone[0])
        assert_close(gradients[[r]], alone[1])


@every_geometric_objective
def test_unit_multiplies_the_value(case, make_problem):
    problem = make_problem()
    value = case.evaluate(problem.logits, problem.weight, problem.X)
    scaled = case.evaluate(problem.logits, problem.weight, problem.X, unit=2.5)
    assert_close(scaled, 2.5 * value)


# Invariants


@every_objective
def test_order_of_clusters_does_not_matter(case, make_problem):
    problem = make_problem(n_clusters=4, n_restarts=2)
    order = torch.tensor([2, 0, 3, 1])
    value, gradient = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    permuted = case.value_and_gradient(problem.logits[..., order], problem.weight, problem.X)
    assert_close(permuted[0], value)
    assert_close(permuted[1], gradient[..., order])


@every_objective
def test_order_of_samples_does_not_matter(case, make_problem):
    problem = make_problem(n_restarts=2)
    order = torch.randperm(14, generator=torch.Generator().manual_seed(0))
    value, gradient = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    permuted = case.value_and_gradient(
        problem.logits[:, order], problem.weight[order], problem.X[order]
    )
    assert_close(permuted[0], value)
    assert_close(permuted[1], gradient[:, order])


@every_objective
@pytest.mark.parametrize("position", [0, 3])
def test_empty_cluster_changes_nothing_and_gets_no_gradient(case, make_problem, position):
    problem = make_problem(n_restarts=2)
    value, gradient = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    left, right = problem.logits[..., :position], problem.logits[..., position:]
    empty = torch.full((2, 14, 1), -torch.inf, dtype=torch.float64)
    wider = torch.cat([left, empty, right], -1)
    wider_value, wider_gradient = case.value_and_gradient(wider, problem.weight, problem.X)
    assert_close(wider_value, value)
    assert (wider_gradient[..., position] == 0).all()
    others = [k for k in range(4) if k != position]
    assert_close(wider_gradient[..., others], gradient)


@every_objective
def test_one_empty_cluster_in_one_restart_leaves_the_others_alone(case, make_problem):
    problem = make_problem(n_restarts=2)
    logits = problem.logits.clone()
    logits[0, :, 1] = -torch.inf
    both, gradient = case.value_and_gradient(logits, problem.weight, problem.X)
    second = case.value_and_gradient(logits[[1]], problem.weight, problem.X)
    without = case.value_and_gradient(logits[[0]][..., [0, 2]], problem.weight, problem.X)
    assert_close(both, torch.cat([without[0], second[0]]))
    assert_close(gradient[0][:, [0, 2]], without[1][0])


@every_objective
def test_cluster_split_at_random_changes_nothing(case, make_problem):
    problem = make_problem()
    whole, gradient = case.value_and_gradient(problem.logits, problem.weight, problem.X)
    shares = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    split = torch.cat([problem.logits[..., :2], problem.logits[..., 2:] + shares], -1)
    value, parts = case.value_and_gradient(split, problem.weight, problem.X)
    # A squared norm that is 0 but for rounding has a root of about 1e-8.
    assert_close(value, whole, 1e-8)
    assert_close(
        torch.cat([parts[..., :2], parts[..., 2:].sum(-1, keepdim=True)], -1), gradient, 1e-6
    )


@every_objective
def test_zero_where_assignments_do_not_depend_on_the_sample(case, make_problem):
    problem = make_problem(n_clusters=4, n_restarts=3)
    same = problem.logits[:, :1].expand(-1, 14, -1)
    value, gradient = case.value_and_gradient(same, problem.weight, problem.X)
    assert_close(value, torch.zeros(3), 1e-12)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("family", ["tv", "mmd", "wasserstein", "sliced_wasserstein"])
def test_two_clusters_make_both_modes_equal(family, make_problem):
    ova, ovo = (
        [c.values[0] for c in CASES if c.values[0].name == f"{family}_{mode}"]
        for mode in ("ova", "ovo")
    )
    problem = make_problem(n_clusters=2, n_restarts=2)
    for all_others, pairs in zip(ova, ovo, strict=True):
        value, gradient = all_others.value_and_gradient(problem.logits, problem.weight, problem.X)
        pairwise = pairs.value_and_gradient(problem.logits, problem.weight, problem.X)
        assert_close(pairwise[0], value)
        assert_close(pairwise[1], gradient)


def test_squared_mmd_of_pairs_is_twice_that_of_clusters_from_the_data(make_problem):
    problem = make_problem(n_clusters=4)
    proba, weight = problem.logits[0].softmax(-1), problem.weight
    proportions = weight @ proba

    def distance(joint, other):
        """MMD of two distributions over the samples, given by their masses w_i p_ik."""
        total = joint + other
        log_proba = torch.stack([joint, other], -1).div(total[:, None]).log()[None]
        batch = Batch(log_proba, total / total.sum(), features=problem.X)
        share = joint.sum() / total.sum()
        return get_objective("mmd_ovo").evaluate(batch)[0] / (2 * share * (1 - share))

    joint = weight[:, None] * proba
    to_data = [distance(joint[:, k], weight) for k in range(4)]
    ova = sum(proportions[k] * to_data[k] ** 2 for k in range(4))
    ovo = sum(
        proportions[k] * proportions[other] * distance(joint[:, k], joint[:, other]) ** 2
        for k in range(4)
        for other in range(4)
        if k != other
    )
    assert_close(ovo, 2 * ova)
    value = get_objective("mmd_ova").evaluate(Batch(proba.log()[None], weight, features=problem.X))
    assert_close(value[0], sum(proportions[k] * to_data[k] for k in range(4)))


@every_objective
def test_integer_weights_equal_repeated_rows(case, make_problem):
    problem = make_problem(n_restarts=2)
    counts = torch.tensor([1, 3, 2, 1, 0, 4, 1, 2, 1, 1, 0, 2, 3, 1])
    rows = torch.arange(14).repeat_interleave(counts)
    uniform = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
    weighted = case.evaluate(problem.logits, counts / counts.sum(dtype=torch.float64), problem.X)
    assert_close(weighted, case.evaluate(problem.logits[:, rows], uniform, problem.X[rows]))


# Hard and degenerate assignments

# At K clusters of one size; what diverges is bounded by the floor on p.
HARD_VALUES = {
    "kl_ova": math.log,
    "mi": math.log,
    "kl_ovo": lambda k: -(1 - 1 / k) * math.log(PROBABILITY_FLOOR),
    "tv_ova": lambda k: 1 - 1 / k,
    "tv_ovo": lambda k: 1 - 1 / k,
    "hellinger_ova": lambda k: 1 - 1 / math.sqrt(k),
    "hellinger_ovo": lambda k: 1 - 1 / k,
    "chi2_ova": lambda k: k - 1,
    "chi2_ovo": lambda k: (1 + (k - 1) / PROBABILITY_FLOOR) / k - 1,
}


@pytest.mark.parametrize("name", HARD_VALUES)
@pytest.mark.parametrize("n_clusters", [2, 3, 5])
@pytest.mark.parametrize("low", [-torch.inf, -1e3])
def test_value_of_a_balanced_hard_partition(name, n_clusters, low):
    label = torch.arange(4 * n_clusters) % n_clusters
    logits = torch.full((1, len(label), n_clusters), low, dtype=torch.float64)
    logits[0, range(len(label)), label] = 0.0
    weight = torch.full((len(label),), 1 / len(label), dtype=torch.float64)
    value = get_objective(name).evaluate(Batch(logits.log_softmax(-1), weight))
    assert_close(value[0], HARD_VALUES[name](n_clusters))


def hard(logits):
    low = torch.full_like(logits, -torch.inf)
    return low.scatter(2, logits.argmax(2, keepdim=True), 0.0)


def only_cluster(logits):
    logits[..., 1:] = -torch.inf
    return logits


def vanishing_cluster(logits):
    """One in each restart, down to probabilities of which the reciprocal overflows."""
    deepest = math.log(torch.finfo(logits.dtype).smallest_normal) - 25
    logits[..., 0] = torch.linspace(-10, deepest, len(logits))[:, None]
    return logits


DEGENERATE = {
    "hard": hard,
    "hard by finite logits": lambda logits: 1e4 * logits,
    "one sample apart": lambda logits: hard(
        (torch.arange(14)[:, None] - 13 + 0 * logits).cumsum(2)
    ),
    "uniform": torch.zeros_like,
    "only cluster": only_cluster,
    "empty cluster": lambda logits: torch.cat([logits, torch.full_like(logits, -torch.inf)], -1),
    "vanishing cluster": vanishing_cluster,
    "equal clusters": lambda logits: torch.cat([logits, logits], -1),
}


@every_objective
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degenerate", DEGENERATE)
@pytest.mark.parametrize("spread", [1.0, 0.0])
def test_degenerate_input_gives_finite_value_and_gradient(
    case, make_problem, dtype, degenerate, spread
):
    problem = make_problem(n_restarts=10)
    logits = DEGENERATE[degenerate](problem.logits.to(dtype))
    X = spread * problem.X.to(dtype)
    value, gradient = case.value_and_gradient(logits, problem.weight.to(dtype), X)
    assert value.dtype == gradient.dtype == dtype
    assert value.isfinite().all(), value
    assert gradient.isfinite().all(), gradient
    if spread == 0 and case.objective.affinity:
        assert_close(value, torch.zeros(10), 1e-6)


@every_objective
@pytest.mark.parametrize("degenerate", [None, "vanishing cluster", "equal clusters"])
def test_single_precision_agrees_with_double(case, make_problem, degenerate):
    problem = make_problem(n_restarts=10)
    logits, weight, X = (a.float() for a in (problem.logits, problem.weight, problem.X))
    logits = DEGENERATE[degenerate](logits) if degenerate else logits
    value, gradient = case.value_and_gradient(logits, weight, X)
    exact = case.value_and_gradient(logits.double(), weight.double(), X.double())
    assert_close(value, exact[0], 2e-3)
    assert_close(gradient, exact[1], 2e-3)


# The name table and objectives of one's own


def test_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match="mmd_ovoo") as error:
        get_objective("mmd_ovoo")
    assert all(name in str(error.value) for name in OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_name_gives_its_mode(name):
    assert get_objective(name).mode == ("ova" if name == "mi" else name.rsplit("_")[-1])


def test_instance_passes_through_and_its_mode_is_checked():
    objective = JensenShannon()
    assert get_objective(objective) is objective
    with pytest.raises(ValueError, match="one_vs_all"):
        get_objective(JensenShannon(mode="one_vs_all"))


def test_estimator_takes_an_objective_of_ones_own():
    from gemclust import GeminiClustering

    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(-3, 1, (40, 2)), rng.normal(3, 1, (40, 2))]
    model = GeminiClustering(n_clusters=2, objective=JensenShannon(), random_state=0).fit(X)
    weight = np.full(len(X), 1 / len(X))
    expected = gemini_by_name("jensen-shannon_ova", model.predict_proba(X), weight)
    assert model.objective_value_ == pytest.approx(expected, rel=1e-6)
    assert set(model.labels_) == {0, 1}
