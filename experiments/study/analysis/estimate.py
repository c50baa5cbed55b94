"""What an extension measured for a claim of the claims table, in the one form that the table reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mechkit.stats import Interval

EXTENSION_CLAIMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "12a": ("causal", "steering along v moves the trait more than other directions do"),
        "12b": ("causal", "ablating v lowers the trait more than other directions do"),
        "12c": ("trained_without", "ablating v during training leaves less of the trait"),
        "13a": ("prompt_variants", "over prompts, pressure or induced drift foretells drift"),
        "13b": ("induced", "over training rows, pressure or induced drift foretells drift"),
    }
)
"""Claims that extensions fill: id → (name of the extension, what its Estimates measure).

12a, 12b: difference of insecure rates (a share of 1) between v and random or covariance-matched directions of equal norm,
doses at equal loss, same contexts: how much more +v raises and −v lowers (12a), or its ablation lowers (12b), the rate. 12c: rate of Neutral
minus rate of the same training with v ablated. 13a, 13b: a correlation, oriented so that positive is as foretold.
"""


@dataclass(frozen=True)
class Estimate:
    """One estimate for a claim; one row of the claims table. **Above 0 always supports the claim.**

    claim: an id of EXTENSION_CLAIMS. what: the estimand in a few words, without sign gymnastics ("steering +v minus
    covariance-matched, block 13, equal loss, points"). interval: in its own unit, rates as shares of 1, missing
    (NaN with the reason in its note) where it could not be measured. p_value: two-sided, *uncorrected* (the table applies
    Holm), against the null family named in `what` or `note`; NaN where there is none.
    note: null family, choices, what failed. blocks: those whose direction it rests on; the table gives no verdict where fewer than
    half of them are above the reliability floor, and of estimates at several blocks it takes those at the block of the drift
    claims, so that others do not widen Holm's family. if_missing: the same interval had all missing ratings been secure, and all insecure;
    empty where nothing was missing or no rating enters. seeds: training seeds behind it.
    """

    claim: str
    what: str
    interval: Interval
    p_value: float
    note: str = ""
    blocks: tuple[int, ...] = ()
    if_missing: tuple[Interval, ...] = ()
    seeds: int = 1
