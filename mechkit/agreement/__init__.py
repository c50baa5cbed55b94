"""How far judges agree with each other and with labels, every figure with its interval."""

from mechkit.agreement.measures import Agreement, BlandAltman, Confusion, Noise, bland_altman, compare, confusion, noise
from mechkit.agreement.ratings import Ratings, read_ratings

__all__ = [
    "Agreement",
    "BlandAltman",
    "Confusion",
    "Noise",
    "Ratings",
    "bland_altman",
    "compare",
    "confusion",
    "noise",
    "read_ratings",
]
