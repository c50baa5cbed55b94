"""The page's sections in their order, each with its interactive plots and the parts of the report that belong there."""

import json
from collections.abc import Sequence
from importlib.resources import files

from experiments.study.extensions import chosen
from experiments.study.page import markup
from experiments.study.page.content import Content
from experiments.study.parts import Figure, Part
from mechkit.tables import Table

SECTIONS = {
    "claims": "Claims",
    "behaviour": "Behaviour",
    "pressure": "Gradient pressure",
    "drift": "Internal drift",
    "link": "Link between inside and behaviour",
    "causal": "Causal checks",
    "controls": "Controls",
    "diagnostics": "Diagnostics",
    "configuration": "Configuration",
}
"""Id → heading, in the order of the page."""

INTERACTIVE = ("behaviour", "pressure", "drift", "link")
"""Sections that begin with plots of their own (`parts/<id>.html`)."""

_CHAPTERS = {
    "Can this model test the hypothesis?": "behaviour",
    "Behaviour": "behaviour",
    "In distribution": "behaviour",
    "Gradient pressure": "pressure",
    "Internal drift": "drift",
    "Link between inside and behaviour": "link",
    "Beside the published numbers": "controls",
    "Sanity checks": "diagnostics",
    "Behind the claims": "diagnostics",
}
_EXTENSIONS = {
    "along_training": "pressure",
    "induced": "pressure",
    "components": "drift",
    "tokens": "link",
    "causal": "causal",
    "trained_without": "causal",
    "under_training_prompt": "causal",
}
"""Extensions that do not stand among the controls."""
_REDRAWN = {"rating_distributions", "random_vector_control", "internal_drift_plots", "correlation_gen_avg"}
"""Figures whose content the interactive plots have."""


def sections(content: Content) -> str:
    """All sections as HTML."""
    bodies = dict.fromkeys(SECTIONS, "")
    bodies["claims"] = _claims(content)
    for name in INTERACTIVE:
        bodies[name] = files(__package__).joinpath("parts", f"{name}.html").read_text(encoding="utf-8")
    places = _CHAPTERS | {e.title: _EXTENSIONS.get(e.name, "controls") for e in chosen(content.results.config)}
    for title, parts in content.chapters:
        place = places.get(title, "controls")
        heading = "" if title == SECTIONS[place] else f'<h3 class="chapter">{markup.escape(title)}</h3>'
        bodies[place] += heading + "".join(map(markup.part, _still(parts)))
    bodies["causal"] = bodies["causal"] or "<p>Not run: <code>--extensions causal trained_without</code>.</p>"
    bodies["controls"] = bodies["controls"] or _no_controls()
    record = markup.escape(json.dumps(content.record, indent=1, ensure_ascii=False))
    bodies["configuration"] = (
        markup.paragraphs(content.versions) + f'<div class="scroll" tabindex="0"><pre>{record}</pre></div>'
    )
    return "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{bodies[name]}</section>'
        for name, title in SECTIONS.items()
    )


def navigation() -> str:
    """Links to all sections."""
    return "".join(f'<a href="#{name}">{title}</a>' for name, title in SECTIONS.items())


def still_figures(content: Content) -> list[Figure]:
    """The figures that the page shows as they are."""
    return [p for p in _still(content.parts) if isinstance(p, Figure)]


def _still(parts: Sequence[Part]) -> list[Part]:
    return [p for p in parts if not (isinstance(p, Figure) and p.name in _REDRAWN)]


def _claims(content: Content) -> str:
    first, *others = content.claims.claims
    table = markup.table(first, opened=True) if isinstance(first, Table) else markup.part(first)
    missing = markup.paragraphs(content.missing) if content.missing else "<p>Nothing.</p>"
    return (
        f"{_conditions(content)}<p>{markup.inline(content.claims.statement)}</p>"
        f"<p>{markup.inline(content.claims.summary)}</p>{table}"
        f"{''.join(map(markup.part, others))}<h3>What else this run says</h3>{markup.paragraphs(content.said)}"
        "<p>One model and a judge of its own kind: numbers are comparable within this report, not with other judges' levels.</p>"
        f"<h3>What failed or is missing</h3>{missing}"
    )


def _conditions(content: Content) -> str:
    """What the conditions are, and v, for a reader who opens this page first."""
    trait, known = content.results.trait, {"none": "no system prompt", "template_default": "the template's own one"}
    prompts = "; ".join(
        f"<strong>{markup.escape(name)}</strong>: {known.get(prompt) or f'“{markup.escape(prompt)}”'}"
        for name, prompt in trait.conditions.items()
    )
    asked = known[content.results.config.evaluation.system]
    return (
        "<p><strong>Base</strong> is the model before training. The others are LoRA adapters of it, trained on the same "
        f"rows and each under a system prompt of its own ({prompts}). All of them answer under {asked}. v is the direction "
        f"that tells {markup.escape(trait.having)} from {markup.escape(trait.without)} answers; drift and pressure are read along it.</p>"
    )


def _no_controls() -> str:
    return (
        "<p>The null directions and other traits' directions stand with pressure and drift. Further controls were not run: "
        "<code>--extensions content vectors discrepancy loss_matching second_judge</code>.</p>"
    )
