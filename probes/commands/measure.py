"""Measure chats inside a model and its adapters along directions: NetCDF or CSV, and averages with intervals."""

import argparse
import inspect
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mechkit.chat import Chat, read_chats
from mechkit.commands import shared
from mechkit.commands.progress import Report, progress
from mechkit.direction import Direction
from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.foreign import for_sheet
from mechkit.measurement import measure
from mechkit.model import Model
from mechkit.probe import PROBES, Probe
from mechkit.registry import did_you_mean
from mechkit.storage import file_hash, writing
from mechkit.tables import PValue, Table
from mechkit.template import NONE
from probes.compare import average, compare
from probes.nulls import NULLS, Null

BASE = "base"
CHUNK = 128  # chats whose values are lost at most when a command is stopped
FORMATS = (".nc", ".csv")
_UNSHOWN = ("descent", "dot", "gradient_norm", "hidden_norm")  # what follows from, or explains, what is shown
_READ = ("position", "reduction")


def main(arguments: Sequence[str]) -> int:
    """`mechkit measure`: see `mechkit measure --help`. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    out: Path = asked.out or Path(f"{asked.chats.stem}.measured.nc")
    if out.suffix not in FORMATS:
        raise MechkitError(
            f"Results are written as NetCDF or CSV, by their suffix; give --out FILE.nc or FILE.csv, not {out}."
        )
    chats = read_chats(asked.chats, asked.limit)
    directions = [Direction.load(path) for path in asked.direction]
    if asked.sites is not None:
        directions = [direction.restrict(asked.sites) for direction in directions]
    conditions = _conditions(asked.adapter)
    probes = _probes(asked, directions)
    if out.suffix == ".csv" and not any(_flat(extra) for probe in probes for extra in probe.variables.values()):
        raise MechkitError("What these probes measure is too wide for CSV; give --out FILE.nc.")
    made_with = {
        "chats": file_hash(asked.chats),
        "limit": asked.limit,
        "probes": [probe.spec() for probe in probes],
        "system": asked.system,
        "conditions": {name: shared.folder_hash(source) if source else None for name, source in conditions.items()},
        "model": {"name": asked.model, "dtype": asked.dtype, "quantization": asked.quantization},
    }
    parts = out.with_name(f"{out.name}.parts")
    with shared.writing_to(out), shared.interrupted(f"what was measured is kept in {parts}; the same command goes on."):
        record = shared.Record(out, made_with, asked.overwrite)
        if record.fresh or not out.exists() or "averages" not in record.found:
            if record.fresh:
                shutil.rmtree(parts, ignore_errors=True)
            model = shared.load_model(asked)
            record.same("weights", model.provenance["weights"])
            for direction in directions:
                direction.check(model, asked.allow_model)
            _prove(model, conditions, asked.allow_base)
            data = _measured(asked, model, chats, probes, conditions, parts, record)
            _write(data, out)
            tables = list(_averages(data, directions))
            record.keep(averages=[_stored(table) for table in tables], attrs=_plain_attrs(data))
            shutil.rmtree(parts)
    _print(asked, record.found, out, len(chats))
    return 0


def _conditions(adapters: Sequence[Path]) -> dict[str, Path | None]:
    """Name → adapter folder, or full fine-tune; the base model, None, is always the first."""
    found: dict[str, Path | None] = {BASE: None}
    for folder in adapters:
        name = folder.resolve().name
        if name in found:
            name = str(folder)
        if name in found:
            raise MechkitError(f"--adapter {folder} was given twice.")
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder of an adapter or a fine-tuned model.")
        found[name] = folder
    return found


def _prove(model: Model, conditions: Mapping[str, Path | None], allow_base: bool) -> None:
    """Puts every adapter on once before anything is measured, so that one that does not fit is refused at the start."""
    for source in conditions.values():
        if source is not None and not (source / "config.json").is_file():
            with model.adapter(source, allow_base):
                pass


def _probes(asked: argparse.Namespace, directions: Sequence[Direction]) -> list[Probe]:
    """Probes by name, with those of the command's options that they take."""
    known = {name.lower(): name for name in PROBES}
    nulls = []
    for text in asked.nulls:
        family, draws = shared.named_number(text, 1000)
        _ = NULLS[family]
        nulls.append(Null(family, draws))
    options: dict[str, Any] = {
        "directions": directions,
        "at": asked.at,
        "nulls": nulls,
        "reductions": asked.reductions,
        "sites": asked.sites or "resid_post.*",
        "allow_model": asked.allow_model,
    }
    found = []
    for name in asked.probes or (["projection"] if directions else ["vectors"]):
        if name.lower() not in known:
            raise UnknownName(f"There is no probe {name!r}.{did_you_mean(name, list(PROBES))}")
        made = PROBES[known[name.lower()]]
        takes = inspect.signature(made).parameters
        if "directions" in takes and not directions:
            raise MechkitError(f"{known[name.lower()]} reads along directions; give --direction FILE.")
        lacking = [
            k
            for k, p in takes.items()
            if p.default is p.empty and k not in options and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        if lacking:
            raise MechkitError(f"{known[name.lower()]} needs {', '.join(lacking)}, which only Python can give.")
        found.append(made(**{key: value for key, value in options.items() if key in takes}))
    return found


def _measured(
    asked: argparse.Namespace,
    model: Model,
    chats: Sequence[Chat],
    probes: Sequence[Probe],
    conditions: Mapping[str, Path | None],
    parts: Path,
    record: shared.Record,
) -> xr.Dataset:
    """All conditions along a dim of that name; every chunk of chats is on the disk before the next one begins."""
    starts = range(0, len(chats), CHUNK)
    paths = {(i, start): parts / f"{i}-{start}.nc" for i in range(len(conditions)) for start in starts}
    there = sum(min(CHUNK, len(chats) - start) for (_, start), path in paths.items() if path.exists())
    with progress("chats measured", len(chats) * len(conditions), there) as report:
        done = there
        for i, source in enumerate(conditions.values()):
            missing = [start for start in starts if not paths[i, start].exists()]
            if not missing:
                continue
            with model.condition(source, allow_base=asked.allow_base) as state:
                for start in missing:
                    chunk = chats[start : start + CHUNK]
                    count = _within(report, done, len(chunk), len(chats) * len(conditions))
                    found = measure(
                        state, chunk, probes, system=asked.system, batch_tokens=asked.batch_tokens, progress=count
                    )
                    record.keep()
                    with writing(paths[i, start]) as partial:
                        found.to_netcdf(partial, engine="h5netcdf")
                    done += len(chunk)
    states, adapters = [], []
    for i in range(len(conditions)):
        # A part's encoding holds the width of its longest name, to which those of the whole would be cut.
        read = [xr.load_dataset(paths[i, start], engine="h5netcdf").drop_encoding() for start in starts]
        whole = xr.concat(
            read, dim="example", data_vars="minimal", coords="minimal", compat="override", combine_attrs="override"
        )
        adapters.append(str(whole.attrs.pop("adapter")))
        states.append(whole)
    names = pd.Index(list(conditions), name="condition")
    data = xr.concat(
        states, dim=names, data_vars="all", coords="minimal", compat="override", join="exact", combine_attrs="override"
    )
    return data.assign_coords(adapter=("condition", adapters))


def _within(report: Report, before: int, size: int, total: int) -> Report:
    """What `measure` reports of a chunk (it may pass over it twice), as a part of the whole."""
    return lambda done, of: report(before + size * done // of, total)


def _flat(dims: Sequence[Any]) -> bool:
    """Whether a variable with these dims is a number for each chat, place and direction, rather than a vector."""
    return not set(dims) & {"basis", "d_model"}


def _write(data: xr.Dataset, out: Path) -> None:
    with writing(out) as partial:
        if out.suffix == ".nc":
            data.to_netcdf(partial, engine="h5netcdf")
            return
        long = []
        for name, values in data.data_vars.items():
            if _flat(values.dims) and not str(name).startswith("n_tokens"):
                rows = values.reset_coords(drop=True).to_series().rename("value").reset_index()
                long.append(rows.assign(variable=name))
        columns = ["condition", "example", "variable", "site", *_READ, "direction"]
        table = pd.concat(long)
        order = [c for c in columns if c in table] + [c for c in table if c not in (*columns, "value")] + ["value"]
        for column in ("condition", "example", "direction"):
            if column in table:
                table[column] = table[column].map(lambda name: for_sheet(name) if isinstance(name, str) else name)
        table[order].to_csv(partial, index=False, float_format="%.9g")


def _averages(data: xr.Dataset, directions: Sequence[Direction]) -> Iterator[Table]:
    """Means of each variable under each condition, and what each adapter changes of it."""
    shown = [str(n) for n, v in data.data_vars.items() if _flat(v.dims) and "example" in v.dims]
    shown = [n for n in shown if n not in _UNSHOWN and not n.startswith("n_tokens")]
    states = {str(name): data.sel(condition=name, drop=True) for name in data["condition"].values}
    for variable in shown:
        around = directions[0] if "direction" in data[variable].dims and directions else None
        for name, state in states.items():
            yield _table(average(state, variable, direction=around), data[variable], variable, name)
        for name, state in states.items():
            if name != BASE:
                change = compare(state, states[BASE], variable, direction=around).rename(difference="mean")
                yield _table(change, data[variable], variable, f"{name} − {BASE}")


def _table(found: xr.Dataset, values: xr.DataArray, variable: str, name: str) -> Table:
    dims = [str(d) for d in found["mean"].dims]
    families = [str(f) for f in found["family"].values] if "family" in found.coords else []
    clusters = int(found.attrs["clusters"])
    rows = []
    for labels in product(*(found[d].values for d in dims)):
        at = dict(zip(dims, map(str, labels)))
        cell = found.sel(dict(zip(dims, labels)))
        n, made = int(cell["n"]), (str(found.attrs["interval"]), float(found.attrs["level"]))
        row: dict[str, Any] = {key: label for key, label in at.items() if found.sizes[key] > 1 or key == "site"}
        row |= {"mean": shared.interval(cell, ("mean", "low", "high"), n, clusters, *made), "n": n}
        if families and at.get("direction") == str(found["direction"].values[0]):
            for family in families:
                one = cell.sel(family=family)
                row |= {
                    f"p, {family}": PValue(float(one["p"])),
                    f"p over all sites, {family}": PValue(float(one["p_max_t"])),
                }
                row[f"in null SDs, {family}"] = float(one["effect_in_null_sd"])
        rows.append(row)
    single = [f"{key} {found[key].values[0]}" for key in dims if found.sizes[key] == 1 and key != "site"]
    units, sign = values.attrs.get("units", ""), values.attrs.get("sign", "")
    reading = f"{values.attrs.get('long_name', variable)}{f' ({units})' if units else ''}{f'; {sign}' if sign else ''}"
    reading += f". {', '.join(single)}." if single else "."
    reading += (
        f" Means over chats with {100 * found.attrs['level']:.0f} % intervals ({found.attrs['interval'] or 'none'})."
    )
    if families:
        reading += " p: against null directions, two-sided, at one site; then over all sites looked at (max-T)."
    return Table(f"{variable}, {name}", f"{variable}: {name}", reading, rows)


def _stored(table: Table) -> dict[str, Any]:
    return {"name": table.name, "rows": shared.plain(table.plain_rows()), "text": table.markdown()}


def _plain_attrs(data: xr.Dataset) -> dict[str, Any]:
    """What a CSV file cannot say: what was measured with what, and each variable's meaning, units and sign."""
    variables = {str(name): dict(values.attrs) for name, values in data.data_vars.items() if values.attrs}
    about = {key: json.loads(data.attrs[key]) for key in ("model", "probes", "interventions")}
    adapters = {str(n): json.loads(str(a)) for n, a in zip(data["condition"].values, data["adapter"].values)}
    return shared.plain({**about, "system": data.attrs["system"], "adapters": adapters, "variables": variables})


def _print(asked: argparse.Namespace, found: Mapping[str, Any], out: Path, n: int) -> None:
    if asked.json:
        averages = {entry["name"]: entry["rows"] for entry in found["averages"]}
        shared.print_json(out=str(out), chats=n, averages=averages, attrs=found["attrs"])
        return
    print("\n".join(entry["text"] for entry in found["averages"]))
    print(f"all values: {out} (what they were made with: {out.name}.json)")


def _parser() -> argparse.ArgumentParser:
    parser = shared.command(
        "measure",
        "Measure chats inside a model, and inside its adapters, along directions: every value as NetCDF or CSV, and\n"
        "averages by site with intervals, with p-values where null directions are asked for.",
        """examples:
  mechkit measure --model smollm2-135m --chats chats.jsonl --direction v.safetensors
  mechkit measure --model smollm2-135m --chats chats.jsonl --direction v.safetensors --adapter results/my_adapter \\
      --at prompt_last "gen_avg(5)" --nulls "covariance_matched(1000)" --out drift.nc
  mechkit measure --model smollm2-135m --chats train.jsonl --direction v.safetensors --probes projection pressure \\
      --at completion_mean --system "Be careless." --out pressure.csv

In Python: data = xarray.open_dataset("drift.nc"); probes.average(data.sel(condition="base"), direction=v).
`mechkit probes readers` lists the readers. A CSV file has one row for each value; token counts and what nulls are drawn from are in NetCDF alone.
Chats that were measured are kept beside --out: a command that was stopped goes on from there when it is given again.""",
    )
    add = parser.add_argument
    shared.add_model(parser)
    add("--chats", required=True, type=Path, metavar="FILE", help='chats, {"messages": […]} a line')
    add(
        "--direction",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="directions; nulls are drawn around the first",
    )
    add(
        "--probes",
        nargs="+",
        metavar="NAME",
        help="projection, pressure (needs completions), or any other (projection)",
    )
    add("--at", nargs="+", default=["prompt_last"], metavar="READER", help="tokens that are read (prompt_last)")
    add("--reductions", nargs="+", default=["loss"], metavar="NAME", help="positions whose gradient is summed (loss)")
    add("--nulls", nargs="+", default=[], metavar="FAMILY(DRAWS)", help="null directions to test against")
    add("--sites", metavar="PATTERN", help="some of the direction's sites, as in resid_post.8-12 (all of them)")
    add(
        "--adapter", nargs="+", default=[], type=Path, metavar="FOLDER", help="adapters, checkpoints or full fine-tunes"
    )
    add("--allow-base", action="store_true", help="take an adapter that names another base model")
    add("--allow-model", action="store_true", help="use a direction that was made on other weights of the same shape")
    add("--system", default=NONE, help="system policy: none, template_default or a text (none)")
    add("--limit", type=shared.count, metavar="N", help="read the first N chats alone")
    add("--out", type=Path, metavar="FILE", help="FILE.nc or FILE.csv (<chats>.measured.nc in this folder)")
    add("--overwrite", action="store_true", help="start anew where --out holds something else")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser
