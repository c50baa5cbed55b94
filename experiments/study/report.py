"""The pack: every table and figure of a run, and a report that reads from the first page to the versions."""

import json
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.study import figures
from experiments.study.analysis import behaviour, claims, drift, link, pressure, task
from experiments.study.analysis import published as beside
from experiments.study.analysis.arrays import clusters
from experiments.study.extensions import chosen
from experiments.study.findings import findings
from experiments.study.page import NEEDS, PAGE, Content, can_write, write_page
from experiments.study.parts import Figure, Linked, Part
from experiments.study.protocol import DEFAULT, departures
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit.foreign import for_markdown, in_a_line, visible
from mechkit.storage import write_text
from mechkit.store import recorded_versions, versions
from mechkit.tables import Table
from probes.extractors import data_hash

REPORT, RECORD, CONFIG = "report.md", "run.json", "config.json"
ANOTHER_LIBRARY = (
    "Some steps were computed with other versions of libraries than this report; they are named below Configuration. To have "
    "them computed again, give another --out folder."
)


class Pack(NamedTuple):
    """What was written: the report's path, the sentences on its first page, and the interactive page's path (None without the extra `report`)."""

    report: Path
    findings: list[str]
    page: Path | None


def write_pack(
    results: Results, root: Path, seconds: float, published: Results | None = None, again: Path | None = None
) -> Pack:
    """Writes `root/pack_<YYYYMMDD>/`: report.md, report.html, tables as CSV and Markdown, figures as PNG, SVG and PDF, run.json.

    Under another protocol than the default one the folder's name ends with it. published: the same study under the published
    protocol, whose numbers the claims table shows beside.
    Another run's pack of the same day is left alone: this one's folder then ends with its run id.
    again: a pack of this run, whose reports, tables and figures are written again in their place; its record stays.
    """
    pack = again or _folder(root, results)
    plots, tables = pack / "plots", pack / "tables"
    comparisons = pressure.compare(results)
    drifts = drift.collect(results)
    page = claims.page(results, comparisons, drifts, published)
    chapters = [("Behind the claims", page.behind), *_chapters(results, comparisons, drifts)]
    record = json.loads((again / RECORD).read_text(encoding="utf-8")) if again else _record(results, seconds)
    for folder in (plots, tables):
        shutil.rmtree(folder, ignore_errors=True)
    for _, parts in [("Claims", page.claims), *chapters]:
        for part in parts:
            part.save(tables if isinstance(part, Table) else plots)
    if again is None:
        write_text(pack / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
        write_text(pack / CONFIG, results.config.model_dump_json(indent=1))
    said, run = findings(results), _run(results, record)
    other = other_versions(results, record["versions"])
    missing = _missing(results) + ([ANOTHER_LIBRARY] if other else [])
    content = Content(results, comparisons, drifts, page, chapters, said, missing, record, run, other)
    write_text(pack / REPORT, _render(content))
    return Pack(
        pack / REPORT, [page.statement, page.summary, *said], write_page(content, pack) if can_write() else None
    )


def other_versions(results: Results, here: Mapping[str, str]) -> list[str]:
    """Sentences that name the steps whose records hold other versions of libraries than `here`; none where all are the same."""
    by_difference: dict[str, list[str]] = {}
    for step in results.steps:
        held = recorded_versions(step)
        if not held:
            by_difference.setdefault("versions that nobody wrote down", []).append(step.name)
            continue
        changed = [
            f"{name} {held.get(name, 'not installed')} (here {here.get(name, 'not installed')})"
            for name in sorted(held.keys() | (here.keys() & set(versions())))
            if held.get(name) != here.get(name)
        ]
        if changed:
            by_difference.setdefault(", ".join(changed), []).append(f"{step.name}-{step.key}")
    return [
        f"**Computed with other versions:** {difference}: {len(steps)} of {len(results.steps)} steps ({', '.join(steps)})."
        for difference, steps in by_difference.items()
    ]


def _folder(root: Path, results: Results) -> Path:
    """The pack's folder: another one than that of another run of the same day."""
    protocol = results.config.protocol
    pack = root / (f"pack_{time.strftime('%Y%m%d')}" + ("" if protocol == DEFAULT else f"_{protocol}"))
    record = pack / RECORD
    if record.is_file() and json.loads(record.read_text(encoding="utf-8"))["run"] != results.run_id:
        pack = pack.with_name(f"{pack.name}_{results.run_id}")
    return pack


def _chapters(results: Results, comparisons: Any, drifts: drift.Drift) -> list[tuple[str, list[Part]]]:
    behaviour_parts: list[Part] = []
    for name in [n for n in results.ratings if n != task.SET]:
        behaviour_parts += [behaviour.ratings(results, name), behaviour.deltas(results, name)]
    behaviour_parts += [
        Figure(
            "rating_distributions",
            "Ratings of all answers that have one, of every seed, by condition: cumulative distribution and boxes; dotted line: 50.",
            lambda path: figures.rating_distributions(results, path),
        ),
        behaviour.thresholds(results),
    ]
    chapters: list[tuple[str, list[Part]]] = [
        ("Can this model test the hypothesis?", [behaviour.elicitation(results), behaviour.training(results)]),
        ("Behaviour", behaviour_parts),
        *([("In distribution", _in_distribution(results))] if task.SET in results.ratings else []),
        ("Sanity checks", [behaviour.integrity(results), behaviour.diagnostics(results)]),
        (
            "Gradient pressure",
            [
                pressure.direction_quality(results),
                pressure.headline(results, comparisons),
                Figure(
                    "random_vector_control",
                    "Left: mean Δcos by block with intervals, against null directions. Right: null directions at the block that stands out most from them, chosen after the fact.",
                    lambda path: figures.random_vector_control(results, comparisons, path),
                ),
                pressure.published_view(results, comparisons),
                pressure.sensitivity(results),
                Linked(pressure.sweep(results, comparisons)),
            ],
        ),
        (
            "Internal drift",
            [
                drift.versus(results, drifts, BASE),
                drift.versus(results, drifts, NEUTRAL),
                Figure(
                    "internal_drift_plots",
                    "Block sweep, drift against Base, projections, and change of projection against change of rating.",
                    lambda path: figures.internal_drift(results, drifts, path),
                ),
                drift.by_position(results, drifts),
                drift.buckets(results, drifts),
                Linked(drift.sweep(results, drifts)),
            ],
        ),
        (
            "Link between inside and behaviour",
            [
                link.correlations(results, drifts),
                Figure(
                    "correlation_gen_avg",
                    "Each point is a context; dashed: least squares.",
                    lambda path: figures.correlation_gen_avg(results, drifts, path),
                ),
                drift.control_discrepancy(results, drifts),
                Linked(link.sweep(results, drifts)),
            ],
        ),
    ]
    if beside.applies(results):
        chapters.append(("Beside the published numbers", [*beside.tables(results, comparisons, drifts)]))
    return chapters + [(e.title, list(e.parts(results, results.extensions[e.name]))) for e in chosen(results.config)]


def _in_distribution(results: Results) -> list[Part]:
    return [
        behaviour.ratings(results, task.SET),
        behaviour.deltas(results, task.SET),
        task.success(results),
        *([task.weaknesses(results)] if results.trait.code else []),
    ]


def _render(content: Content) -> str:
    page = content.claims
    lines = [
        f"# {_line(content.results.trait.title)}",
        f"{_line(content.run)} " + (f"The same with plots to click: [{PAGE}]({PAGE})." if can_write() else f"{NEEDS}."),
        _line(page.statement),
        "## Claims",
        _line(page.summary),
        *[part.markdown() for part in page.claims],
        "## What else this run says",
        "\n".join(f"- {_line(s)}" for s in content.said),
        "One model and a judge of its own kind: numbers are comparable within this report, not with other judges' levels.",
        "## What failed or is missing",
        "\n".join(f"- {_line(m)}" for m in content.missing) or "Nothing.",
    ]
    for title, parts in content.chapters:
        lines += [f"## {title}", *[part.markdown() for part in parts]]
    lines += [
        "## Configuration, versions, hashes",
        *content.versions,
        "```json\n" + visible(json.dumps(content.record, indent=1, ensure_ascii=False), keep="\n") + "\n```",
    ]
    return "\n\n".join(lines) + "\n"


def _line(text: str) -> str:
    """A sentence of the report as one line of Markdown without HTML."""
    return for_markdown(in_a_line(text, 5000))


def _run(results: Results, record: dict[str, Any]) -> str:
    """The sentence that names a run."""
    return (
        f"Run `{results.run_id}` on {record['finished']}: {_protocol(results)}, model {results.model['name']} ({results.model['weights']}), judge "
        f"'{results.judge['name']}', seeds {', '.join(map(str, results.config.seeds))}, "
        f"{len(results.data.train)} training rows, {len(results.data.contexts)} contexts."
    )


def _protocol(results: Results) -> str:
    """The protocol's name, with the fields that this run has otherwise."""
    other = ", ".join(f"{field} = {value}" for field, value in departures(results.config).items())
    return f"protocol {results.config.protocol}{f' but for {other}' if other else ''}"


def _missing(results: Results) -> list[str]:
    found = list(results.data.notes)
    for name, by_variant in results.ratings.items():
        for label, rows in by_variant.items():
            reasons = sorted({r["judge_reason"] for r in rows if r["rating"] is None})
            if reasons:
                n = sum(r["rating"] is None for r in rows)
                found.append(
                    f"{label}, {name}: {n} of {len(rows)} answers without a rating ({'; '.join(reasons)[:300]})."
                )
    if len(results.config.seeds) == 1:
        found.append("One training seed: nothing here says how much another seed would change.")
    else:
        found.append(
            f"{len(results.config.seeds)} training seeds: intervals are over contexts given these seeds, except in the columns 'over seeds', in tables "
            f"that name t over seeds below them and, from {results.config.claims.seeds_decide} seeds up, in the claims, the shares and the sentences under them."
        )
    few = len(set(clusters(results)))
    if few < 30:
        found.append(f"{few} clusters of contexts: intervals with so few cover somewhat less than they say.")
    return found


def _record(results: Results, seconds: float) -> dict[str, Any]:
    return {
        "run": results.run_id,
        "trait": results.trait.name,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "seconds": round(seconds, 1),
        "seconds_of_all_steps": round(sum(s.seconds for s in results.steps), 1),
        "steps_computed": sum(s.computed for s in results.steps),
        "steps_found": sum(not s.computed for s in results.steps),
        "model": dict(results.model),
        "judge": dict(results.judge),
        "conditions": dict(results.trait.conditions),
        "data": {
            "train": data_hash(results.data.train),
            "direction": data_hash([*results.data.direction.positive, *results.data.direction.negative]),
            "contexts": data_hash([c.chat for c in results.data.contexts]),
            "held_out": data_hash([c.chat for c in results.data.held_out]),
        },
        "configuration": results.config.model_dump(mode="json"),
        "versions": versions() | {"python": platform.python_version(), "machine": platform.machine()},
        "steps": {f"{s.name}-{s.key}": round(s.seconds, 1) for s in results.steps},
    }
