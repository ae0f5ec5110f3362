"""GeminiClustering: the scikit-learn face of the library."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from gemclust import parameters as checks
from gemclust.geometry import Affinity, check_affinity
from gemclust.messages import warn
from gemclust.models import ClusterLogits, ModuleModel, Perceptron
from gemclust.objectives import Objective
from gemclust.problem import CHUNK, Problem, evaluate, log_probabilities
from gemclust.progress import CallbackSupportMixin, Progress, with_callbacks
from gemclust.samples import Canonical, Samples, Scaling, canonical, to_tensor
from gemclust.seeding import start
from gemclust.selection import Choice, choose
from gemclust.training import Run, one_pass, train


class GeminiClustering(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseEstimator,
):
    r"""Clustering by a model of p(y|x) that maximises a GEMINI.

    A GEMINI is a generalised mutual information: the expected statistical distance between the
    cluster distributions p(x|k) and the data distribution p(x) (one-vs-all) or between one
    another (one-vs-one),

    .. math:: I_{ova} = E_{k \sim p(y)} [D(p(x|k) \| p(x))], \qquad
              I_{ovo} = E_{a, b \sim p(y)} [D(p(x|a) \| p(x|b))].

    Parameters
    ----------
    n_clusters : int or "auto", default="auto"
        The largest number of clusters. Those that win no sample are dropped, so that fewer may
        remain. "auto" is `max_clusters`.
    max_clusters : int, default=20
        The largest number of clusters with ``n_clusters="auto"``, at most the number of distinct
        samples.
    objective : str or Objective, default="mmd_ovo"
        "{kl,tv,hellinger,chi2,mmd,wasserstein}_{ova,ovo}", "mi" (= "kl_ova"), or an instance such
        as ``MMD("ovo", kernel="rbf")``. The names take the linear kernel and the Euclidean
        distance of X as it is.
    model : {"auto", "mlp", "linear"}, callable or torch.nn.Module, default="auto"
        A name ("auto" is "mlp"), a function ``(n_features, n_clusters) -> torch.nn.Module``, or
        a module, which is copied. It maps rows of X, centred and scaled by one number, to a logit
        for each cluster.
    hidden_layer_sizes : sequence of int, default=(32,)
        Units of each hidden layer of the "mlp".
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        What follows each hidden layer.
    n_init : int or "auto", default="auto"
        Number of restarts, trained side by side; the best by objective is kept. "auto": with the
        solver "lbfgs" 10, or 3 for Wasserstein objectives; else 1.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        "auto": "lbfgs" for the built-in models on up to 10,000 samples (Wasserstein: 500), else
        "adam".
    learning_rate : float or "auto", default="auto"
        Step size of "adam" and "sgd". "auto": 0.01 for the built-in models, 0.001 for others.
    batch_size : int, "auto" or None, default="auto"
        Samples a step; None is all of them, which is what "lbfgs" always takes. "auto": all up to
        10,000 (Wasserstein: 500), else 1,000 (Wasserstein: 200).
    max_iter : int, default=500
        Largest number of iterations of "lbfgs", or of epochs.
    tol : float, default=1e-4
        Relative improvement of the objective that counts as one.
    n_iter_no_change : int, default=10
        Training ends after so many iterations in a row without improvement.
    alpha : float, default=0.0
        Weight of the L2 penalty on the model's weights. With ``objective="mi"`` and
        ``model="linear"`` this is regularised information maximisation (RIM). For MMD and
        Wasserstein it is relative to the scale of X, so that labels do not depend on that scale.
    warm_start : bool, default=False
        Whether `fit` starts from the last solution, with its scaling of X.
    device : str, default="auto"
        Where torch computes; "auto" is CUDA if present, else the CPU.
    verbose : int, default=0
        Every `verbose`-th iteration is logged to the logger "gemclust"; 0 is silence.
    random_state : int, RandomState or None, default=None
        Draws the seeds and initial weights. The same int gives the same labels on the CPU.

    Attributes
    ----------
    labels_ : ndarray of int of shape (n_samples,)
        Cluster of each training sample, from 0 to ``n_clusters_ - 1``.
    n_clusters_ : int
        Number of clusters that won at least one sample.
    objective_value_ : float
        GEMINI of the fitted clustering on the training data.
    objective_curve_ : list of float
        Penalised objective after each iteration of the restart that was kept.
    n_iter_ : int
        Iterations of that restart.
    cluster_proportions_ : ndarray of shape (n_clusters_,)
        p(y) on the training data.
    module_ : torch.nn.Module
        From X to the logits of the clusters; made anew at each access.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str
        Their names, where X had any.

    See Also
    --------
    gemclust.metrics.gemini_score : The GEMINI of any clustering.

    References
    ----------
    Ohl et al., Generalised Mutual Information for Discriminative Clustering, NeurIPS 2022.

    Examples
    --------
    >>> from gemclust import GeminiClustering
    >>> X = [[0.0], [0.2], [5.0], [5.2]]
    >>> model = GeminiClustering(n_clusters=2, random_state=0).fit(X)
    >>> model.n_clusters_
    2
    >>> labels = model.predict([[-1.0], [6.0]])
    >>> bool(labels[0] != labels[1])
    True
    """

    _model: Perceptron | ModuleModel
    _parameters: NDArray[Any]

    def __init__(
        self,
        n_clusters: int | str = "auto",
        *,
        max_clusters: int = 20,
        objective: str | Objective = "mmd_ovo",
        model: str | Callable[[int, int], nn.Module] | nn.Module = "auto",
        hidden_layer_sizes: tuple[int, ...] = (32,),
        activation: str = "relu",
        n_init: int | str = "auto",
        solver: str = "auto",
        learning_rate: float | str = "auto",
        batch_size: int | str | None = "auto",
        max_iter: int = 500,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        alpha: float = 0.0,
        warm_start: bool = False,
        device: str = "auto",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.objective = objective
        self.model = model
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_init = n_init
        self.solver = solver
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.alpha = alpha
        self.warm_start = warm_start
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        affinity: ArrayLike | None = None,
    ) -> GeminiClustering:
        """Find clusters in X.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A sample of weight 2 counts as two.
        affinity : array-like of shape (n_samples, n_samples), default=None
            Precomputed kernel (for MMD) or distances (for Wasserstein) between the samples,
            instead of those of X. X remains the model's input.

        Returns
        -------
        self : GeminiClustering

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; nothing is changed then.
        """
        objective = copy.deepcopy(checks.check_parameters(self))
        # On a copy, so that an error leaves no half-fitted estimator behind.
        fitted = copy.copy(self)
        samples: Any = validate_data(
            fitted, X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_min_samples=2
        )
        checks.check_n_clusters(self, samples)
        data = self._canonical(samples, sample_weight, objective, affinity)
        with Progress(self, self.max_iter, self.verbose) as progress:
            fitted._fit(data, objective, progress)
        fitted.labels_ = fitted._log_proba(samples).argmax(1)
        for stale in {name for name in vars(self) if name.endswith("_")} - set(vars(fitted)):
            delattr(self, stale)
        self.__dict__.update(fitted.__dict__)
        return self

    def _canonical(
        self, X: Any, sample_weight: Any, objective: Objective, affinity: Any = None
    ) -> Canonical:
        weight = checks.check_sample_weight(sample_weight, X)
        return canonical(X, weight, check_affinity(affinity, X, objective))

    def _fit(self, data: Canonical, objective: Objective, progress: Progress) -> None:
        """Everything after validation: geometry, model, training, selection, attributes."""
        settings = checks.resolve_settings(self, objective, *data.X.shape)
        rng = check_random_state(self.random_state)
        warm = self.warm_start and hasattr(self, "_parameters")
        last = self._model if warm else None
        self._model = self._make_model(data)
        if last is None:
            self._scaling = Scaling(data.X, data.weight)
            n_init = checks.resolve_n_init(self, objective, settings, data.X)
        else:
            checks.check_same_model(last, self._model)
            n_init = 1
        self._affinity = Affinity(objective, data.X, data.weight, data.affinity, self._scaling)
        problem = self._problem(data, objective)
        seeds = rng.randint(np.iinfo(np.int32).max, size=n_init)
        if last is None:
            begin = start(problem, seeds, settings)
        else:
            begin = Run(to_tensor(self._parameters.copy()).to(problem.weight)[None])
        progress.unit = problem.unit
        run = train(problem, begin, settings, int(seeds[0]), progress)
        self._keep(choose(problem, run), run, problem)

    def _make_model(self, data: Canonical) -> Perceptron | ModuleModel:
        n_features = data.X.shape[1]
        wanted = int(self.max_clusters if self.n_clusters == "auto" else self.n_clusters)
        n_units = min(wanted, data.n_distinct)
        if self.n_clusters != "auto" and n_units < wanted:
            warn(
                f"Only {data.n_distinct} distinct samples have positive weight: "
                f"n_clusters={wanted} clusters cannot be found among them.",
                ConvergenceWarning,
            )
        if callable(self.model):
            return ModuleModel(self.model, n_features, n_units)
        hidden = () if self.model == "linear" else np.ravel(self.hidden_layer_sizes)
        return Perceptron((n_features, *hidden, n_units), self.activation)

    def _problem(
        self, data: Canonical, objective: Objective, units: NDArray[Any] | None = None
    ) -> Problem:
        device = checks.resolve_device(self.device)
        inputs = Samples(self._scaling(data.X), device)
        geometry = self._affinity.geometry(data.X, data.weight, data.affinity, inputs, device)
        weight = to_tensor(data.weight / data.weight.sum(), device)
        return Problem(self._model, inputs, weight, geometry, objective, self.alpha, units)

    def _keep(self, choice: Choice, run: Run, problem: Problem) -> None:
        """Set the attributes that follow from training."""
        curve = run.curves[choice.restart]
        self._parameters = run.parameters[choice.restart].detach().cpu().numpy()
        self._units = choice.units
        self._moments: dict[str, dict[str, NDArray[Any]]] = {}
        self.n_clusters_ = len(choice.units)
        self.objective_value_ = choice.value
        self.objective_curve_ = [-problem.unit * loss for loss in curve]
        self.n_iter_ = len(curve)
        self.cluster_proportions_ = (problem.weight @ choice.log_proba.exp()).cpu().numpy()
        self._n_features_out = self.n_clusters_
        if run.interrupted:
            warn("Training was interrupted; the best so far is kept.")
        elif not (run.stopped or run.converged[choice.restart]):
            warn(
                f"The objective still improved after max_iter={self.max_iter} iterations. Raise "
                "max_iter or tol.",
                ConvergenceWarning,
            )

    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, sample_weight: ArrayLike | None = None
    ) -> GeminiClustering:
        """Update the model on one more batch; the first call fits it.

        Later calls keep the clusters and take one pass over the batch with Adam (or SGD, if that
        is the solver). They set `labels_` for their batch; `objective_value_`, `objective_curve_`,
        `n_iter_` and `cluster_proportions_` stay those of the fit.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The batch.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A sample of weight 2 counts as two.

        Returns
        -------
        self : GeminiClustering
        """
        if not hasattr(self, "_parameters"):
            return self.fit(X, sample_weight=sample_weight)
        objective = checks.check_parameters(self)
        samples = self._validated(X).astype(self._parameters.dtype, copy=False)
        if repr(objective) != repr(self._affinity.objective):
            raise ValueError(
                f"The objective {objective} is not the {self._affinity.objective} of the last fit; "
                "partial_fit goes on with that one. Call fit to start again."
            )
        data = self._canonical(samples, sample_weight, objective)
        settings = checks.resolve_settings(self, objective, *data.X.shape)
        settings = replace(settings, solver="sgd" if self.solver == "sgd" else "adam")
        # A module's buffers change in training: on a copy, so that an error leaves all as it was.
        model = copy.deepcopy(self._model)
        problem = replace(self._problem(data, objective, self._units), model=model)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        moments = self._moments.get(settings.solver, {})
        parameters, moments = one_pass(problem, self._parameters, moments, settings, seed)
        self._model, self._parameters = model, parameters
        self._moments = {settings.solver: moments}
        self.labels_ = self._log_proba(samples).argmax(1)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable cluster of each sample.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
        """
        return self._log_proba(self._validated(X)).argmax(1)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """p(y|x) of each sample.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters_)
            In the dtype of X; rows sum to 1.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """log p(y|x) of each sample.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_clusters_)
            In the dtype of X.
        """
        samples = self._validated(X)
        return self._log_proba(samples).astype(samples.dtype, copy=False)

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """p(y|x) of each sample: the same as `predict_proba`, with named output columns.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters_)
        """
        return self.predict_proba(X)

    def score(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        affinity: ArrayLike | None = None,
    ) -> float:
        """GEMINI of the clustering on X; on the training data it is `objective_value_`.

        Scores of different objectives, kernels or bandwidths are not comparable.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A sample of weight 2 counts as two.
        affinity : array-like of shape (n_samples, n_samples), default=None
            Precomputed kernel or distances between these samples.

        Returns
        -------
        score : float
            Greater is better.
        """
        samples = self._validated(X)
        objective = self._affinity.objective
        data = self._canonical(samples, sample_weight, objective, affinity)
        geometry = self._affinity.geometry(data.X, data.weight, data.affinity)
        mass = to_tensor(data.weight)
        log_proba = to_tensor(self._log_proba(data.X)[None]).to(mass)
        return float(evaluate(objective, log_proba, mass, geometry)[0])

    @property
    def module_(self) -> nn.Module:
        """Torch module from rows of X to the logits of the clusters."""
        check_is_fitted(self)
        inner = self._model.module(to_tensor(self._parameters))
        centre = to_tensor(self._scaling.centre)
        return ClusterLogits(inner, centre, self._scaling.scale, self._units.tolist())

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(
            self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )

    def _log_proba(self, X: Any) -> NDArray[Any]:
        """log p(y|x) as the fitted model computes it, in the dtype of its parameters."""
        if sp.issparse(X) and self._scaling.centre.any():
            # Trained on dense samples, which were centred: take sparse ones a few at a time.
            size = max(1, CHUNK // X.shape[1])
            starts = range(0, X.shape[0], size)
            return np.concatenate([self._log_proba(X[i : i + size].toarray()) for i in starts])
        device = checks.resolve_device(self.device)
        inputs = Samples(self._scaling(X.astype(self._parameters.dtype, copy=False)), device)
        parameters = to_tensor(self._parameters, device)[None]
        return log_probabilities(self._model, parameters, inputs, self._units)[0].cpu().numpy()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_moments" in state:
            state["_moments"] = {}
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_parameters")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
