"""L-BFGS on several problems side by side: it arrives, and no row disturbs another."""

import numpy as np
import pytest
import torch

from gemclust.lbfgs import LBFGS, MAX_TRIALS


class Quadratics:
    """0.5 x' A_r x - b_r' x with a matrix of its own, and condition, for each row."""

    def __init__(self, conditions, size=6):
        rng = np.random.default_rng(0)
        matrices = []
        for condition in conditions:
            basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
            matrices.append(basis @ np.diag(np.geomspace(1, condition, size)) @ basis.T)
        self.matrices = torch.from_numpy(np.stack(matrices))
        self.offsets = torch.from_numpy(rng.normal(size=(len(conditions), size)))
        self.starts = torch.from_numpy(rng.normal(size=(len(conditions), size)))
        self.optimum = torch.linalg.solve(self.matrices, self.offsets)

    def __call__(self, x, which):
        image = torch.einsum("rij,rj->ri", self.matrices[which].to(x), x)
        return (x * (0.5 * image - self.offsets[which].to(x))).sum(1)


class Rosenbrock:
    starts = torch.tensor([[-1.2, 1.0], [2.0, -1.5], [0.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    optimum = torch.ones(4, 2, dtype=torch.float64)

    def __call__(self, x, which):
        return 100 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2


class Kinks:
    """Sums of absolute values with a common minimum, where no gradient vanishes."""

    starts = torch.from_numpy(np.random.default_rng(0).normal(scale=3, size=(5, 3)))
    optimum = torch.zeros(5, 3, dtype=torch.float64)
    slopes = torch.tensor([1.0, 5.0, 0.2])

    def __call__(self, x, which):
        return (self.slopes.to(x) * x.abs()).sum(1) + 2 * (x[:, 0] + x[:, 1]).abs()


class Barrier:
    """x - log x: not a number for x < 0, infinite at 0, least at 1."""

    starts = torch.tensor([[0.01, 30.0], [1e-6, 0.5], [500.0, 2.0]], dtype=torch.float64)
    optimum = torch.ones(3, 2, dtype=torch.float64)

    def __call__(self, x, which):
        return (x - x.log()).sum(1)


class Cliff:
    """Overflows to infinity a short way past the minimum, which lies at log 2."""

    starts = torch.tensor([[-1e3], [-5.0], [20.0]], dtype=torch.float64)
    optimum = torch.full((3, 1), 2.0, dtype=torch.float64).log()

    def __call__(self, x, which):
        return (x.exp() - 2 * x).sum(1)


PROBLEMS = {
    "quadratic": Quadratics([1, 10, 100, 1e3]),
    "rosenbrock": Rosenbrock(),
    "kinks": Kinks(),
    "barrier": Barrier(),
    "cliff": Cliff(),
}
every_problem = pytest.mark.parametrize("name", PROBLEMS)


class Walk:
    """Runs LBFGS until no row moves, and keeps each row's path and evaluations."""

    def __init__(self, function, starts, rows=None, max_iter=200, dtype=torch.float64):
        # `rows` are the places of these starts among the function's problems.
        self.rows = torch.arange(len(starts)) if rows is None else torch.as_tensor(rows)
        self.function = function
        self.evaluations = torch.zeros(len(starts), dtype=torch.long)
        self.solver = LBFGS(self.evaluate, starts.to(dtype))
        self.paths = [[point] for point in self.solver.parameters.clone()]
        self.losses = [[loss] for loss in self.solver.loss.tolist()]
        active = torch.arange(len(starts))
        for _ in range(max_iter):
            if not len(active):
                break
            moving = self.solver.step(active)
            for r in active.tolist():
                self.paths[r].append(self.solver.parameters[r].clone())
                self.losses[r].append(self.solver.loss[r].item())
            # A row is done once it has stopped to improve, as in training.
            alive = [self.improves(r) for r in active.tolist()]
            active = active[moving & torch.tensor(alive)]

    def improves(self, r, patience=3):
        losses = self.losses[r]
        return len(losses) <= patience or losses[-1] < losses[-1 - patience] - 1e-13

    def evaluate(self, x, which):
        self.evaluations[which] += 1
        x = x.detach().requires_grad_()
        loss = self.function(x, self.rows[which])
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        return loss.detach(), gradient


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("quadratic", 1e-6), ("rosenbrock", 1e-5), ("barrier", 1e-5), ("cliff", 1e-5)],
)
def test_smooth_problems_are_solved(name, tolerance):
    problem = PROBLEMS[name]
    walk = Walk(problem, problem.starts)
    torch.testing.assert_close(
        walk.solver.parameters, problem.optimum, rtol=tolerance, atol=tolerance
    )
    assert max(map(len, walk.paths)) < 80


def test_kinks_are_descended():
    problem = PROBLEMS["kinks"]
    walk = Walk(problem, problem.starts)
    for losses in walk.losses:
        assert losses[-1] < 1e-6 * losses[0]


@every_problem
def test_loss_never_increases(name):
    problem = PROBLEMS[name]
    for dtype in (torch.float64, torch.float32):
        for losses in Walk(problem, problem.starts, dtype=dtype).losses:
            losses = np.array(losses)
            slack = 2 * torch.finfo(dtype).eps * np.abs(losses[:-1])
            assert (losses[1:] <= losses[:-1] + slack).all()


@every_problem
def test_state_is_that_of_the_function_at_the_parameters(name):
    problem = PROBLEMS[name]
    walk = Walk(problem, problem.starts, max_iter=7)
    loss, gradient = walk.evaluate(walk.solver.parameters, torch.arange(len(problem.starts)))
    torch.testing.assert_close(walk.solver.loss, loss, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(walk.solver.gradient, gradient, rtol=1e-12, atol=1e-12)


@every_problem
def test_evaluations_are_few(name):
    problem = PROBLEMS[name]
    walk = Walk(problem, problem.starts)
    iterations = torch.tensor([len(path) - 1 for path in walk.paths])
    assert (walk.evaluations <= 1 + MAX_TRIALS * iterations).all()
    # The first step has length 1, which has to double where the way is long.
    per_iteration = 4 if name == "kinks" else 2
    assert (walk.evaluations <= 20 + per_iteration * iterations).all()


@every_problem
def test_each_row_walks_the_path_it_would_walk_alone(name):
    problem = PROBLEMS[name]
    together = Walk(problem, problem.starts)
    lengths = [len(path) for path in together.paths]
    assert len(set(lengths)) > 1  # rows finish at different times
    for r, path in enumerate(together.paths):
        alone = Walk(problem, problem.starts[[r]], rows=[r])
        assert len(alone.paths[0]) == lengths[r]
        torch.testing.assert_close(
            torch.stack(alone.paths[0]), torch.stack(path), rtol=1e-9, atol=1e-9
        )
        assert alone.evaluations[0] == together.evaluations[r]


def test_only_the_rows_asked_for_move():
    problem = PROBLEMS["rosenbrock"]
    walk = Walk(problem, problem.starts, max_iter=4)
    before = walk.solver.parameters.clone()
    moving = walk.solver.step(torch.tensor([2, 0]))
    assert moving.tolist() == [True, True]
    changed = (walk.solver.parameters != before).any(1)
    assert changed.tolist() == [True, False, True, False]


def test_start_is_left_as_it_is():
    starts = Rosenbrock.starts.clone()
    Walk(Rosenbrock(), starts)
    assert torch.equal(starts, Rosenbrock.starts)


def test_row_at_its_optimum_stays_there():
    walk = Walk(Rosenbrock(), Rosenbrock.optimum)
    assert torch.equal(walk.solver.parameters, Rosenbrock.optimum)
    assert (walk.solver.loss == 0).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -1.0])
def test_row_that_is_not_finite_leaves_the_others_alone(bad):
    starts = Barrier.starts.clone()
    starts[1] = bad
    walk = Walk(Barrier(), starts)
    torch.testing.assert_close(
        walk.solver.parameters[[0, 2]], Barrier.optimum[[0, 2]], rtol=1e-5, atol=1e-5
    )


def test_gradient_that_is_not_finite_ends_its_row_at_a_finite_point():
    def function(x, which):
        # The root of a negative number in the branch that is not taken spoils the gradient.
        root = torch.where(x > 1, (x - 1).sqrt(), 0.0)
        return (root + torch.where(which[:, None] == 0, x, (x - 5) ** 2)).sum(1)

    starts = torch.tensor([[4.0], [9.0]], dtype=torch.float64)
    walk = Walk(function, starts, max_iter=50)
    assert walk.solver.parameters.isfinite().all()
    assert walk.solver.loss.isfinite().all()
    assert walk.solver.loss[0] < walk.losses[0][0]
    assert walk.solver.loss[1] < 2.1
