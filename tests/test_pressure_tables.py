"""Tables of pressure: the block chosen after the fact is claim 5's, and rows without partners are not called pairs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from test_claims import BLOCKS, MOVED, ROWS, TRUE, drifted, pressed, study

from experiments.study import figures
from experiments.study.analysis import claims, pressure
from experiments.study.results import Results
from experiments.study.trait import INOCULATION, NEUTRAL, Context, PairedData
from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.sites import Site

LOUD, CLEAR = 1, 4
"""The block with the largest Δcos, and the one where it stands out from the nulls."""


def comparisons() -> dict:
    """Δcos is largest at LOUD, where null directions scatter most, and stands out at CLEAR."""
    found = pressed(0.0)
    dice = np.random.default_rng(5)
    means, spread = np.full(BLOCKS, 0.001), np.full(BLOCKS, 0.005)
    means[[LOUD, CLEAR]], spread[LOUD] = (0.03, 0.02), 0.05
    values = dice.normal(means, 0.004, (ROWS, BLOCKS))
    nulls = {f: dice.normal(0, spread, (999, BLOCKS)) for f in ("isotropic", "covariance_matched", "label_permuted")}
    intervals = stats.mean_intervals(values, [f"t{i % 20}" for i in range(ROWS)], method="t")
    pair = (INOCULATION, NEUTRAL)
    return found | {pair: replace(found[pair], values=values, nulls=nulls, intervals=intervals)}


def unreliable_at(results: Results, blocks: list[int]) -> Results:
    quality = results.directions["insecure_code"][1].copy(deep=True)
    quality["reliability"][blocks] = 0.1
    return replace(results, directions=dict(results.directions) | {"insecure_code": (None, quality)})


@pytest.mark.parametrize("unreliable", [[], [CLEAR], [0, 2, 3, CLEAR]])
def test_the_block_chosen_after_the_fact_is_the_claims(unreliable):
    results, found = unreliable_at(study(TRUE), unreliable), comparisons()
    row = next(
        r
        for r in pressure.headline(results, found).rows
        if r["comparison"] == f"{INOCULATION} − {NEUTRAL}" and "after the fact" in r["block"]
    )
    evidence = claims.evidence(results, found, drifted(results, MOVED))
    claim = next(e for e in evidence if e.key == ("5", "covariance_matched"))
    best, corrected = pressure.standing_out(results, found[INOCULATION, NEUTRAL])
    assert row["block"] == f"{best} (stands out most, after the fact)"
    assert claim.note.startswith(f"shown at block {best}, which stands out most")
    assert row["p covariance_matched"].value == corrected["covariance_matched"] == claim.cases[0].p_value
    assert (best == CLEAR) == (unreliable != [CLEAR])
    assert found[INOCULATION, NEUTRAL].strongest == LOUD


def test_the_figure_is_of_that_block_and_the_published_view_of_the_largest(tmp_path, monkeypatch):
    titles, drawn = [], figures.figure

    def watched(*args, **options):
        made = drawn(*args, **options)
        enter = made.__enter__

        class Watched:
            def __enter__(self):
                self.fig, self.axes = enter()
                return self.fig, self.axes

            def __exit__(self, *problem):
                titles.extend(axis.get_title() for axis in self.axes)
                return made.__exit__(*problem)

        return Watched()

    monkeypatch.setattr(figures, "figure", watched)
    results, found = study(TRUE), comparisons()
    figures.random_vector_control(results, found, tmp_path / "control")
    assert f"Block {CLEAR}: stands out most, after the fact" in titles
    table = pressure.published_view(results, found)
    assert table.rows[0]["block"] == str(LOUD)
    assert "with the largest |Δcos|" in table.reading


def test_rows_without_partners_are_not_called_pairs():
    results, at = study(TRUE), [Site.parse(f"resid_post.{b}") for b in range(BLOCKS)]
    chats = tuple(Chat.ask(f"row {i}", "x = 1") for i in range(65))
    contexts = tuple(Context(Chat.ask(f"task {i}"), "c") for i in range(300))
    data = replace(results.data, held_out_pairs=PairedData(chats, chats, ()), contexts=contexts)
    names = ("auroc", "auroc_low", "auroc_high", "auroc_adjusted", "reliability", "gap")
    attrs = {
        "pairs": 7,
        "clusters": 7,
        "held_out_pairs": 65,
        "held_out_clusters": 130,
        "auroc_method": "DeLong",
        "reader": "all",
    }
    quality = xr.Dataset({n: ("site", np.full(BLOCKS, 0.9)) for n in names}, {"site": list(map(str, at))}, attrs)
    v = torch.nn.functional.normalize(torch.ones(4), dim=0)
    samples = torch.zeros(7, BLOCKS, 4), torch.zeros(5, BLOCKS, 4)
    unpaired = Direction("insecure_code", dict.fromkeys(at, v), dict.fromkeys(at, 1.0), *samples, False)
    paired = replace(unpaired, name="spanish", negative=samples[0], paired=True)
    measure = results.config.measure.model_copy(update={"direction": "published"})
    results = replace(
        results,
        data=data,
        config=results.config.model_copy(update={"measure": measure}),
        directions={"insecure_code": (unpaired, quality), "spanish": (paired, quality)},
    )
    rows = {r["direction"]: r for r in pressure.direction_quality(results).rows}
    tested = results.config.data.held_out_pairs  # a quarter of the contexts, at most as many as pairs are held out
    assert rows["insecure_code"]["pairs (clusters)"] == "7 against 5, unpaired"
    assert rows["insecure_code"]["held-out pairs (clusters)"] == f"65 against {min(75, tested)}, unpaired"
    assert rows["insecure_code"]["held-out AUROC"].n == 65 + min(75, tested)
    assert rows["spanish"]["held-out pairs (clusters)"] == "65 (130)"
    assert rows["spanish"]["held-out AUROC"].n == 130
