"""The published numbers of each claim, as cells of the claims table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL


def cells(known: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(claim, row) → the published number with its interval where it has one; empty for a trait without published numbers."""
    if not known:
        return {}
    rating, drift, pressure = known["rating_delta"], known["drift"], known["pressure"]
    low, high = pressure["blocks"]
    block, level = drift["block"], drift["by_position"]
    mean = f"{pressure['mean_delta_cos']} (mean, blocks {low}–{high}; {pressure['delta_cos']} at {pressure['block']})"
    link = known["link"][block]
    inside, control = drift["vs_neutral"][INOCULATION], drift["vs_neutral"][CONTROL]
    found = {
        ("1", ""): _with(_negative(rating[BASE])),
        ("2", ""): _with(rating[INOCULATION]),
        ("3", ""): _with(rating[CONTROL]),
        ("4a", ""): mean,
        ("4b", ""): f"{mean}: by its sign more pressure, read as less",
        (
            "5",
            "isotropic",
        ): f"{pressure['mean_delta_cos']}, outside {' to '.join(map(str, pressure['mean_null_range']))} (95 % of 15)",
        ("7", ""): f"{_with(inside)} (block {block})",
        ("8", ""): f"{level[block, 'gen_avg(5)'][2]} (block {block})",
        ("10", ""): f"{link['r']} (p = {link['p']}, block {block})",
        ("11", ""): f"{_with(control)}, rating {_with(rating[CONTROL])}",
    }
    return {key: text.replace("-", "−") for key, text in found.items()}


def shares(known: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """(measure, condition) → published share of what fine-tuning induced that the condition removes."""
    if not known:
        return {}
    found = {}
    for condition in (INOCULATION, CONTROL):
        found["rating", condition] = known["rating_delta"][condition][0] / known["rating_delta"][BASE][0]
        found["rate", condition] = known["rate_delta"][condition] / known["rate_delta"][BASE]
        induced = known["drift"]["vs_base"][NEUTRAL][0]
        found["prompt_last", condition] = -known["drift"]["vs_neutral"][condition][0] / induced
    return found


def _negative(interval: list[float]) -> list[float]:
    return [-interval[0], -interval[2], -interval[1]]


def _with(interval: list[float]) -> str:
    return f"{interval[0]} [{interval[1]}, {interval[2]}]"
