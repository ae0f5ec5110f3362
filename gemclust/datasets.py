"""Generated data of the papers on GEMINI, with the authors' parameters by default.

A fixed `random_state` gives the same samples in every version of numpy: legacy generators do not
change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from sklearn.utils import check_random_state

__all__ = ["make_celeux_one", "make_celeux_two", "make_gaussian_student", "make_two_moons"]

Samples = tuple[NDArray[np.float64], NDArray[np.int64]]


def make_gaussian_student(
    n_samples: int = 5000, *, df: float = 1.0, alpha: float = 5.0, random_state: Any = 0
) -> Samples:
    r"""Three Gaussians and one Student-t in the plane, the latter with far outliers.

    Each sample is of any component with equal probability. The Gaussians are centred at
    :math:`\alpha (1, 1), \alpha (1, -1), \alpha (-1, 1)` with unit covariance; the Student-t is
    :math:`\alpha (-1, -1) + \sqrt{df / u} \, z` with :math:`z` normal and
    :math:`u \sim \chi^2_{df}`.

    Parameters
    ----------
    n_samples : int, default=5000
        How many.
    df : float, default=1.0
        Degrees of freedom of the Student-t: the fewer, the farther its outliers.
    alpha : float, default=5.0
        Half the distance between neighbouring centres.
    random_state : int, RandomState or None, default=0
        0 gives the very samples of the paper.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
        The samples, component by component.
    y : ndarray of int of shape (n_samples,)
        Their components; 3 is the Student-t.

    References
    ----------
    Ohl et al., Generalised Mutual Information for Discriminative Clustering, NeurIPS 2022.

    Examples
    --------
    >>> X, y = make_gaussian_student(df=1)
    >>> np.bincount(y)
    array([1203, 1235, 1268, 1294])
    """
    rng = check_random_state(random_state)
    sizes = rng.multinomial(1, [0.25] * 4, size=n_samples).sum(axis=0)
    noise = [rng.multivariate_normal(np.zeros(2), np.eye(2), size=size) for size in sizes]
    noise[3] *= np.sqrt(df / rng.chisquare(df, size=(sizes[3], 1)))
    y = np.repeat(np.arange(4), sizes)
    centres = alpha * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    return np.concatenate(noise) + centres[y], y


def make_two_moons(
    n_samples: int = 500, *, radius: float = 2.0, noise: float = 0.05, random_state: Any = 0
) -> Samples:
    r"""Two half circles, each of which reaches into the other.

    With :math:`s = \pm 1` the moon and :math:`t` uniform in :math:`[0, \pi]`,

    .. math:: x = \rho (\cos s t, \sin s t) + (s \rho / 2, -s \rho / 4) + noise.

    Parameters
    ----------
    n_samples : int, default=500
        How many.
    radius : float, default=2.0
        Of the circles.
    noise : float, default=0.05
        Standard deviation of the Gaussian noise.
    random_state : int, RandomState or None, default=0
        0 gives the very samples of the paper.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
        The samples.
    y : ndarray of int of shape (n_samples,)
        Their moons.

    References
    ----------
    Ohl et al., Generalised Mutual Information for Discriminative Clustering, NeurIPS 2022.

    Examples
    --------
    >>> X, y = make_two_moons()
    >>> np.bincount(y)
    array([263, 237])
    """
    rng = check_random_state(random_state)
    angles = rng.uniform(0, np.pi, size=n_samples)
    y = rng.binomial(1, 0.5, size=n_samples)
    sign = 2 * y - 1
    circle = radius * np.stack([np.cos(sign * angles), np.sin(sign * angles)], axis=1)
    shift = sign[:, None] * np.array([radius / 2, -radius / 4])
    return circle + shift + rng.normal(0, noise, size=(n_samples, 2)), y


def make_celeux_one(
    n_samples: int = 300, *, n_noise: int = 20, mu: float = 1.7, random_state: Any = None
) -> Samples:
    r"""Three Gaussians in five features, and features of noise.

    The centres are :math:`\mu (1, ..., 1)`, :math:`-\mu (1, ..., 1)` and 0; all covariances are
    unit, and noise is standard normal. The distribution is that of the source; the draws are not
    those of any other package.

    Parameters
    ----------
    n_samples : int, default=300
        How many.
    n_noise : int, default=20
        Features without information.
    mu : float, default=1.7
        How far the outer centres lie from 0 in each feature.
    random_state : int, RandomState or None, default=None
        Draws the samples.

    Returns
    -------
    X : ndarray of shape (n_samples, 5 + n_noise)
        The samples, informative features first.
    y : ndarray of int of shape (n_samples,)
        Their components.

    References
    ----------
    Celeux et al., Comparing model selection and regularization approaches to variable selection
    in model-based clustering, Journal de la Société française de statistique 155 (2014).

    Examples
    --------
    >>> X, y = make_celeux_one(random_state=0)
    >>> X.shape
    (300, 25)
    """
    rng = check_random_state(random_state)
    y = rng.randint(3, size=n_samples)
    informative = mu * np.array([1, -1, 0])[y][:, None] + rng.standard_normal((n_samples, 5))
    return np.hstack([informative, rng.standard_normal((n_samples, n_noise))]), y


def make_celeux_two(n_samples: int = 2000, *, random_state: Any = None) -> Samples:
    r"""Four Gaussians in two features, nine features that depend on these, and three of noise.

    The centres are (0, 0), (4, 0), (0, 2) and (4, 2), with unit covariance. The nine are linear
    functions of the two with correlated noise: they say nothing more about the components. The
    distribution is that of the source; the draws are not those of any other package.

    Parameters
    ----------
    n_samples : int, default=2000
        How many.
    random_state : int, RandomState or None, default=None
        Draws the samples.

    Returns
    -------
    X : ndarray of shape (n_samples, 14)
        The samples, informative features first.
    y : ndarray of int of shape (n_samples,)
        Their components.

    References
    ----------
    Celeux et al., Comparing model selection and regularization approaches to variable selection
    in model-based clustering, Journal de la Société française de statistique 155 (2014).

    Examples
    --------
    >>> X, y = make_celeux_two(random_state=0)
    >>> X.shape
    (2000, 14)
    """
    rng = check_random_state(random_state)
    y = rng.randint(4, size=n_samples)
    informative = np.array([[0, 0], [4, 0], [0, 2], [4, 2]])[y] + rng.standard_normal(
        (n_samples, 2)
    )
    slopes = np.array(
        [[0.5, 2, 0, -1, 2, 0.5, 4, 3, 2], [1, 0, 3, 2, -4, 0, 0.5, 0, 1]], dtype=np.float64
    )
    intercepts = np.array([0, 0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8])
    covariance = block_diag(
        np.eye(3), 0.5 * np.eye(2), _turned(np.pi / 3, 1, 3), _turned(np.pi / 6, 2, 6)
    )
    dependent = intercepts + informative @ slopes
    dependent += rng.multivariate_normal(np.zeros(9), covariance, size=n_samples)
    noise = np.array([3.2, 3.6, 4.0]) + rng.standard_normal((n_samples, 3))
    return np.hstack([informative, dependent, noise]), y


def _turned(angle: float, *variances: float) -> NDArray[np.float64]:
    """Covariance of a Gaussian of these variances along axes that are turned."""
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]])
    return np.asarray(rotation.T @ np.diag(variances) @ rotation)
