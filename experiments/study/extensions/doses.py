"""The dose of steering that costs a given rise of the loss: what makes directions comparable."""

from collections.abc import Callable
from math import nan

FIRST, DOUBLINGS, HALVINGS = 0.25, 8, 5
"""Smallest dose tried, in gaps; how often it may double (to 64 gaps); how often the bracket found is halved."""


def dose_at(rise: Callable[[float], float], wanted: float, sign: float) -> float:
    """The smallest dose of a sign (+1, −1) at which the loss has risen by `wanted`; NaN where it never does.

    rise: dose → rise of the loss, in nats per token; it is not asked to be monotone. Doses double from FIRST until the rise is
    reached, and the last doubling is halved HALVINGS times: the dose returned reaches the rise, and one smaller by 1/64 of the
    doubling's end does not.
    """
    below, above = 0.0, FIRST
    for _ in range(DOUBLINGS + 1):
        if rise(sign * above) >= wanted:
            break
        below, above = above, 2 * above
    else:
        return nan
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        below, above = (below, middle) if rise(sign * middle) >= wanted else (middle, above)
    return sign * above
