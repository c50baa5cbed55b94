"""AUROCs of v at the end of prompts: vulnerable against safe content, and prompts by how they are then answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, block_of, by_seed, clusters, fixed_blocks
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE
from mechkit import stats
from mechkit.figures import figure
from mechkit.tables import PValue, Table
from probes.quality import COVARIATES

ALPHA = 0.05
CONTENT, PROPENSITY = "review", "propensity"
SHADES = {"review": "#0072B2", "explain": "#56B4E9", "propensity": "#D55E00"}


@dataclass(frozen=True)
class Prompts:
    """h·v at prompt_last by model (Base, Neutral), residual-stream units.

    quoted: model → [pair, request, side, block], side 0 with the trait; asked: model → [context, block], seeds one after
    the other, and scores: model → [context], 1 where the answer has the trait, NaN where it has no rating.
    """

    results: Results
    blocks: list[int]
    requests: list[str]
    quoted: Mapping[str, Floats]
    asked: Mapping[str, Floats]
    scores: Mapping[str, Floats]

    def labels(self, model: str) -> list[str]:
        """Cluster of each entry of `asked`; a context's seeds are in one cluster."""
        own = [f"context:{c}" for c in clusters(self.results)]
        return own * (len(self.asked[model]) // len(own))

    @property
    def pair_labels(self) -> list[str]:
        return [f"pair:{c}" for c in self.results.data.held_out_pairs.clusters]

    @cached_property
    def areas(self) -> dict[tuple[str, str], list[stats.Interval]]:
        """(model, question) → AUROC at every block. Questions: each request, with against without the trait; each side of
        the first request against the contexts' prompts; propensity: contexts by how they are answered."""
        level = self.results.config.statistics.level
        found: dict[tuple[str, str], list[stats.Interval]] = {}
        for model, quoted in self.quoted.items():
            asked, scores, labels = self.asked[model], self.scores[model], np.array(self.labels(model))
            pairs = self.pair_labels
            first, at_first = asked[: len(self.results.data.contexts)], labels[: len(self.results.data.contexts)]
            yes, no = scores == 1, scores == 0
            for b in range(len(self.blocks)):
                areas = {
                    request: stats.auroc(quoted[:, r, 0, b], quoted[:, r, 1, b], pairs, pairs, level=level)
                    for r, request in enumerate(self.requests)
                }
                for side, name in enumerate(("with", "without")):
                    areas[f"{name} / asked"] = stats.auroc(
                        quoted[:, 0, side, b], first[:, b], pairs, at_first, level=level
                    )
                areas[PROPENSITY] = stats.auroc(asked[yes, b], asked[no, b], labels[yes], labels[no], level=level)
                for question, area in areas.items():
                    found.setdefault((model, question), []).append(area)
        return found

    def adjusted(self, model: str, block: int) -> stats.Interval:
        """AUROC of the first request with the quoted answer's length and number of imports regressed out."""
        pairs, b = self.results.data.held_out_pairs, self.blocks.index(block)
        scores = self.quoted[model][:, 0, :, b].T.ravel()
        nuisance = np.array(
            [[of(c) for of in COVARIATES.values()] for s in (pairs.positive, pairs.negative) for c in s]
        )
        sides, both = np.repeat([1, 0], len(pairs.positive)), self.pair_labels * 2
        return stats.auroc_adjusted(scores, sides, nuisance, both, level=self.results.config.statistics.level)

    @cached_property
    def p_over_blocks(self) -> dict[tuple[str, str], Floats]:
        """(model, request or propensity) → p corrected for all blocks: sign flips of paired differences, or of clusters' scores."""
        found: dict[tuple[str, str], Floats] = {}
        for model, quoted in self.quoted.items():
            for r, request in enumerate(self.requests):
                differences = quoted[:, r, 0] - quoted[:, r, 1]
                found[model, request] = stats.sign_flip_test(differences, self.pair_labels).p_values
            link = stats.correlations_over_blocks(self.asked[model], self.scores[model], "spearman", self.labels(model))
            found[model, PROPENSITY] = link.test.p_values
        return found


def collect(results: Results, found: Mapping[str, Any]) -> Prompts:
    """found: model → h·v [pair, request, side, site], as in `experiments.study.extensions.content`."""
    at = {"position": "prompt_last", "direction": results.trait.name}
    asked, scores = {}, {}
    for model in found:
        seeds = results.drift[model][:1] if model == BASE else results.drift[model]
        asked[model] = np.concatenate([d["projection"].sel(at).values for d in seeds])
        scores[model] = by_seed(results, model, "score", as_rated=True).ravel()
    first = found[BASE]
    quoted = {m: f.transpose("pair", "request", "side", "site").values for m, f in found.items()}
    sites, requests = [str(s) for s in first.site.values], [str(r) for r in first.request.values]
    return Prompts(results, [block_of(s) for s in sites], requests, quoted, asked, scores)


def parts(prompts: Prompts) -> Sequence[Part]:
    return [
        table(prompts),
        Figure(
            "content_or_propensity",
            f"AUROC of v at the prompt's end by block, with intervals. Blue: prompts that quote {_quoted(prompts)} with the trait "
            "against the same prompts quoting one without (content). Orange: the contexts' prompts by how the model then answers "
            "them (propensity). Dotted vertical lines: the fixed blocks.",
            lambda path: draw(prompts, path),
        ),
        Linked(sweep(prompts)),
    ]


def table(prompts: Prompts) -> Table:
    """All questions at the fixed blocks."""
    rows = []
    for block in fixed_blocks(prompts.results):
        b = prompts.blocks.index(block)
        for model in prompts.quoted:
            areas = {q: found[b] for (m, q), found in prompts.areas.items() if m == model}
            scores = prompts.scores[model]
            row: dict[str, Any] = {"block": block, "model": model}
            row |= {f"{request}: with / without": areas[request] for request in prompts.requests}
            row[f"{CONTENT}, length and imports regressed out"] = prompts.adjusted(model, block)
            row["quoted with / asked to write"] = areas["with / asked"]
            row["quoted without / asked to write"] = areas["without / asked"]
            row[PROPENSITY] = areas[PROPENSITY]
            row["answers with / without"] = f"{int((scores == 1).sum())} / {int((scores == 0).sum())}"
            p = {q: float(prompts.p_over_blocks[model, q][b]) for q in (CONTENT, PROPENSITY)}
            row |= {f"p over blocks, {name}": PValue(value) for name, value in p.items()}
            rows.append(row | {"v reads": reads(areas[CONTENT], areas[PROPENSITY], p[CONTENT], p[PROPENSITY])})
    trait = prompts.results.trait
    return Table(
        "content_or_propensity",
        "Does v read content, or the inclination to write it?",
        "AUROC of h·v at the last prompt token, .5 is chance. Content: prompts that ask to review (or explain) "
        f"{_quoted(prompts)}, held-out pairs, with the trait against without it, same words around. Quoted / asked to write: "
        "those prompts against the contexts' prompts, which ask for an answer of the model's own and differ in much else; as "
        "high for what is quoted without the trait as with it, v tells kinds of prompts apart. Propensity: the contexts' prompts "
        f"that the model itself then answers {trait.having} against the others. p: as in the table of all blocks, corrected over them. Last column: which of the "
        f"two AUROCs has an interval off .5 and p < {ALPHA:g}, and on which side. Clustered intervals.",
        rows,
        trust(prompts.results),
    )


def reads(content: stats.Interval, propensity: stats.Interval, p_content: float, p_propensity: float) -> str:
    """Which of two AUROCs has an interval off .5, and a p corrected over blocks that says so too."""
    said = []
    for name, area, p in (("content", content, p_content), (PROPENSITY, propensity, p_propensity)):
        if area.missing or np.isnan(p):
            said.append(f"{name} cannot be told")
        elif p < ALPHA and (area.low > 0.5 or area.high < 0.5):
            said.append(name if area.low > 0.5 else f"{name}, reversed")
    return " and ".join(said) or "neither, visibly"


def sweep(prompts: Prompts) -> Table:
    """All questions at every block."""
    rows = []
    for (model, question), areas in prompts.areas.items():
        p = prompts.p_over_blocks.get((model, question))
        for b, block in enumerate(prompts.blocks):
            row = {"model": model, "question": question, "block": block, "AUROC": areas[b]}
            rows.append(row | {"p over blocks": None if p is None else PValue(float(p[b]))})
    return Table(
        "content_sweep",
        "Content and propensity at every block",
        "As the table of the fixed blocks. p is corrected over all blocks (max-T): sign flips of the difference of projections within a pair, "
        "or for propensity of each cluster's share in the rank correlation of projection and score.",
        rows,
    )


def draw(prompts: Prompts, path: Path) -> None:
    """AUROC by block, a panel for each model."""
    models = list(prompts.quoted)
    with figure(path, (5.4 * len(models), 4.2), ncols=len(models), sharey=True, squeeze=False) as (fig, axes):
        for axis, model in zip(axes[0], models):
            for question in (*prompts.requests, PROPENSITY):
                areas = prompts.areas[model, question]
                values, low, high = (
                    np.array([getattr(a, part) for a in areas]) for part in ("estimate", "low", "high")
                )
                if not np.isfinite(values).any():
                    continue
                label = "propensity: contexts by answer" if question == PROPENSITY else f"content: {question}"
                axis.plot(prompts.blocks, values, color=SHADES.get(question, "k"), lw=1.6, label=label)
                axis.fill_between(prompts.blocks, low, high, color=SHADES.get(question, "k"), alpha=0.15, lw=0)
            axis.axhline(0.5, color="k", lw=0.8)
            for block in fixed_blocks(prompts.results):
                axis.axvline(block, color="k", lw=0.6, ls=":")
            scores = prompts.scores[model]
            axis.set_title(
                f"{model}: {int((scores == 1).sum())} {prompts.results.trait.having}, {int((scores == 0).sum())} other answers"
            )
            axis.set(xlabel="block", ylim=(0, 1))
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
        axes[0][0].set_ylabel("AUROC of h·v at prompt_last")
        fig.suptitle(f"What v reads in a prompt, {prompts.results.model['name']}")


def _quoted(prompts: Prompts) -> str:
    return "a file" if prompts.results.trait.code else "a question and an answer"
