"""Estimators: from two classes of vectors at one site to the direction that tells them apart.

| name | direction |
|---|---|
| mean_difference | difference of the class means δ |
| lda | Σ⁻¹δ, Σ the shrunk covariance within the classes: the whitened mean difference |
| logistic | weights of an L2-regularised logistic regression |
| pca | first principal component of the paired differences |

All are computed in float64 and point towards the positive class. lda and logistic standardise every dimension first
(a few dimensions of a residual stream have many times the variance of the rest, and a penalty would see only those) and
give back the vector whose dot product with the *unscaled* residual stream is their score.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize, special
from torch import Tensor

from mechkit.errors import DirectionError
from mechkit.registry import Registry

Estimator = Callable[..., Tensor]
"""Called with positive [sample, d_model], negative [sample, d_model] and paired, in float64, and options of its own;
returns the vector [d_model], of any length."""

ESTIMATORS: Registry[Estimator] = Registry("estimator")

Group = Float[Tensor, "sample d_model"]
Vector = Float[Tensor, " d_model"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Many small problems, one site or halving after the other: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@ESTIMATORS.register("mean_difference")
def mean_difference(positive: Group, negative: Group, paired: bool) -> Vector:
    """Mean of the positive class minus mean of the negative class."""
    return positive.mean(0) - negative.mean(0)


@ESTIMATORS.register("lda")
def linear_discriminant(positive: Group, negative: Group, paired: bool, *, shrinkage: float | None = None) -> Vector:
    """Linear discriminant Σ⁻¹δ with the covariance Σ within the classes, shrunk: the whitened mean difference.

    shrinkage: weight of the target against the sample covariance, 0 to 1; by default that of Ledoit and Wolf (2004, J
    Multivariate Anal 88:365). The target is the diagonal of variances (the identity once standardised). Pairs are not
    used: Σ is the scatter of single examples about their class mean, which is what h·v meets on new examples.

    Raises DirectionError for a shrinkage outside 0 to 1, and where Σ has no inverse (shrinkage 0 and few samples).
    """
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise DirectionError(f"A shrinkage of {shrinkage} was asked for; it lies between 0 and 1.")
    difference = positive.mean(0) - negative.mean(0)
    centred = torch.cat([positive - positive.mean(0), negative - negative.mean(0)])
    scale = _scale(centred)
    x, apart = centred / scale, difference / scale
    basis = _span(torch.cat([x, apart[None]]))
    z = x @ basis
    covariance = z.T @ z / len(z)
    variance = float(covariance.trace()) / len(apart)
    weight = _ledoit_wolf(z, covariance, len(apart)) if shrinkage is None else shrinkage
    shrunk = (1 - weight) * covariance + weight * variance * torch.eye(len(covariance), dtype=z.dtype)
    if weight * variance == 0 and torch.linalg.matrix_rank(shrunk) < len(shrunk):
        raise DirectionError(
            f"The covariance within the classes has no inverse ({len(x)} samples, {len(apart)} dimensions); "
            "give more samples or a shrinkage above 0."
        )
    return basis @ torch.linalg.solve(shrunk, basis.T @ apart) / scale


@ESTIMATORS.register("logistic")
def logistic_regression(positive: Group, negative: Group, paired: bool, *, l2: float = 0.01) -> Vector:
    """Weights of a logistic regression on standardised vectors: minimises mean log loss + l2/2 · ‖w‖².

    l2: penalty in units of the mean loss (scikit-learn's C is 1 / (l2 · samples)); both classes weigh the same,
    whatever their sizes. Large values give the standardised mean difference. Pairs are not used.

    Raises DirectionError for a penalty that is not positive, and where the minimum was not found.
    """
    if not l2 > 0:
        raise DirectionError(f"A penalty l2={l2} was asked for; it has to be above 0.")
    sizes = [len(positive), len(negative)]
    sign, share = np.repeat([1.0, -1.0], sizes), np.repeat([0.5 / size for size in sizes], sizes)
    both = torch.cat([positive, negative])
    centred = both - (positive.mean(0) + negative.mean(0)) / 2
    scale = _scale(centred, torch.from_numpy(share))
    basis = _span(centred / scale)
    x = (centred / scale @ basis).numpy()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, margin = theta[1:], sign * (x @ theta[1:] + theta[0])
        slope = -share * sign * special.expit(-margin)
        loss = share @ np.logaddexp(0, -margin) + l2 / 2 * w @ w
        return float(loss), np.concatenate([[slope.sum()], x.T @ slope + l2 * w])

    start = np.zeros(x.shape[1] + 1)
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "gtol": 1e-7})
    if not found.success:
        raise DirectionError(f"The logistic regression found no minimum: {found.message}")
    return basis @ torch.from_numpy(found.x[1:]) / scale


@ESTIMATORS.register("pca")
def principal_component(positive: Group, negative: Group, paired: bool) -> Vector:
    """First principal component of the paired differences d_i: the v that maximises Σ (d_i·v)², its sign by mean d_i.

    The differences are *not* centred, as in representation engineering (Zou et al. 2023, arXiv:2310.01405, which
    centres pairs of random sign): it is the axis along which the members of a pair lie apart, in whatever order. Where
    pairs differ by more than their class it can be far from the mean difference.

    Raises DirectionError for classes that are not paired: the first component of unpaired samples is what varies most,
    whether or not it has to do with the classes.
    """
    if not paired:
        raise DirectionError("pca needs paired data: both classes have to answer the same prompts.")
    differences = positive - negative
    if len(differences) < differences.shape[1]:
        v = differences.T @ torch.linalg.eigh(differences @ differences.T).eigenvectors[:, -1]
    else:
        v = differences.T @ (differences @ torch.linalg.eigh(differences.T @ differences).eigenvectors[:, -1])
    return v if float(v @ differences.mean(0)) >= 0 else -v


def _span(rows: Group) -> Float[Tensor, "d_model k"]:
    """Orthonormal columns that span the rows. With fewer samples than dimensions all solutions lie in them."""
    return torch.linalg.qr(rows.T).Q


def _scale(centred: Group, share: Float[Tensor, " sample"] | None = None) -> Vector:
    """Standard deviation of each dimension, samples weighted by their share; 1 for one that does not vary."""
    deviation = ((centred**2).mean(0) if share is None else share @ centred**2).sqrt()
    return torch.where(deviation > 0, deviation, 1.0)


def _ledoit_wolf(x: Group, covariance: Float[Tensor, "k k"], d: int) -> float:
    """Weight of μI that minimises the expected squared error of the shrunk covariance of centred samples x.

    d: number of dimensions, where x is written in fewer that span it.
    """
    off_target = float((covariance**2).sum() - covariance.trace() ** 2 / d)  # ‖S − μI‖²
    noise = float(((x**2).sum(1) ** 2).sum()) / len(x) ** 2 - float((covariance**2).sum()) / len(x)  # Σ ‖xxᵀ − S‖² / n²
    return min(1.0, max(0.0, noise / off_target)) if off_target > 0 else 1.0
