"""From measurements to a table: means over examples and paired differences, with intervals and p-values by site."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mechkit import stats
from mechkit.direction import Direction
from mechkit.errors import DataError, UnknownName
from mechkit.registry import did_you_mean
from probes.nulls import Null, draw

_PROBES = {"projection": "Projection", "dot": "Pressure", "cos": "Pressure", "descent": "Pressure"}
_BASES = {"projection": "projection_basis", "dot": "dot_basis", "cos": "dot_basis", "descent": "dot_basis"}


def average(
    data: xr.Dataset,
    variable: str = "projection",
    *,
    direction: Direction | None = None,
    nulls: Sequence[Null] | None = None,
    clusters: Sequence[Any] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> xr.Dataset:
    """Mean of a measured variable over examples, at every site, position and direction.

    clusters: a label per example for examples that belong together (a template, a task); intervals take clusters, not
        examples, as independent: BCa from 30 of them on, t below.
    direction: the one that the data was measured with and its null directions are drawn around; p-values come with it.
    nulls: null families; those that the probe was given where they are left out.

    Returns a dataset without the dim example: `mean`, `low`, `high` and `n`; with a direction also, along the dim `family` and
    for the first direction, `p` (two-sided, at one site), `p_max_t` (corrected for all sites looked at), `null_sd` and
    `effect_in_null_sd`. Null draws are the same at every site. `table` prints it.

    Raises DataError for clusters that do not fit, UnknownName for a variable that was not measured.
    """
    values = _of(data, variable)
    families = _families(data, variable, direction, nulls)
    return _means(values, _basis(data, variable) if families else None, direction, families, clusters, level, resamples)


def compare(
    after: xr.Dataset,
    before: xr.Dataset,
    variable: str = "projection",
    *,
    direction: Direction | None = None,
    nulls: Sequence[Null] | None = None,
    clusters: Sequence[Any] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> xr.Dataset:
    """Mean paired difference after − before, example by example; everything else as in `average`.

    Drift is an adapter's projections minus the base model's; the change of pressure is `cos` under one system prompt
    minus `cos` under another. Raises DataError where the two hold other examples.
    """
    _check_same(after, before, variable)
    values = (_of(after, variable) - _of(before, variable)).assign_attrs(after[variable].attrs)
    families = _families(after, variable, direction, nulls)
    basis = _basis(after, variable) - _basis(before, variable) if families else None
    return _means(values, basis, direction, families, clusters, level, resamples).rename(mean="difference")


def table(data: xr.Dataset) -> pd.DataFrame:
    """A result as rows and columns: dims with more than one entry become the index, the others are left out."""
    single = [dim for dim, size in data.sizes.items() if size == 1]
    if len(single) == len(data.sizes):
        single = single[1:]
    return data.squeeze(single, drop=True).to_dataframe()


def _check_same(after: xr.Dataset, before: xr.Dataset, variable: str) -> None:
    """Raises DataError where the two were not measured on the same prompts, at the same places, along the same vectors."""
    _of(after, variable), _of(before, variable)
    for coordinate in ("example", "prompt"):
        if coordinate in after.coords and coordinate in before.coords:
            if list(after[coordinate].values) != list(before[coordinate].values):
                raise DataError("The two measurements hold other examples, or the same ones in another order.")
    for dim in after[variable].dims:
        if dim in after.coords and list(after[dim].values) != list(before[dim].values):
            raise DataError(f"The two measurements differ in {dim}: {_few(after[dim])} against {_few(before[dim])}.")
    if _directions(after, variable) != _directions(before, variable):
        raise DataError(f"The two were measured along directions with the same name and other vectors ({variable}).")


def _few(coordinate: xr.DataArray) -> str:
    names = [str(name) for name in coordinate.values]
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")


def _directions(data: xr.Dataset, variable: str) -> list[dict[str, str]]:
    """Names and hashes of the directions that a variable was measured along, as far as the measurement says."""
    for probe in json.loads(data.attrs.get("probes", "[]")):
        if variable in _PROBES and probe["probe"] == _PROBES[variable]:
            given = probe["arguments"].get("directions", [])
            return [given] if isinstance(given, dict) else list(given)
    return []


def _families(
    data: xr.Dataset, variable: str, direction: Direction | None, nulls: Sequence[Null] | None
) -> Sequence[Null]:
    """The null families to test against: those asked for, else those that the measurement says it was made with."""
    if nulls and direction is None:
        raise DataError("Null directions are drawn around a direction; pass direction=….")
    measured = _directions(data, variable)
    if direction is not None and measured and direction.hash != measured[0]["hash"]:
        raise DataError(
            f"{variable} was measured along {measured[0]['direction']!r} ({measured[0]['hash']}) first, not along the "
            f"{direction.name!r} ({direction.hash}) that null directions should be drawn around."
        )
    if direction is None or nulls is not None or variable not in _BASES:
        return nulls or ()
    made = [
        probe["arguments"]
        for probe in json.loads(data.attrs.get("probes", "[]"))
        if probe["probe"] == _PROBES[variable]
    ]
    return [Null(n["null"], n["draws"], n["seed"]) for arguments in made for n in arguments.get("nulls", [])]


def _means(
    values: xr.DataArray,
    basis: xr.DataArray | None,
    direction: Direction | None,
    nulls: Sequence[Null],
    clusters: Sequence[Any] | None,
    level: float,
    resamples: int,
) -> xr.Dataset:
    labels = None if clusters is None else np.asarray(clusters)
    if labels is not None and len(labels) != values.sizes["example"]:
        raise DataError(f"{len(labels)} cluster labels were given for {values.sizes['example']} examples.")
    units = values.sizes["example"] if labels is None else len(np.unique(labels))
    others = [str(d) for d in values.dims if d != "example"]
    table = values.transpose("example", *others).values
    found = stats.mean_intervals(
        table.reshape(len(table), -1), labels, method=stats.method_for(units), level=level, resamples=resamples
    )
    columns = {"mean": found.estimate, "low": found.low, "high": found.high, "n": found.n}
    result = xr.Dataset({name: (others, np.reshape(column, table.shape[1:])) for name, column in columns.items()})
    result = result.assign_coords({d: values[d] for d in others if d in values.coords})
    for name in ("mean", "low", "high"):
        result[name].attrs["units"] = values.attrs.get("units", "")
    methods = "; ".join(sorted({str(m) for m in found.method if m != "none"}))
    result.attrs |= {"variable": str(values.name), "interval": methods, "level": level, "clusters": units}
    result.attrs |= {key: values.attrs[key] for key in ("sign", "long_name") if key in values.attrs}
    if basis is None:
        return result
    assert direction is not None
    # Draws are linear in the basis, so those of the mean are the means of the draws.
    tests = [_tested(result["mean"], draw(basis.mean("example"), direction, null)) for null in nulls]
    family = xr.DataArray([null.family for null in nulls], dims="family", name="family")
    return result.merge(xr.concat(tests, dim=family), combine_attrs="override")


def _of(data: xr.Dataset, variable: str) -> xr.DataArray:
    if variable not in data:
        raise UnknownName(f"{variable!r} was not measured.{did_you_mean(variable, [str(v) for v in data.data_vars])}")
    return data[variable]


def _basis(data: xr.Dataset, variable: str) -> xr.DataArray:
    """The variable along the basis that nulls are drawn from, in the variable's own units."""
    if variable not in _BASES:
        raise DataError(f"{variable!r} has no null directions; {', '.join(_BASES)} have.")
    if _BASES[variable] not in data:
        raise DataError(f"{variable!r} was measured without nulls; give the probe nulls=[…].")
    basis = data[_BASES[variable]]
    if variable in ("projection", "dot"):
        return basis
    norm = data["gradient_norm"]
    scale = norm.where(norm > 0).where(norm["reduction"] != "cos_then_mean", 1.0)
    return basis / scale * (-1.0 if variable == "descent" else 1.0)


def _tested(observed: xr.DataArray, null: xr.DataArray) -> xr.Dataset:
    """p-values of the first direction's values against null draws, at each site and over all of them."""
    mine = observed.isel(direction=0, drop=True) if "direction" in observed.dims else observed
    others = [str(d) for d in mine.dims if d != "site"]
    draws = null.transpose(*others, "site", "null")
    x = mine.transpose(*others, "site")
    dims = (*others, "site")
    flat_x, flat_null = x.values.reshape(-1, x.sizes["site"]), draws.values.reshape(-1, *draws.shape[-2:])
    corrected = np.array([stats.max_t(row, block.T).p_values for row, block in zip(flat_x, flat_null)])
    return xr.Dataset(
        {
            "p": (dims, stats.null_p_value(x.values, draws.values)),
            "p_max_t": (dims, corrected.reshape(x.shape)),
            "null_sd": (dims, draws.values.std(-1, ddof=1)),
            "effect_in_null_sd": (dims, stats.effect_in_null_sd(x.values, draws.values)),
        },
        coords={d: mine[d] for d in dims if d in mine.coords},
    )
