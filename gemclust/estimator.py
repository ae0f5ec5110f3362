"""GeminiClustering: the scikit-learn face of the library."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from gemclust import automatic
from gemclust import parameters as checks
from gemclust.canonical import canonical
from gemclust.categorical import NO_PREDICTION
from gemclust.chunks import Watch, unwatched
from gemclust.distances import check_affinity
from gemclust.distributed import current_processes
from gemclust.fitting import Fit, Frame
from gemclust.messages import NamesParameters, did_you_mean, naming_columns, warn
from gemclust.models import most_probable
from gemclust.objectives import Objective
from gemclust.progress import CallbackSupportMixin, Progress, with_callbacks
from gemclust.samples import as_array, to_tensor, working_dtype
from gemclust.selection import Winners
from gemclust.shards import Shard
from gemclust.training import one_pass


class GeminiClustering(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    NamesParameters,
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
        "auto": units are trained, more of them than there may be clusters, and joined where no
        valley of density between them is real; one cluster is a possible answer. An integer is
        the largest number of clusters: those that win no sample are dropped.
    max_clusters : int, default=None
        The largest number with ``n_clusters="auto"``; None: as many as there are units. It bounds
        the answer only: `selection_` and `cut` tell what would be found without it.
    n_units : int or "auto", default="auto"
        Outputs of the model. "auto": `n_clusters`; with ``n_clusters="auto"``, one for every
        eight distinct samples and at most 100, or up to 400 where these turn out to be few. More
        units than clusters are joined, so that p(y|x) is the sum of those of a cluster's units,
        and clusters need not be convex. There are no more units than distinct samples.
    min_cluster_size : float, default=None
        With ``n_clusters="auto"``, a smaller group is no cluster: a number of samples, not a share.
        None: 1 % of those looked at (at most 100 for each unit, of at least 20 units), at least 4
        and at most 20 of them. Larger groups may still be too few points to be told from chance.
    sensitivity : float, default=1.0
        With ``n_clusters="auto"``, valleys more significant than 1 / sensitivity are real: larger
        splits more.
    objective : str or Objective, default="auto"
        "auto": "mmd_ovo", by which the clusters are scored; units of the model "local" are then
        trained by one-vs-all MMD in their own features. Otherwise
        "{kl,tv,hellinger,chi2,mmd,wasserstein,sliced_wasserstein}_{ova,ovo}", "mi" (= "kl_ova"),
        or an instance such as ``MMD("ovo", kernel="rbf")``. The names take the linear kernel and
        the Euclidean distance of X as it is.
    model : {"auto", "local", "mlp", "linear", "categorical"}, callable or module, default="auto"
        A name, a function ``(n_features, n_clusters) -> torch.nn.Module``, or
        a torch.nn.Module, which is copied. It maps rows of X, centred and scaled by one number, to
        a logit for each unit. "local" is linear in features of a kernel about as wide as the units
        lie apart. "categorical" has free logits for each training sample, for graphs and other data
        of which only an affinity is known; it predicts no new points. "auto" is "local" where there
        are more units than clusters and no `vat`, else "mlp".
    hidden_layer_sizes : int or sequence of int, default=(32,)
        Units of each hidden layer of the "mlp".
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        What follows each hidden layer.
    init : {"k-means++", "random"}, default="k-means++"
        Where training starts. "k-means++": near a softmax around samples that lie far from one
        another, all restarts but the second. "random": at the model's own random parameters.
    n_init : int or "auto", default="auto"
        Number of restarts, trained side by side; the best by objective is kept, and those that
        fall behind are dropped early. "auto": with the solver "lbfgs" 10, or 3 for Wasserstein
        objectives; else 1. Where units are joined, "auto" is 1, and of several restarts the best
        among those that find the most frequent number is kept.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        "auto": "lbfgs" for the built-in models, unless the objective compares all samples and
        there are more than 10,000 (Wasserstein: 500) of them, or `batch_size` is an integer; else
        "adam". Above 10,000 samples,
        "lbfgs" trains all restarts on 2,500 of them, and the best on ever more, last on all.
    learning_rate : float or "auto", default="auto"
        Step size of "adam" and "sgd". "auto": 0.01 for the built-in models, 0.001 for others.
    batch_size : int, "auto" or None, default="auto"
        Samples a step; None is all of them, which is what "lbfgs" always takes. "auto": all up to
        10,000 (Wasserstein: 500), else 10 times the square root of their number, at least 25 for
        each cluster (Wasserstein: 200). In batches of up to 200 samples, MMD objectives are those
        of running means over the batches, the newest of which counts one half.
    max_iter : int, default=500
        Largest number of iterations of "lbfgs", or of epochs. Units that are joined are trained for
        at most 10.
    tol : float, default=1e-4
        Relative improvement of the objective that counts as one.
    n_iter_no_change : int, default=10
        Training ends after so many iterations in a row without improvement. Above 10,000 samples,
        "lbfgs" ends after at most 3 on the first samples, and 1 on each larger number of them.
    alpha : float, default=0.0
        Weight of the L2 penalty on the model's weights. Where units are joined it takes some of
        them away, and clusters with them: leave it at 0. With ``objective="mi"`` and
        ``model="linear"`` this is regularised information maximisation (RIM). For MMD and
        Wasserstein it is relative to the scale of X, so that labels do not depend on that scale.
    entropy : float, default=0.0
        Weight of the entropy of p(y), which is added to the objective: it favours clusters of equal
        size. Like `alpha`, it is relative to the scale of X for MMD and Wasserstein.
    vat : float, default=0.0
        Weight of virtual adversarial training: the divergence of p(y|x) from that at the worst
        point around x is subtracted from the objective, by the same scale. With ``objective="mi"``
        this is IMSAT. It needs dense X and the solver "adam" or "sgd".
    vat_radius : float or "auto", default="auto"
        How far that point lies, in the units of X. "auto": 0.4 times the median distance of the
        samples from their centre.
    warm_start : bool, default=False
        Whether `fit` starts from the last solution, with its scaling of X.
    device : str or torch.device, default="auto"
        Where torch computes; "auto" is CUDA if present, else the CPU.
    verbose : int, default=0
        Stages and every `verbose`-th iteration are logged to the logger "gemclust"; 0 is silence.
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
        What training maximises after each iteration of the restart that was kept: the penalised
        objective, with "adam" and "sgd" the mean over their batches, which for objectives of
        geometry differs from that of all samples; of units to be joined with
        ``objective="auto"``, their own in the model's features. Above 10,000 samples, "lbfgs"
        starts on few of them, and the curve steps where it goes on to more.
    objective_curves_ : list of list of float
        The same of all restarts; those that fell behind end early. Above 10,000 samples, "lbfgs"
        keeps only that of the restart that went on.
    n_iter_ : int
        Iterations of that restart.
    cluster_proportions_ : ndarray of shape (n_clusters,)
        p(y) on the training data.
    probabilities_ : ndarray of shape (n_samples, n_clusters)
        Only with ``model="categorical"``: p(y|x) of the training samples.
    selection_ : Selection
        Only where there are more units than clusters: their tree (`linkage`), how real each
        valley in it is (`heights`), what other sensitivities would find (`n_clusters`), the valleys
        between the clusters (`valleys`), and how many restarts found each number (`counts`).
        `max_clusters` bounds the last two only.
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

    _frame: Frame
    _parameters: NDArray[Any]

    # In notebooks scikit-learn shows what parameters mean only where there is a page to link to. It
    # is the paper's, as the documentation has no address yet that pyproject.toml could name.
    _doc_link_module = "gemclust"
    _doc_link_template = "https://arxiv.org/abs/2210.06300"

    def __init__(
        self,
        n_clusters: int | str = "auto",
        *,
        max_clusters: int | None = None,
        n_units: int | str = "auto",
        min_cluster_size: float | None = None,
        sensitivity: float = 1.0,
        objective: str | Objective = "auto",
        model: str | Callable[[int, int], nn.Module] | nn.Module = "auto",
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer[Any]] = (32,),
        activation: str = "relu",
        init: str = "k-means++",
        n_init: int | str = "auto",
        solver: str = "auto",
        learning_rate: float | str = "auto",
        batch_size: int | str | None = "auto",
        max_iter: int = 500,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        alpha: float = 0.0,
        entropy: float = 0.0,
        vat: float = 0.0,
        vat_radius: float | str = "auto",
        warm_start: bool = False,
        device: str | torch.device = "auto",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.n_units = n_units
        self.min_cluster_size = min_cluster_size
        self.sensitivity = sensitivity
        self.objective = objective
        self.model = model
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.n_init = n_init
        self.solver = solver
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.alpha = alpha
        self.entropy = entropy
        self.vat = vat
        self.vat_radius = vat_radius
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
        X : {array-like, memmap, tensor, CSR matrix} of shape (n_samples, n_features)
            The samples. Of more than 20,000 no second copy is made. In a process group of
            torch.distributed, those of this process.
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
        processes = current_processes()
        # On a copy, so that an error leaves no half-fitted estimator behind.
        fitted = copy.copy(self)
        with processes.failing_together():
            objective = copy.deepcopy(checks.check_parameters(self))
            samples = fitted._validated(X, ensure_min_samples=1 if processes.several else 2)
            weight = checks.check_sample_weight(sample_weight, samples, processes)
            joining = automatic.resolve_joining(self)
            matrix = check_affinity(affinity, samples, objective, joining)
            checks.check_distributed(objective, matrix, processes)
            checks.check_kind_of_data(self, samples, weight, processes)
            automatic.resolve_device(self.device)
        goes_on = self.warm_start and hasattr(self, "_parameters")
        checks.check_same_everywhere(self, samples, processes, goes_on)
        shard = Shard(samples, weight, matrix, processes, automatic.resolve_spread(self))
        with Progress(self, self.verbose, forgiving=not processes.several) as progress:
            fitted._fit(shard, objective, progress)
            progress.finish(
                "labelling",
                lambda: fitted._label(samples, shard, progress.step),
                lambda: fitted._n_parts(samples),
            )
        for stale in {name for name in vars(self) if name.endswith("_")} - set(vars(fitted)):
            delattr(self, stale)
        self.__dict__.update(fitted.__dict__)
        return self

    def _fit(self, shard: Shard, objective: Objective, progress: Progress) -> None:
        """Everything after validation: units, and the clusters that they form."""
        n_units = automatic.resolve_n_units(self, shard)
        merging = self.n_clusters == "auto" or n_units > int(self.n_clusters)
        warm = self.warm_start and hasattr(self, "_parameters")
        last = (self._frame, self._parameters) if warm else None
        fit = Fit(self, shard, objective, progress, last)
        if merging:
            fit, restart, selection = fit.train_and_join(n_units)
            number = automatic.resolve_number(self, selection.tree)
            n_units = fit.frame.model.n_units
            automatic.warn_of_lost_units(self, n_units, len(selection.leaves), number)
            kept = fit.winners(restart, selection.clusters(number))
            self._keep(fit, restart)
            selection.valleys = selection.valleys[np.ix_(kept.numbers, kept.numbers)]
            self.selection_ = selection
        else:
            fit.train(n_units, merging)
            restart, kept = fit.best([[unit] for unit in range(n_units)])
            self._keep(fit, restart)
        self._join(kept)

    def _n_parts(self, samples: Any) -> int:
        """In how many parts they are labelled, if in several."""
        if self._frame.input is None:
            return 0
        return self._frame.n_parts(samples, automatic.resolve_device(self.device))

    def _label(self, samples: Any, shard: Shard, watch: Watch) -> None:
        """Set the labels of the training samples."""
        if self._frame.input is not None:
            self.labels_ = self._labels(samples, watch)
            return
        position = shard.data.position
        self._rows = np.arange(len(shard.data)) if position is None else position
        log_proba = self._log_proba(self._rows[:, None])
        self.labels_ = log_proba.argmax(1)
        self.probabilities_ = np.exp(log_proba)

    def _join(self, kept: Winners) -> None:
        """Set the attributes that follow from the clusters that are left."""
        self._clusters = kept.clusters
        self.n_clusters_ = self._n_features_out = len(kept.clusters)
        self.cluster_proportions_ = kept.proportions
        self.objective_value_ = kept.value

    def _keep(self, fit: Fit, restart: int) -> None:
        """Set the attributes that follow from training."""
        run = fit.run
        self._frame = fit.frame
        self._parameters = run.parameters[restart].detach().cpu().numpy()
        self._moments: dict[str, dict[str, NDArray[Any]]] = {}
        # Of an earlier fit.
        self.__dict__.pop("selection_", None)
        self.__dict__.pop("probabilities_", None)
        self.objective_curves_ = [[-fit.problem.unit * loss for loss in c] for c in run.curves]
        self.objective_curve_ = self.objective_curves_[restart]
        self.n_iter_ = len(self.objective_curve_)
        if run.interrupted:
            warn("Training was interrupted; the best so far is kept.")
        elif not (run.stopped or run.converged[restart]):
            warn(
                f"The objective still improved after max_iter={self.max_iter} iterations. Raise "
                "max_iter or tol.",
                ConvergenceWarning,
            )

    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        affinity: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Find clusters in X and tell the most probable one of each sample: `fit`, then `labels_`.

        Parameters
        ----------
        X : {array-like, memmap, tensor, CSR matrix} of shape (n_samples, n_features)
            The samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.
        affinity : array-like of shape (n_samples, n_samples), default=None
            As in `fit`.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
        """
        return self.fit(X, sample_weight=sample_weight, affinity=affinity).labels_

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
        processes = current_processes()
        with processes.failing_together():
            objective = checks.check_parameters(self)
            samples = self._validated(X, reset=False)
            fitted = self._frame.affinity.objective
            if repr(objective) != repr(fitted):
                raise ValueError(
                    f"The objective {objective} is not the {fitted} of the last fit; partial_fit "
                    "goes on with that one. Call fit to start again."
                )
            weight = checks.check_sample_weight(sample_weight, samples, processes)
            checks.check_distributed(objective, None, processes)
            automatic.resolve_device(self.device)
        checks.check_same_everywhere(self, samples, processes, goes_on=True)
        weight = weight.astype(self._parameters.dtype, copy=False)
        data = canonical(samples, weight, shard=processes.several)
        n_total = sum(processes.gather(len(data)))
        settings = automatic.resolve_settings(self, objective, n_total, len(self._clusters))
        settings = replace(settings, solver="sgd" if self.solver == "sgd" else "adam")
        # A module's buffers change in training: on a copy, so that an error leaves all as it was.
        frame = replace(self._frame, model=copy.deepcopy(self._frame.model))
        device = automatic.resolve_device(self.device)
        penalties = automatic.resolve_penalties(self, frame.scaling.scale, samples.shape[1])
        problem = frame.training_problem(data, device, penalties, self._clusters, processes)
        rng = check_random_state(self.random_state)
        seed = processes.first(rng.randint(np.iinfo(np.int32).max))
        moments = self._moments.get(settings.solver, {})
        parameters, moments = processes.first((self._parameters, moments))
        parameters, moments = one_pass(problem, parameters, moments, settings, seed)
        self._frame, self._parameters = frame, parameters
        self._moments = {settings.solver: moments}
        self.labels_ = self._labels(samples)
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
        return self._labels(self._validated(X, reset=False))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """p(y|x) of each sample.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
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
        log_proba : ndarray of shape (n_samples, n_clusters)
            In the dtype of X.
        """
        samples = self._validated(X, reset=False)
        return self._log_proba(samples).astype(working_dtype(samples), copy=False)

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """p(y|x) of each sample: the same as `predict_proba`, with named output columns.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
        """
        return self.predict_proba(X)

    def cut(
        self, X: ArrayLike, *, n_clusters: int | None = None, sensitivity: float | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Clusters of X where the tree of units is cut elsewhere; nothing is fitted anew.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples; with ``model="categorical"`` all training samples, in their order.
        n_clusters : int, default=None
            How many clusters to leave; at most as many as there are units.
        sensitivity : float, default=None
            Instead, which valleys are real: those more significant than 1 / sensitivity. Here
            `max_clusters` is no bound.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            Most probable cluster of each sample.
        proba : ndarray of shape (n_samples, n_clusters)
            p(y|x).
        """
        check_is_fitted(self)
        samples = self._as_samples(X, reset=False)
        by_number = self._frame.input is None
        if by_number and samples.shape[0] != len(self.labels_):
            raise ValueError(NO_PREDICTION)
        if not hasattr(self, "selection_"):
            raise ValueError(
                "There is no tree to cut: fit with n_clusters='auto' or with n_units > n_clusters."
            )
        clusters = self.selection_.clusters(
            checks.resolve_cut(self.selection_, n_clusters, sensitivity)
        )
        log_proba = self._log_proba(self._rows[:, None] if by_number else samples, clusters)
        proba = np.exp(log_proba).astype(working_dtype(samples), copy=False)
        return log_proba.argmax(1), proba

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
        samples = self._validated(X, reset=False)
        matrix = check_affinity(affinity, samples, self._frame.affinity.objective)
        data = canonical(samples, checks.check_sample_weight(sample_weight, samples), matrix)
        problem = self._frame.problem(data, automatic.resolve_device(self.device), self._clusters)
        return float(problem.value(to_tensor(self._parameters[None], problem.weight.device))[0])

    @property
    def module_(self) -> nn.Module:
        """Torch module from rows of X to the logits of the clusters."""
        check_is_fitted(self)
        if self._frame.input is None:
            raise AttributeError(f"There is no `module_`: {NO_PREDICTION}")
        return self._frame.module(self._parameters, self._clusters)

    def _validated(self, X: Any, **settings: Any) -> Any:
        """X to fit to, or, if it is not, of which to predict."""
        if not settings.get("reset", True):
            check_is_fitted(self)
            if self._frame.input is None:
                raise ValueError(NO_PREDICTION)
        return self._as_samples(X, **settings)

    def _as_samples(self, X: Any, **settings: Any) -> Any:
        """X as it is, if it is numeric: chunks of it are converted when they are used."""
        X = as_array(X)
        with naming_columns(X):
            X = validate_data(self, X, accept_sparse="csr", dtype="numeric", **settings)
            # Text and categories of some kinds of tables pass as they are.
            return X if X.dtype.kind in "biuf" else X.astype(np.float64)

    def _labels(self, X: Any, watch: Watch = unwatched) -> NDArray[Any]:
        """The most probable cluster of each row."""
        return self._of_chunks(X, most_probable, watch=watch)

    def _log_proba(self, X: Any, clusters: list[list[int]] | None = None) -> NDArray[Any]:
        """log p(y|x) of each row."""
        return self._of_chunks(X, lambda log_proba: log_proba, clusters)

    def _of_chunks(
        self,
        X: Any,
        then: Callable[[Tensor], Tensor],
        clusters: list[list[int]] | None = None,
        watch: Watch = unwatched,
    ) -> NDArray[Any]:
        """What `then` makes of log p(y|x) of some rows at a time."""
        device = automatic.resolve_device(self.device)
        clusters = clusters or self._clusters
        return self._frame.log_probabilities(X, self._parameters, clusters, device, then, watch)

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


def select_n_clusters(
    X: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    affinity: ArrayLike | None = None,
    **parameters: Any,
) -> int:
    """The number of clusters in X.

    It is `n_clusters_` of `GeminiClustering`. The evidence for it, the numbers at other
    sensitivities, and the clusters themselves are attributes and methods of that estimator, as
    `selection_` and `cut`.

    Parameters
    ----------
    X : {array-like, memmap, tensor, CSR matrix} of shape (n_samples, n_features)
        The samples.
    sample_weight : array-like of shape (n_samples,), default=None
        A sample of weight 2 counts as two.
    affinity : array-like of shape (n_samples, n_samples), default=None
        Precomputed kernel (for MMD) or distances (for Wasserstein) between the samples.
    **parameters : dict
        Further parameters of `GeminiClustering`, such as `sensitivity` and `random_state`, but not
        `n_clusters`.

    Returns
    -------
    n_clusters : int
        1 and more.

    See Also
    --------
    GeminiClustering : The estimator.
    gemclust.displays.SelectionDisplay : A picture of the evidence.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import StandardScaler
    >>> from gemclust import select_n_clusters
    >>> X = StandardScaler().fit_transform(load_wine().data)
    >>> select_n_clusters(X, random_state=0)
    3
    """
    if "n_clusters" in parameters:
        raise TypeError(
            "select_n_clusters finds the number of clusters: n_clusters is no parameter of it. Use "
            "max_clusters for a bound, or GeminiClustering for a number that is known."
        )
    names = list(GeminiClustering().get_params())
    for name in parameters:
        if name not in names:
            raise TypeError(
                f"{name!r} is no parameter of select_n_clusters.{did_you_mean(name, names)}"
            )
    model = GeminiClustering("auto", **parameters)
    return int(model.fit(X, sample_weight=sample_weight, affinity=affinity).n_clusters_)
