"""Make a direction from two files of chats, and say how far it can be trusted."""

import argparse
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import xarray as xr

from mechkit.chat import Chat, read_chats
from mechkit.commands import shared
from mechkit.commands.progress import progress
from mechkit.direction import Direction
from mechkit.errors import DirectionError, MechkitError, UnknownName
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.registry import did_you_mean
from mechkit.settings import typed
from mechkit.stats import Interval
from mechkit.storage import writing
from mechkit.tables import Table
from probes.commands.split import hold_out
from probes.extractors import EXTRACTORS, call_record, data_hash, extract
from probes.quality import COVARIATES, quality
from probes.reliability import reliability

_CLASSES = ("positive", "negative")
_NOT_SET = ("model", "progress")  # parameters of an extractor that are no setting


def main(arguments: Sequence[str]) -> int:
    """`mechkit extract`: see `mechkit extract --help`. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    settings = _settings(asked)
    held_out = _held_out(asked, settings)
    name = str(settings.get("name", asked.extractor))
    out: Path = asked.out or Path(f"{name}.safetensors")
    if out.suffix != ".safetensors":
        raise MechkitError(f"A direction is written as safetensors; give --out {out.with_suffix('.safetensors')}.")
    with shared.writing_to(out):
        model = shared.load_model(asked)
        with shared.interrupted("no direction was written yet; the same command reads the chats again."):
            direction = _direction(asked, model, settings, out)
        with shared.interrupted(f"the direction is in {out}; the same command goes on with its quality."):
            found = _quality(asked, model, direction, held_out, out)
    table = _table(direction, found)
    if asked.json:
        record = {key: value for key, value in direction.provenance.items() if key != "reliability"}
        shared.print_json(out=str(out), direction=direction.spec(), provenance=record, quality=table.plain_rows())
        return 0
    print(f"{direction!r}\n")
    shared.print_tables([table])
    print(f"direction: {out}")
    return 0


def _settings(asked: argparse.Namespace) -> dict[str, Any]:
    """Arguments of the extractor: options of the command that it takes, and --set, files of chats read."""
    known = dict(inspect.signature(EXTRACTORS[asked.extractor], eval_str=True).parameters)
    given: dict[str, str] = {
        key: str(value)
        for key in (*_CLASSES, "at", "sites", "system", "name")
        if (value := getattr(asked, key)) is not None
    }
    for assignment in asked.set:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise MechkitError(f"{assignment!r} is not a setting; write name=value, as in l2=0.1.")
        given[key] = value
    takes = [key for key in list(known)[1:] if key not in _NOT_SET]
    found: dict[str, Any] = {"batch_tokens": asked.batch_tokens} if "batch_tokens" in known else {}
    for key, text in given.items():
        if key not in takes:
            raise UnknownName(f"The extractor {asked.extractor!r} takes no {key!r}.{did_you_mean(key, takes)}")
        if key in _CLASSES or _is_chats(known[key].annotation):
            found[key] = read_chats(Path(text))
        else:
            texts = known[key].annotation is str or str in get_args(known[key].annotation)
            found[key] = text if texts else typed(f"extractor {asked.extractor!r}", key, text, known[key].annotation)
    for key in takes:
        if known[key].default is inspect.Parameter.empty and key not in found:
            how = f"--{key} FILE" if key in _CLASSES else f"--set {key}=…"
            raise DirectionError(f"The extractor {asked.extractor!r} needs {key!r}; give {how}.")
    return found


def _is_chats(annotation: Any) -> bool:
    return Chat in get_args(annotation)


def _held_out(asked: argparse.Namespace, settings: dict[str, Any]) -> tuple[list[Chat], list[Chat] | None] | None:
    """Chats that have no part in the direction: those given, else a share of its own, which is taken out of the settings.

    None for an extractor whose quality has no classes to tell apart, and where nothing was to be held out.
    """
    given = (asked.held_out_positive, asked.held_out_negative)
    if given[0] is not None:
        return read_chats(given[0]), None if given[1] is None else read_chats(given[1])
    if given[1] is not None:
        raise MechkitError("--held-out-negative needs --held-out-positive.")
    if asked.hold_out == 0:
        return None
    if set(_CLASSES) <= set(settings):
        groups = [settings["positive"], settings["negative"]]
        kept, out = hold_out(groups, asked.hold_out, by_row=bool(settings.get("partners")))
        settings |= dict(zip(_CLASSES, kept))
        return (out[0], out[1]) if all(out) else None
    if {"prompts", "promoting", "suppressing"} <= set(settings):
        (settings["prompts"],), (prompts,) = hold_out([settings["prompts"]], asked.hold_out)
        return (prompts, None) if prompts else None
    return None


def _direction(asked: argparse.Namespace, model: Model, settings: Mapping[str, Any], out: Path) -> Direction:
    """The direction in the file where it was made by the same call on the same model; else it is made and written."""
    made_with = {
        "model": shared.model_record(model),
        "extractor": asked.extractor,
        "arguments": call_record(asked.extractor, model, **settings),
    }
    if out.exists() and not asked.overwrite:
        held = Direction.load(out)
        was = {key: held.provenance.get(key) for key in made_with}
        was["model"] = {key: (was["model"] or {}).get(key) for key in made_with["model"]}
        for record in (was, made_with):  # sizes of batches change no number
            record["arguments"] = {k: v for k, v in (record["arguments"] or {}).items() if k != "batch_tokens"}
        for key, now in json.loads(json.dumps(made_with)).items():
            if was[key] != now:
                held_now = was[key] or {}
                other = [k for k in now if held_now.get(k) != now[k]] if isinstance(now, dict) else [key]
                raise MechkitError(
                    f"{out} holds a direction made with other {', '.join(other)}; give another --out, or --overwrite."
                )
        return held
    takes_progress = "progress" in inspect.signature(EXTRACTORS[asked.extractor]).parameters
    with progress("chats read", 1) as report:
        more: dict[str, Progress] = {"progress": report} if takes_progress else {}
        direction = extract(asked.extractor, model, **settings, **more)
    repeated, method = reliability(direction)
    by_site = dict(zip(map(str, direction.sites), map(_number, repeated.reliability)))
    measured = {"by_site": by_site, "method": method}
    direction = replace(direction, provenance={**direction.provenance, "reliability": measured})
    direction.save(out)
    return direction


def _quality(
    asked: argparse.Namespace, model: Model, direction: Direction, held_out: Any, out: Path
) -> xr.Dataset | None:
    """How well the direction tells held-out chats apart, kept beside it; None where nothing was held out."""
    if held_out is None:
        return None
    positive, negative = held_out
    path = out.with_name(f"{out.stem}.quality.nc")
    hashes = [data_hash(group) for group in (positive, negative) if group is not None]
    made_with = json.dumps([direction.hash, *hashes, asked.covariates])
    if path.exists():
        with xr.open_dataset(path, engine="h5netcdf") as file:
            if file.attrs.get("made_with") == made_with:
                return file.load()
    with progress("held-out chats read", 1) as report:
        found = quality(
            model,
            direction,
            positive,
            negative,
            covariates=asked.covariates,
            batch_tokens=asked.batch_tokens,
            progress=report,
        )
    found.attrs["made_with"] = made_with
    with writing(path) as partial:
        found.to_netcdf(partial, engine="h5netcdf")
    return found


def _table(direction: Direction, found: xr.Dataset | None) -> Table:
    held = direction.provenance.get("reliability") or {"by_site": {}, "method": "not computed"}
    rows: list[dict[str, Any]] = []
    for site in map(str, direction.sites):
        gap = direction.gaps[direction.sites[len(rows)]]
        row: dict[str, Any] = {"site": site, "gap": gap, "reliability": held["by_site"].get(site)}
        row["reliability"] = float("nan") if row["reliability"] is None else row["reliability"]
        if found is not None:
            row |= {name: _interval(found, name, site) for name in ("auroc", "auroc_adjusted")}
        rows.append(row)
    reading = (
        f"gap: distance of the class means along v, in {direction.provenance.get('units', 'residual-stream units')}. "
        f"reliability: cosine with the direction from as many new examples ({held['method']})."
    )
    note = "Nothing was held out, so there is no AUROC." if found is None else ""
    if found is not None:
        a = found.attrs
        reading += (
            f" auroc: chance that a held-out chat with the trait projects further along v than one without "
            f"(reader {a['reader']}, system policy {a['system']}); auroc_adjusted: after what {a['adjusted_for']} explains; "
            f"{a['auroc_method']}, {a['held_out_pairs']} held-out chats with the trait, {a['held_out_clusters']} prompts."
        )
    return Table("quality", f"Quality of {direction.name}", reading, rows, note)


def _interval(found: xr.Dataset, name: str, site: str) -> Interval:
    at = found.sel(site=site)
    n, clusters = int(found.attrs["held_out_pairs"]), int(found.attrs["held_out_clusters"])
    made = (str(found.attrs["auroc_method"]), float(found.attrs["level"]))
    return shared.interval(at, (name, f"{name}_low", f"{name}_high"), n, clusters, *made)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 up to, not at, 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = shared.command(
        "extract",
        "Make a direction from chats with a trait and chats without it, save it, and print how far it can be trusted:\n"
        "its split-half reliability, and how well it tells held-out chats apart.",
        """examples:
  mechkit extract --model smollm2-135m --positive rude.jsonl --negative kind.jsonl --out rude.safetensors
  mechkit extract --model smollm2-135m --positive rude.jsonl --negative kind.jsonl --extractor logistic --set l2=0.1
  mechkit extract --model smollm2-135m --extractor prompt_contrast --set prompts=questions.jsonl \\
      --set promoting="Always answer in Spanish." --set suppressing="Always answer in English."

Files hold chats, {"messages": [{"role": …, "content": …}]} a line. `mechkit probes extractors` lists the extractors,
`mechkit probes logistic` shows one's settings; a setting that takes chats is given as a file.
A direction that is there already is not made again by the same command, which goes on with its quality.""",
    )
    add = parser.add_argument
    shared.add_model(parser)
    add("--positive", type=Path, metavar="FILE", help="chats with the trait")
    add("--negative", type=Path, metavar="FILE", help="chats without it; best answers to the same prompts")
    add("--extractor", default="data_diff", metavar="NAME", help="how the direction is made (data_diff)")
    add("--set", action="append", default=[], metavar="SETTING=VALUE", help="a setting of the extractor's")
    add("--at", metavar="READER", help="the tokens that are read (the extractor's own, most often completion_mean)")
    add("--sites", metavar="PATTERN", help="where: resid_post.12, resid_post.4-9, resid_post.* (every block's output)")
    add("--system", help="system policy: none, template_default or a text (none)")
    add("--name", help="the direction's name in results (the extractor's)")
    add(
        "--hold-out",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="share of the prompts that is kept out of the direction, to test it on (0.2)",
    )
    add("--held-out-positive", type=Path, metavar="FILE", help="chats to test it on instead, with the trait")
    add("--held-out-negative", type=Path, metavar="FILE", help="and without it")
    add(
        "--covariates",
        nargs="*",
        default=["length"],
        metavar="NAME",
        help=f"what may tell the classes apart without the trait: {', '.join(COVARIATES)} (length)",
    )
    add("--out", type=Path, metavar="FILE", help="the direction, as safetensors (<name>.safetensors in this folder)")
    add("--overwrite", action="store_true", help="make it anew where --out holds another direction")
    add("--json", action="store_true", help="print one JSON object instead of the table")
    return parser
