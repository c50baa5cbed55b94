"""Agreement of judges: figures are those of other libraries, intervals cover, degenerate data are named."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from mechkit.agreement import bland_altman, compare, confusion, noise, read_ratings, resampling
from mechkit.agreement.command import main
from mechkit.agreement.measures import bins, weighted_kappa
from mechkit.agreement.resampling import bootstrap
from mechkit.errors import DataError, UnknownName
from mechkit.stats import mean_interval


def two_judges(n=120, seed=0, noise_sd=15.0):
    """Ratings in whole points, b shifted and noisy, both with ties at the ends."""
    generator = np.random.default_rng(seed)
    true = generator.normal(50, 35, n)
    a = np.clip(np.round(true + generator.normal(0, noise_sd, n)), 0, 100)
    return a, np.clip(np.round(true + 8 + generator.normal(0, noise_sd, n)), 0, 100)


def test_figures_are_those_of_other_libraries():
    a, b = two_judges()
    found = compare(a, b)
    assert found.kappa.estimate == pytest.approx(
        cohen_kappa_score(np.minimum(a // 10, 9), np.minimum(b // 10, 9), weights="quadratic")
    )
    assert found.spearman.estimate == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.area_of_a.estimate == pytest.approx(roc_auc_score(b > 50, a))
    assert found.area_of_b.estimate == pytest.approx(roc_auc_score(a > 50, b))
    d = found.differences
    assert d.mean.estimate == pytest.approx(np.mean(a - b))
    assert d.sd.estimate == pytest.approx(np.std(a - b, ddof=1))
    assert d.upper.estimate - d.lower.estimate == pytest.approx(2 * stats.norm.ppf(0.975) * d.sd.estimate)
    for interval in (found.kappa, found.spearman, found.area_of_a, d.mean, d.sd, d.lower, d.upper):
        assert interval.low < interval.estimate < interval.high


def test_the_resampled_kappa_is_the_one_that_is_reported():
    """Were the draws of another statistic than the estimate, few would lie on either side of it."""
    a, b = two_judges(300)
    for interval in (compare(a, b).kappa, confusion(a, (b > 50) * 1.0, 50).kappa):
        assert 0.3 < (interval.estimate - interval.low) / (interval.high - interval.low) < 0.7
        assert interval.method == "BCa over 300 rows"


def test_many_rows_are_jackknifed_in_groups(monkeypatch):
    a, b = two_judges(600)
    whole = compare(a, b).spearman
    assert whole.method == "Fisher z, jackknife over 600 rows"
    monkeypatch.setattr(resampling, "MOST_CELLS", 600 * 150)
    grouped = resampling.spearman(a, b)
    assert grouped.method == "Fisher z, jackknife over 150 clusters"
    assert grouped.estimate == whole.estimate == pytest.approx(stats.spearmanr(a, b).statistic)
    assert grouped.high - grouped.low == pytest.approx(whole.high - whole.low, rel=0.2)


def test_the_bootstrap_of_a_mean_is_the_one_of_stats():
    values, groups = np.random.default_rng(3).exponential(size=90), np.repeat(np.arange(45), 2)
    parts = np.column_stack([np.ones(90), values - values.mean()])
    found = bootstrap(parts, lambda sums: sums[..., 1] / sums[..., 0], groups)
    expected = mean_interval(values - values.mean(), groups)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method == expected.method == "BCa over 45 clusters"


def test_copies_of_rows_in_clusters_add_no_certainty():
    a, b = two_judges(60)
    once, copied = compare(a, b, np.arange(60)), compare(np.repeat(a, 4), np.repeat(b, 4), np.repeat(np.arange(60), 4))
    pooled = compare(np.repeat(a, 4), np.repeat(b, 4))
    for get in (lambda x: x.kappa, lambda x: x.spearman, lambda x: x.area_of_a, lambda x: x.differences.mean):
        width = [get(x).high - get(x).low for x in (once, copied, pooled)]
        assert width[1] == pytest.approx(width[0], rel=0.05)
        assert width[2] < 0.7 * width[0]
    calls = confusion(np.repeat(a, 4), np.repeat(b > 50, 4) * 1.0, 50, np.repeat(np.arange(60), 4))
    plain = confusion(np.repeat(a, 4), np.repeat(b > 50, 4) * 1.0, 50)
    assert plain.sensitivity.method == "Wilson"
    assert calls.sensitivity.high - calls.sensitivity.low > 1.5 * (plain.sensitivity.high - plain.sensitivity.low)


def test_intervals_cover():
    """Of 40 samples of 60 rows, the interval holds what 200,000 rows show at least 34 times (nominally 38)."""
    a, b = two_judges(200_000, seed=99)
    true_kappa = cohen_kappa_score(bins(a), bins(b), weights="quadratic")
    true_upper = np.mean(a - b) + stats.norm.ppf(0.975) * np.std(a - b)
    hits = np.zeros(2)
    for seed in range(40):
        one, other = two_judges(60, seed=seed)
        kappa, upper = weighted_kappa(one, other), bland_altman(one, other).upper
        hits += [kappa.low < true_kappa < kappa.high, upper.low < true_upper < upper.high]
    assert (hits >= 34).all(), hits


def test_judges_changing_places_change_only_signs():
    a, b = two_judges()
    forth, back = compare(a, b), compare(b, a)
    assert forth.kappa.estimate == pytest.approx(back.kappa.estimate)
    assert forth.area_of_a.estimate == pytest.approx(back.area_of_b.estimate)
    assert forth.differences.lower.estimate == pytest.approx(-back.differences.upper.estimate)


def test_bins_are_ten_points_wide_and_hold_both_ends():
    assert bins(np.array([0, 9.9, 10, 89, 90, 100.0])).tolist() == [0, 0, 1, 8, 9, 9]


def test_counts_at_a_threshold_lie_above_not_at_it():
    calls = confusion([50, 51, 50, 90, np.nan, 60], [1, 1, 0, 0, 1, np.nan], 50)
    assert (calls.true_positive, calls.false_positive, calls.false_negative, calls.true_negative) == (1, 1, 1, 1)
    assert calls.sensitivity.estimate == calls.specificity.estimate == 0.5
    assert "only 4 rows" in calls.kappa.note


def test_missing_ratings_are_left_out_and_counted():
    a, b = two_judges()
    holes = a.copy()
    holes[::7] = np.nan
    found, kept = compare(holes, b), np.isfinite(holes)
    assert (found.pairs, found.missing) == (int(kept.sum()), int((~kept).sum()))
    assert found.kappa == compare(a[kept], b[kept]).kappa
    assert found.differences == bland_altman(a[kept], b[kept])


def test_degenerate_data_are_named():
    a, b = two_judges(40)
    few = compare(a[:9], b[:9])
    assert few.note == "only 9 rows rated by both; agreement needs 10"
    assert np.isnan(few.kappa.estimate)
    flat = compare(np.full(40, 10.0), b)
    assert flat.kappa.note == "the first judge's ratings are all of one class"
    assert "constant" in flat.spearman.note
    assert np.isfinite(flat.differences.mean.low)
    assert flat.area_of_b.note == "no positive scores"
    same = compare(a, a)
    assert same.kappa.estimate == pytest.approx(1)
    assert same.kappa.missing
    assert same.kappa.note == "every draw gives the same"
    one_class = confusion(a, np.ones(40), 50)
    assert one_class.kappa.note == "the reference has one class only"
    assert one_class.specificity.note == "no trials"


def test_noise_is_counted_over_rows_rated_twice():
    found = noise([10, 45, 60, 80, np.nan], [10, 55, 61, np.nan, 3])
    assert [i.estimate for i in (found.differ, found.difference, found.crossing)] == pytest.approx(
        [2 / 3, 11 / 3, 1 / 3]
    )
    assert found.differ.n == 3
    still = noise(np.full(30, 10.0), np.full(30, 10.0))
    assert still.difference.estimate == 0 < still.difference.high


def line(i, static, model, again=None, **more):
    ratings = {"static": rating(static), "strict": rating(model)}
    held = {"line": i, "id": f"r{i}", "ratings": ratings, **more}
    return json.dumps(held | ({"again": {"strict": rating(again)}} if again is not None else {})) + "\n"


def rating(value):
    return {"value": value, "status": "unparseable" if value is None else "ok", "reason": ""}


@pytest.fixture
def rated(tmp_path):
    """120 rows of two judges, three static ratings missing, 20 rated twice, labels that follow the model, 40 families."""
    a, b = two_judges()
    head = {"made_with": {"judges": {"static": {"name": "static"}, "strict": {"name": "openai", "model": "m"}}}}
    lines = [json.dumps(head) + "\n"]
    for i in range(120):
        second = min(b[i] + i % 3, 100) if i < 20 else None
        static = None if i in (3, 7, 11) else a[i]
        lines.append(
            line(i + 1, static, b[i], second, label="insecure" if b[i] > 55 else "secure", family=f"f{i // 3}")
        )
    path = tmp_path / "ratings.jsonl"
    path.write_text("".join(lines))
    return path


def test_a_file_becomes_columns(rated):
    found = read_ratings(rated, clusters="family")
    assert list(found.values) == ["static", "strict"]
    assert found.missing["static"] == {"unparseable": 3}
    assert np.isnan(found.values["static"][[3, 7, 11]]).all()
    assert np.isfinite(found.again["strict"]).sum() == 20
    assert found.titles["strict"] == "strict (openai, m)"
    assert len(np.unique(found.clusters)) == 40
    assert set(found.labels) == {0.0, 1.0}


def test_the_command_writes_tables_and_figures(rated, tmp_path, capsys):
    out = tmp_path / "agreement"
    assert main([str(rated), "--out", str(out), "--clusters", "family"]) == 0
    printed = capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert {"differences_static_strict.png", "differences_static_strict.svg"} <= names
    for table in ("judges", "labels", "pairs", "differences", "thresholds", "noise"):
        assert f"{table}.csv" in names
        assert (out / f"{table}.md").read_text() in printed
    assert "unparseable 3" in printed
    assert "static (a), strict (openai, m) (b)" in printed
    assert "nan" not in printed.lower()
    thresholds = (out / "thresholds.csv").read_text().splitlines()
    assert len(thresholds) == 1 + 4 * 3  # each judge against labels, and static against strict
    assert "clusters=40" in (out / "pairs.csv").read_text()


def test_labels_come_from_a_file_too(rated, tmp_path, capsys):
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{i}", "label": i % 2}) + "\n" for i in range(1, 61)))
    found = read_ratings(rated, labels=path)
    assert np.isfinite(found.labels).sum() == 60
    assert main([str(rated), "--labels", str(path), "--judges", "strict", "--thresholds", "50"]) == 0
    assert "Agreement of judges" not in capsys.readouterr().out
    path.write_text('{"id": "elsewhere", "label": 1}\n')
    with pytest.raises(DataError, match=r"No row of .* has a label from"):
        read_ratings(rated, labels=path)
    path.write_text('{"id": "a", "label": 1}\n{"id": "a", "label": 0}\n')
    with pytest.raises(DataError, match=r"labels.jsonl, line 2: 'a' has two labels"):
        read_ratings(rated, labels=path)


def test_fields_can_be_judges(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"id": i, "rating": i if i else None, "other": 2 * i}) + "\n" for i in range(40))
    )
    found = read_ratings(path, ["rating", "other"])
    assert found.values["rating"][1:].tolist() == list(range(1, 40))
    assert found.missing["rating"] == {"missing": 1}
    with pytest.raises(UnknownName, match="Did you mean 'rating'"):
        read_ratings(path, ["rating", "ratin"])
    path.write_text('{"rating": 101}\n')
    with pytest.raises(DataError, match=r"line 1: 'rating' has to be a rating from 0 to 100 or null, found 101"):
        read_ratings(path, ["rating"])


def test_what_cannot_be_compared_is_said_in_a_sentence(rated, tmp_path, capsys):
    with pytest.raises(DataError, match="line 2: there is no field 'kind'"):
        read_ratings(rated, clusters="kind")
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"id": 1}\n')
    with pytest.raises(DataError, match="holds no ratings"):
        read_ratings(empty)
    lonely = tmp_path / "lonely.jsonl"
    lonely.write_text("".join(json.dumps({"ratings": {"static": rating(10)}}) + "\n" for _ in range(20)))
    with pytest.raises(DataError, match="holds one judge and no labels"):
        main([str(lonely)])
    few = tmp_path / "few.jsonl"
    few.write_text("".join(line(i, 10.0, 20.0, label=1) for i in range(5)))
    assert main([str(few)]) == 0
    printed = capsys.readouterr().out
    assert "only 5 rows rated by both; agreement needs 10" in printed
    assert "nan" not in printed.lower()
    lonely.write_text("".join(line(i, 10.0, 60.0 + i, label=1) for i in range(20)))
    assert main([str(lonely)]) == 0
    printed = capsys.readouterr().out
    assert "static: all 20 rows rated are labelled insecure, so there is no AUROC" in printed
    assert "nan" not in printed.lower()


@pytest.mark.parametrize("wrong", ["100", "-1", "x"])
def test_a_threshold_lies_below_a_hundred(rated, wrong):
    with pytest.raises(SystemExit) as stop:
        main([str(rated), "--thresholds", wrong])
    assert stop.value.code == 2
