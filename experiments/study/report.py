"""The pack: every table and figure of a run, and a report that reads from the first page to the versions."""

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study import figures
from experiments.study.analysis import behaviour, drift, link, pressure, published
from experiments.study.analysis.arrays import clusters, fixed_blocks, mean_of, over_seeds
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.storage import write_text
from mechkit.store import versions
from mechkit.tables import Table

REPORT = "report.md"


def write_pack(results: Results, root: Path, seconds: float) -> Path:
    """Writes `root/pack_<YYYYMMDD>/`: report.md, tables as CSV and Markdown, figures as PNG and SVG, run.json.

    Returns the report's path. A pack of the same day is replaced file by file.
    """
    pack = root / f"pack_{time.strftime('%Y%m%d')}"
    plots, tables = pack / "plots", pack / "tables"
    comparisons = pressure.compare(results)
    drifts = drift.collect(results)
    chapters = _chapters(results, comparisons, drifts)
    for _, parts in chapters:
        for part in parts:
            if isinstance(part, Table):
                part.save(tables)
    figures.rating_distributions(results, plots / "rating_distributions.png")
    figures.random_vector_control(results, comparisons, plots / "random_vector_control.png")
    figures.internal_drift(results, drifts, plots / "internal_drift_plots.png")
    figures.correlation_gen_avg(results, drifts, plots / "correlation_gen_avg.png")
    record = _record(results, seconds)
    write_text(pack / "run.json", json.dumps(record, indent=1, ensure_ascii=False))
    write_text(pack / "config.json", results.config.model_dump_json(indent=1))
    write_text(pack / REPORT, _render(results, chapters, comparisons, drifts, record))
    return pack / REPORT


def findings(results: Results, comparisons: Any, drifts: drift.Drift) -> list[str]:
    """What this run says, in sentences that follow from its intervals; a null result is said plainly."""
    settings, labels = results.config.statistics, clusters(results)
    said = []
    for name in results.ratings:
        induced, change = behaviour.induced(results, name)
        said.append(
            f"On {len(clusters(results, name))} {behaviour.SETS[name]} fine-tuning "
            f"{'induced' if induced else 'did **not** visibly induce'} the trait: Neutral − Base "
            f"{_measured(change, 'rating points')}. " + "; ".join(_against_neutral(results, name)) + "."
        )
    said.append(_elicitation_sentence(results))
    blocks = fixed_blocks(results)
    inoculation = comparisons[INOCULATION, NEUTRAL]
    p = {family: test.p_overall for family, test in inoculation.max_t.items()}
    said.append(
        "Gradient pressure, Inoculation − Neutral: "
        + "; ".join(f"block {b} Δcos {inoculation.intervals[inoculation.blocks.index(b)].format()}" for b in blocks)
        + f". Over all blocks against null directions p = {', '.join(f'{v:.3f} ({k})' for k, v in p.items())}."
    )
    at = drifts.blocks.index(blocks[0])
    for position in (drift.PROMPT_LAST, drifts.gen_avg):
        moved = mean_of(drifts.change(INOCULATION, NEUTRAL, position)[:, at], labels, settings)
        own = mean_of(drifts.change(NEUTRAL, BASE, position)[:, at], labels, settings)
        said.append(
            f"Drift at block {blocks[0]}, {position}: Neutral − Base {_measured(own, 'residual-stream units')}, "
            f"Inoculation − Neutral {_measured(moved, 'units')}."
        )
    x, y = link.changes(results, drifts)
    r = stats.correlation(x[:, at], y, "pearson", labels)
    p_value = f", p = {r.p_value:.3f}" if np.isfinite(r.p_value) else ""
    said.append(f"Link at block {blocks[0]}, {drifts.gen_avg}: r {_measured(r.interval, '')}{p_value}.")
    if pressure.unreliable_blocks(results):
        low = pressure.unreliable_blocks(results)
        said.append(
            f"The direction is unreliable (split-half below {settings.reliability_floor}) at {len(low)} of "
            f"{len(inoculation.blocks)} blocks; nothing is concluded there."
        )
    return said


def _chapters(results: Results, comparisons: Any, drifts: drift.Drift) -> list[tuple[str, list[Any]]]:
    sets = list(results.ratings)
    behaviour_parts: list[Any] = []
    for name in sets:
        behaviour_parts += [behaviour.ratings(results, name), behaviour.deltas(results, name)]
    behaviour_parts += [
        _image("rating_distributions", "Ratings by condition: cumulative distribution and boxes; dotted line: 50."),
        behaviour.thresholds(results),
    ]
    return [
        ("Can this model test the hypothesis?", [behaviour.elicitation(results), behaviour.training(results)]),
        ("Behaviour", behaviour_parts),
        ("Sanity checks", [behaviour.integrity(results), behaviour.diagnostics(results)]),
        (
            "Gradient pressure",
            [
                pressure.direction_quality(results),
                pressure.headline(results, comparisons),
                _image(
                    "random_vector_control",
                    "Left: mean Δcos by block with intervals, against null directions. Right: null directions at the strongest block.",
                ),
                pressure.published_view(results, comparisons),
                _Linked(pressure.sweep(results, comparisons)),
            ],
        ),
        (
            "Internal drift",
            [
                drift.versus(results, drifts, BASE),
                drift.versus(results, drifts, NEUTRAL),
                _image(
                    "internal_drift_plots",
                    "Block sweep, drift against Base, projections, and change of projection against change of rating.",
                ),
                drift.by_position(results, drifts),
                drift.buckets(results, drifts),
                _Linked(drift.sweep(results, drifts)),
            ],
        ),
        (
            "Link between inside and behaviour",
            [
                link.correlations(results, drifts),
                _image("correlation_gen_avg", "Each point is a context; dashed: least squares."),
                drift.control_discrepancy(results, drifts),
                _Linked(link.sweep(results, drifts)),
            ],
        ),
        *(
            [("Beside the published numbers", published.tables(results, comparisons, drifts))]
            if published.applies(results)
            else []
        ),
    ]


class _Linked(Table):
    """A table too long to print: saved as a file, named in the report."""

    def __init__(self, table: Table) -> None:
        super().__init__(table.name, table.title, table.reading, table.rows, table.note)

    def markdown(self) -> str:
        return (
            f"### {self.title}\n\n{len(self.rows)} rows: [tables/{self.name}.csv](tables/{self.name}.csv)\n\n"
            f"*How to read this.* {self.reading}\n"
        )


def _image(name: str, reading: str) -> str:
    return f"![{name}](plots/{name}.png)\n\n*How to read this.* {reading} (Vector: [SVG](plots/{name}.svg).)\n"


def _render(
    results: Results, chapters: Sequence[tuple[str, list[Any]]], comparisons: Any, drifts: Any, record: Any
) -> str:
    missing = _missing(results)
    lines = [
        f"# {results.trait.title}",
        f"Run `{results.run_id}` on {record['finished']}: model {results.model['name']} ({results.model['weights']}), judge "
        f"'{results.judge['name']}', seeds {', '.join(map(str, results.config.seeds))}, "
        f"{len(results.data.train)} training rows, {len(results.data.contexts)} contexts.",
        "## What this run says",
        "\n".join(f"- {s}" for s in findings(results, comparisons, drifts)),
        "One model and a judge of its own kind: numbers are comparable within this report, not with other judges' levels.",
        "## What failed or is missing",
        "\n".join(f"- {m}" for m in missing) or "Nothing.",
    ]
    for title, parts in chapters:
        lines += [f"## {title}", *[p.markdown() if isinstance(p, Table) else p for p in parts]]
    lines += [
        "## Configuration, versions, hashes",
        "```json\n" + json.dumps(record, indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(lines) + "\n"


def _missing(results: Results) -> list[str]:
    found = list(results.data.notes)
    for label, rows in results.ratings["ood"].items():
        reasons = sorted({r["judge_reason"] for r in rows if r["rating"] is None})
        if reasons:
            n = sum(r["rating"] is None for r in rows)
            found.append(f"{label}: {n} of {len(rows)} answers without a rating ({'; '.join(reasons)[:300]}).")
    if len(results.config.seeds) == 1:
        found.append("One training seed: nothing here says how much another seed would change.")
    few = len(set(clusters(results)))
    if few < 30:
        found.append(f"{few} clusters of contexts: intervals with so few cover somewhat less than they say.")
    return found


def _elicitation_sentence(results: Results) -> str:
    first = results.elicitation[NEUTRAL]["loss"]
    change = stats.mean_interval(results.elicitation[INOCULATION]["loss"] - first)
    rates = {
        c: np.array([np.nan if r["score"] is None else r["score"] for r in found["ratings"]], dtype=float)
        for c, found in results.elicitation.items()
    }
    raised = stats.paired_rate_difference(rates[INOCULATION], rates[NEUTRAL])
    elicits = change.high < 0 or raised.interval.low > 0
    verdict = (
        "the prompt elicits the trait from the base model"
        if elicits
        else "the prompt does not elicit the trait from the base model, so **this model cannot test the hypothesis**"
    )
    return (
        f"Elicitation: under the inoculation prompt the loss of the training completions changes by "
        f"{_measured(change, 'nats per token')}; the change of the base model's insecure rate "
        + (
            "could not be measured"
            if np.isnan(raised.interval.estimate)
            else f"is {raised.interval.format(scale=100)} points"
        )
        + f": {verdict}."
    )


def _against_neutral(results: Results, set_name: str) -> list[str]:
    reference, labels = over_seeds(results, NEUTRAL, "rating", set_name), clusters(results, set_name)
    said = []
    for condition in (INOCULATION, CONTROL):
        change = over_seeds(results, condition, "rating", set_name) - reference
        interval = mean_of(change, labels, results.config.statistics, 100.0)
        said.append(f"{condition} − Neutral {_measured(interval, 'points')}{_sided(interval)}")
    return said


def _measured(interval: stats.Interval, unit: str) -> str:
    if not np.isfinite(interval.estimate):
        return f"could not be measured ({interval.note})"
    return f"{interval.format()} {unit}".rstrip()


def _sided(interval: stats.Interval) -> str:
    if not np.isfinite(interval.estimate):
        return ""
    if interval.excludes_zero():
        return ", less of the trait" if interval.high < 0 else ", more of the trait"
    return ", no difference shown"


def _record(results: Results, seconds: float) -> dict[str, Any]:
    return {
        "run": results.run_id,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "seconds": round(seconds, 1),
        "seconds_of_all_steps": round(sum(s.seconds for s in results.steps), 1),
        "steps_computed": sum(s.computed for s in results.steps),
        "steps_found": sum(not s.computed for s in results.steps),
        "model": dict(results.model),
        "judge": dict(results.judge),
        "conditions": dict(results.trait.conditions),
        "configuration": results.config.model_dump(mode="json"),
        "versions": versions() | {"python": platform.python_version(), "machine": platform.machine()},
        "steps": {f"{s.name}-{s.key}": round(s.seconds, 1) for s in results.steps},
    }
