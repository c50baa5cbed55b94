"""Dose–response: what steering by more and more of a direction does to what a model writes, and what it costs."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DataError, MechkitError
from mechkit.intervention import Intervention
from mechkit.judges import Judge
from mechkit.measurement import Progress, completion_loss
from mechkit.model import Model
from mechkit.template import NONE
from probes.interventions import Steer

Make = Callable[[Direction, float], Intervention]


def dose_response(
    model: Model,
    chats: Sequence[Chat],
    directions: Direction | Sequence[Direction],
    doses: Sequence[float],
    judge: Judge,
    *,
    references: Sequence[Chat],
    make: Make | None = None,
    templates: Sequence[str | None] | None = None,
    system: str = NONE,
    max_new_tokens: int = 256,
    batch_size: int = 32,
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Answers, ratings and loss at every dose of every direction.

    chats: prompts to answer, greedily, with the intervention acting from the prompt to the last generated token.
    directions: the one that is asked about and its controls, such as `probes.nulls.as_directions(v, null)`.
    doses: what `make` takes; by default multiples of the gap between the classes along v, added at all sites of v.
    make: (direction, dose) → an intervention, for one site, other positions or another unit:
        `lambda v, a: probes.Steer(v, a, sites="resid_post.12", at="loss")`.
    judge: rates the answers. templates: the bare code of each prompt, for judges that read code.
    references: chats with completions whose loss under the intervention says how much of the model it leaves intact.

    Results: `rating` (0 to 100, NaN when missing), `flagged` (1 above the judge's threshold, NaN when missing), `parses`
    (1, 0, or NaN when the judge does not look), `completion` and `n_tokens`, all direction × dose × example, and `loss`
    direction × dose × reference (nats per token). See `summary` and `at_equal_loss`.
    """
    directions = [directions] if isinstance(directions, Direction) else list(directions)
    if not chats or not references or not doses or not directions:
        raise DataError("A dose–response needs chats, references, doses and a direction.")
    if len(set(doses)) < len(doses) or len({d.name for d in directions}) < len(directions):
        raise MechkitError("Every dose and every direction's name may occur once.")
    make = make or (lambda direction, dose: Steer(direction, dose, unit="gap"))
    shape = (len(directions), len(doses), len(chats))
    arrays: dict[str, np.ndarray[Any, Any]] = {
        name: np.full(shape, np.nan, dtype=np.float32) for name in ("rating", "flagged", "parses", "n_tokens")
    }
    arrays["completion"] = np.full(shape, "", dtype=object)
    loss = np.full((len(directions), len(doses), len(references)), np.nan, dtype=np.float32)
    prompts = [chat.without_completion() for chat in chats]
    for i, direction in enumerate(directions):
        for j, dose in enumerate(doses):
            with model.intervene(make(direction, float(dose))):
                answers = model.generate(prompts, system=system, max_new_tokens=max_new_tokens, batch_size=batch_size)
                loss[i, j] = completion_loss(model, references, system=system, batch_tokens=batch_tokens)
            ratings = judge.rate([c.prompt for c in prompts], [a.text for a in answers], templates)
            for k, (answer, rating) in enumerate(zip(answers, ratings)):
                at = (i, j, k)
                arrays["completion"][at], arrays["n_tokens"][at] = answer.text, len(answer.ids)
                arrays["rating"][at] = np.nan if rating.value is None else rating.value
                score = rating.score()
                arrays["flagged"][at] = np.nan if score is None else score
                arrays["parses"][at] = np.nan if rating.parses is None else rating.parses
            if progress:
                progress(i * len(doses) + j + 1, len(directions) * len(doses))
    dims = ("direction", "dose", "example")
    data = xr.Dataset({name: (dims, values) for name, values in arrays.items()})
    data["loss"] = (("direction", "dose", "reference"), loss, {"units": "nats per token"})
    data.attrs |= {
        "judge": judge.name,
        "system": system,
        "model": json.dumps(model.provenance | {"weights": model.fingerprint()}),
        "adapter": json.dumps(model.adapter_state),
        "interventions": json.dumps([i.spec() for i in model.acting]),
        "made": json.dumps([make(direction, float(dose)).spec() for direction in directions for dose in doses]),
    }
    return data.assign_coords(
        direction=[d.name for d in directions],
        dose=np.asarray(doses, dtype=float),
        example=[c.id or str(i) for i, c in enumerate(chats)],
        reference=[c.id or str(i) for i, c in enumerate(references)],
    )


def summary(data: xr.Dataset, level: float = 0.95, unaltered: Sequence[float] | None = None) -> xr.Dataset:
    """What a dose–response shows, direction × dose.

    unaltered: loss of each reference without any intervention, where that is not what dose 0 is (ablation, capping).

    `rate`, `rate_low`, `rate_high`: share of rated answers that are flagged, with Wilson's interval; `rated`: how many
    answers have a rating; `parse_rate`: share of answers that parse; `loss`: mean over the references; `loss_rise`,
    `loss_rise_low`, `loss_rise_high`: its rise over dose 0 or `unaltered`, paired by reference (NaN where neither was
    measured).
    """
    rated = data["flagged"].notnull().sum("example")
    flagged = data["flagged"].sum("example")
    result = xr.Dataset(
        {"rated": rated, "parse_rate": data["parses"].mean("example"), "loss": data["loss"].mean("reference")}
    )
    found = [
        stats.rate_interval(int(f), int(n), level=level) for f, n in zip(flagged.values.ravel(), rated.values.ravel())
    ]
    for name, values in (
        ("rate", [i.estimate for i in found]),
        ("rate_low", [i.low for i in found]),
        ("rate_high", [i.high for i in found]),
    ):
        result[name] = (rated.dims, np.reshape(values, rated.shape))
    at_rest = data["loss"].where(data["dose"] == 0).mean("dose")
    rise = data["loss"] - (at_rest if unaltered is None else xr.DataArray(np.asarray(unaltered), dims="reference"))
    paired = rise.transpose("reference", "direction", "dose").values
    method = stats.method_for(len(paired))
    intervals = stats.mean_intervals(paired.reshape(len(paired), -1), method=method, level=level)
    result["loss_rise"] = rise.mean("reference")
    for name, bound in (("loss_rise_low", intervals.low), ("loss_rise_high", intervals.high)):
        result[name] = (("direction", "dose"), np.reshape(bound, paired.shape[1:]))
    return result


def at_equal_loss(data: xr.Dataset, rises: Sequence[float]) -> xr.Dataset:
    """Flagged rate of every direction where its loss has risen by the same amount over dose 0.

    Doses of two directions are not comparable, for one may hurt the model more; rates at the same rise of the loss are.
    rises: in nats per token. Loss and rate are joined by straight lines between the doses measured, on each side of 0
    (dim `side`: "towards" for positive doses, "away" for negative ones); where the loss never rises so far, NaN.

    Returns `rate` and `dose`, direction × side × rise. Raises DataError where dose 0 was not measured.
    """
    if 0.0 not in data["dose"].values:
        raise DataError("Equal loss is counted from dose 0, which was not measured.")
    table = summary(data)
    sides = {"towards": 1.0, "away": -1.0}
    shape = (data.sizes["direction"], len(sides), len(rises))
    rate, dose = np.full(shape, np.nan), np.full(shape, np.nan)
    for i in range(shape[0]):
        for j, sign in enumerate(sides.values()):
            one = table.isel(direction=i)
            one = one.isel(dose=np.argsort(sign * one["dose"].values)).where(sign * one["dose"] >= 0, drop=True)
            x = np.maximum.accumulate(one["loss_rise"].values)  # the first dose at which the loss has risen so far
            for k, rise in enumerate(rises):
                if len(x) > 1 and x[0] <= rise <= x[-1]:
                    first = int(np.argmax(x >= rise))
                    span = x[first] - x[max(first - 1, 0)]
                    share = 1.0 if span == 0 else (rise - x[first - 1]) / span
                    for target, name in ((rate, "rate"), (dose, "dose")):
                        y = one[name].values
                        target[i, j, k] = y[max(first - 1, 0)] * (1 - share) + y[first] * share
    dims = ("direction", "side", "rise")
    return xr.Dataset(
        {"rate": (dims, rate), "dose": (dims, dose)},
        coords={"direction": data["direction"], "side": list(sides), "rise": list(rises)},
    )
