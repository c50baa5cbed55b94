"""Mutants of the measuring code: small faults that change numbers in silence, and whether the tests notice them.

    python -m tests.mutants [words of a mutant's name …] [--list] [--json FILE]

Each mutant is a textual patch. It is applied to a copy of the tree, the test files that should notice it run there, and a
mutant whose tests all pass has survived: a test is missing. Without a mutant all of them have to pass first. A patch whose
old text does not occur exactly once is an error, so that this list cannot outlive the code it is about. The exit code is the
number of survivors.
"""

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("mechkit", "probes", "experiments", "tests", "pyproject.toml")
_PRELOADED = (
    "pytest",
    "hypothesis",
    "torch",
    "transformers",
    "peft",
    "scipy.stats",
    "scipy.optimize",
    "xarray",
    "pydantic",
)
_PRELOADED_TOO = ("transformers.models.llama.modeling_llama", "transformers.trainer", "h5netcdf", "matplotlib")
_LIMIT = 1800.0  # seconds for the tests of one mutant, or of all without one; a mutant that hangs is noticed


@dataclass(frozen=True)
class Edit:
    """One replacement in one file; `old` occurs there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A fault: what is wrong in words, its patch, and the tests (as pytest takes them) that should notice it."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def one(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    """A mutant of one edit; tests are named without folder and suffix."""
    return Mutant(name, (Edit(file, old, new),), tuple(_path(t) for t in tests))


def _path(test: str) -> str:
    file, _, case = test.partition("::")
    return f"tests/{file}.py" + (f"::{case}" if case else "")


SPANS, PASSES, BATCHES = "mechkit/spans.py", "mechkit/passes.py", "mechkit/batches.py"
MEASUREMENT, GENERATE, ADAPTERS = "mechkit/measurement.py", "mechkit/generate.py", "mechkit/adapters.py"
PRESSURE, NULLS, BASE = "probes/pressure.py", "probes/nulls.py", "probes/extractors/_base.py"
STATS_NULLS, INTERVALS, RELIABILITY = (
    "mechkit/stats/nulls.py",
    "mechkit/stats/intervals.py",
    "mechkit/stats/reliability.py",
)
STEPS, TRAIN, DATA = "experiments/study/steps.py", "experiments/study/train.py", "experiments/insecure_code/data.py"
ANALYSIS = "experiments/study/analysis"

MUTANTS: tuple[Mutant, ...] = (
    # Where: blocks and positions
    one(
        "the block before is read",
        "mechkit/model.py",
        "return self.blocks[site.block]",
        "return self.blocks[max(site.block - 1, 0)]",
        "test_measure::test_a_block_writes_what_attention_and_mlp_add",
        "test_oracle",
    ),
    one(
        "attention and MLP of the block before are read",
        "mechkit/model.py",
        "return modules[site.block]",
        "return modules[site.block - 1]",
        "test_measure::test_a_block_writes_what_attention_and_mlp_add",
    ),
    one(
        "prompt_last is one position early",
        SPANS,
        '"prompt_last": lambda e, k: range(e.prompt_length - 1, e.prompt_length)',
        '"prompt_last": lambda e, k: range(e.prompt_length - 2, e.prompt_length - 1)',
        "test_silent_faults::test_positions_are_those_of_the_definitions",
        "test_oracle",
    ),
    one(
        "the first generated tokens begin with the last of the prompt",
        SPANS,
        '"first": lambda e, k: range(e.prompt_length, min(e.prompt_length + k,',
        '"first": lambda e, k: range(e.prompt_length - 1, min(e.prompt_length + k - 1,',
        "test_silent_faults::test_positions_are_those_of_the_definitions",
        "test_oracle",
    ),
    one(
        "one generated token more than asked for is read",
        SPANS,
        "min(e.prompt_length + k, len(e.ids) - e.has_stop)),",
        "min(e.prompt_length + k + 1, len(e.ids) - e.has_stop)),",
        "test_silent_faults::test_positions_are_those_of_the_definitions",
        "test_oracle",
    ),
    one(
        "the stop token is in the mean over a completion",
        SPANS,
        '"completion_mean": lambda e, k: range(e.prompt_length, len(e.ids) - e.has_stop)',
        '"completion_mean": lambda e, k: range(e.prompt_length, len(e.ids))',
        "test_silent_faults::test_positions_are_those_of_the_definitions",
        "test_oracle",
    ),
    one(
        "the attention sink is in the mean over a prompt",
        SPANS,
        '"prompt_mean": lambda e, k: range(1, e.prompt_length)',
        '"prompt_mean": lambda e, k: range(e.prompt_length)',
        "test_measure::test_position_zero_enters_no_mean",
    ),
    one(
        "loss positions miss the first completion token",
        SPANS,
        "return range(e.prompt_length - 1, len(e.ids) - 1)",
        "return range(e.prompt_length, len(e.ids) - 1)",
        "test_silent_faults::test_positions_are_those_of_the_definitions",
        "test_oracle",
    ),
    # The loss
    one(
        "the loss does not score the first completion token",
        SPANS,
        'first = e.prompt_length - 1 if scope == "completion" else 0',
        'first = e.prompt_length if scope == "completion" else 0',
        "test_train",
    ),
    one(
        "the loss leaves the stop token out",
        SPANS,
        "(e.has_stop and not stop)",
        "e.has_stop",
        "test_train",
    ),
    one(
        "training rows end without a stop token",
        SPANS,
        "stop = [stop_id(tokenizer)] if chat.stopped else []",
        "stop: list[int] = []",
        "test_train",
    ),
    one(
        "the loss predicts the token that it stands on",
        BATCHES,
        "ids.append(e.ids[position + 1])",
        "ids.append(e.ids[position])",
        "test_train",
    ),
    one(
        "the mean of the loss divides by one too few",
        BATCHES,
        "weights.append(1 / len(scored))",
        "weights.append(1 / max(1, len(scored) - 1))",
        "test_measure",
    ),
    one(
        "the loss scores completions alone whatever was asked for",
        PASSES,
        "lambda e: scored_positions(e, scope))",
        "lambda e: scored_positions(e))",
        "test_protocol::test_pressure_of_the_whole_sequence_matches_finite_differences",
    ),
    one(
        "losses of completions go to other chats",
        MEASUREMENT,
        "for i, value in zip(batch.examples, loss.tolist())",
        "for i, value in zip(sorted(batch.examples), loss.tolist())",
        "test_silent_faults::test_each_completion_has_its_own_loss",
    ),
    one(
        "what several processes measured stays in the order of the processes",
        MEASUREMENT,
        "whole.isel(example=np.argsort([i for where, _ in parts for i in where]))",
        "whole",
        "test_ranks::test_two_processes_measure_generate_and_train_as_one_does",
    ),
    one(
        "gradients of processes that share a batch are averaged",
        TRAIN,
        '"weight": ranks.size() if mine else 0',
        '"weight": 1 if mine else 0',
        "test_ranks::test_two_processes_measure_generate_and_train_as_one_does",
    ),
    # What stands in the prompt
    one(
        "the template's default system prompt stays in",
        "mechkit/template.py",
        "if system == TEMPLATE_DEFAULT or start == end:",
        "if system or start == end:",
        "test_chats",
    ),
    one(
        "prompt and completion are tokenized as one text",
        SPANS,
        "ids=tuple(prompt) + tuple(_completion_ids(tokenizer, chat)),",
        "ids=tuple(tokenizer(rendered.text + (chat.completion or ''), add_special_tokens=False)['input_ids'])"
        " + ((stop_id(tokenizer),) if chat.completion is not None and chat.stopped else ()),",
        "test_chats",
    ),
    one(
        "pressure is measured without the training prompt",
        STEPS,
        "data = measure_pressure(self.model, rows, system, chosen, self.config, progress)",
        'data = measure_pressure(self.model, rows, "none", chosen, self.config, progress)',
        "test_silent_faults::test_pressure_is_measured_under_the_training_prompt",
    ),
    one(
        "every condition trains without its prompt",
        STEPS,
        "train_adapter(self.fresh_model(), self.data.train, system, self.config.train, seed, folder, progress)",
        'train_adapter(self.fresh_model(), self.data.train, "none", self.config.train, seed, folder, progress)',
        "test_silent_faults::test_a_condition_is_trained_under_its_own_prompt",
    ),
    one(
        "the elicitation check reads losses without the training prompt",
        STEPS,
        "losses = completion_loss(self.model, rows, system=system, batch_tokens",
        'losses = completion_loss(self.model, rows, system="none", batch_tokens',
        "test_silent_faults::test_the_elicitation_check_reads_losses_under_the_training_prompt",
    ),
    # Padding
    one(
        "left padding is right padding",
        BATCHES,
        'offsets = tuple(width - len(e.ids) if side == "left" else 0 for e in encoded)',
        "offsets = tuple(0 for e in encoded)",
        "test_measure",
    ),
    one(
        "padding is not masked",
        BATCHES,
        "mask[row, start : start + len(e.ids)] = 1",
        "mask[row] = 1",
        "test_measure",
    ),
    one(
        "positions count from the padding",
        BATCHES,
        "(mask.cumsum(1) - 1).clamp(min=0)}",
        "torch.arange(width).expand_as(mask).contiguous()}",
        "test_measure",
    ),
    one(
        "tokens are gathered as if there were no padding",
        PASSES,
        "tokens.setdefault((batch.row(chat), position + offset), len(tokens))",
        "tokens.setdefault((batch.row(chat), position), len(tokens))",
        "test_measure",
    ),
    one(
        "completions read after their prompts count their positions anew",
        "mechkit/prompts_first.py",
        '"position_ids": sent(torch.tensor(starts), model.device)[:, None]',
        '"position_ids": torch.zeros_like(after.ids)',
        "test_prompts_first",
    ),
    one(
        "a given completion is taken for the model's own",
        "mechkit/measurement.py",
        "< prompt:\n            return False",
        "< prompt:\n            continue",
        "test_prompts_first::test_a_given_completion_is_never_taken_for_an_own_one",
    ),
    one(
        "the last token of a prompt is left in the cache that its answer is read behind",
        "mechkit/generate.py",
        "c.keys[:, :, : width - 1], c.values[:, :, : width - 1]",
        "c.keys[:, :, 1:width], c.values[:, :, 1:width]",
        "test_prompts_first::test_own_words_are_the_same_in_every_family",
    ),
    one(
        "a chat in one row with others sees those before it",
        "mechkit/packed.py",
        "key[:, :, slice(*k)],\n            value[:, :, slice(*k)],\n            attn_mask=mask,\n            is_causal=own == seen > 1,",
        "key[:, :, : k[1]],\n            value[:, :, : k[1]],\n            attn_mask=torch.ones(own, k[1], dtype=torch.bool).tril(k[1] - own),",
        "test_packed::test_pressure_is_that_of_padded_chats_in_every_family",
    ),
    one(
        "kept keys are handed on in the order in which they were read",
        "mechkit/packed.py",
        "order += [*range(first, first + start), *range(later, later + after)]",
        "order += [*range(len(order), len(order) + len(chat))]",
        "test_packed::test_pressure_is_that_of_padded_chats_in_every_family",
    ),
    one(
        "chats in one row are found a token too early",
        "mechkit/packed.py",
        "offsets = tuple(end - len(chat) for end, chat in zip(ends, ids))",
        "offsets = tuple(end - len(chat) + (i > 0) * -1 for i, (end, chat) in enumerate(zip(ends, ids)))",
        "test_packed::test_pressure_is_that_of_padded_chats_in_every_family",
    ),
    one(
        "whatever a model does between tokens, its chats are put into one row",
        "mechkit/packed.py",
        "if not float((found - expected).abs().max()) <= room:\n                return False",
        "if not float((found - expected).abs().max()) <= room:\n                continue",
        "test_packed::test_a_model_that_mixes_tokens_in_its_own_way_is_padded",
    ),
    # Gradients
    one(
        "gradients are zero",
        PASSES,
        "torch.autograd.grad(loss.sum(), leaves[0])",
        "torch.autograd.grad(0 * loss.sum(), leaves[0])",
        "test_silent_faults::test_pressure_is_what_plain_autograd_gives",
        "test_oracle",
    ),
    one(
        "gradients shrink with the batch",
        PASSES,
        "torch.autograd.grad(loss.sum(), leaves[0])",
        "torch.autograd.grad(loss.mean(), leaves[0])",
        "test_measure",
    ),
    one(
        "gradients have the other sign",
        PASSES,
        "torch.autograd.grad(loss.sum(), leaves[0])",
        "torch.autograd.grad(-loss.sum(), leaves[0])",
        "test_silent_faults::test_pressure_is_what_plain_autograd_gives",
        "test_oracle",
    ),
    one(
        "the gradient is averaged over loss positions",
        PRESSURE,
        '"loss": Read(_LOSS, "gradient", "sum", "loss")',
        '"loss": Read(_LOSS, "gradient", "mean", "loss")',
        "test_silent_faults::test_pressure_is_what_plain_autograd_gives",
        "test_oracle",
    ),
    one(
        "the mean of cosines is one of gradients",
        PASSES,
        'unit = bool(reads) and reads[0].pool == "unit_mean"',
        "unit = False",
        "test_measure",
    ),
    one(
        "descent has the sign of the cosine",
        PRESSURE,
        '"descent": -cos, "dot"',
        '"descent": cos, "dot"',
        "test_silent_faults::test_pressure_is_what_plain_autograd_gives",
        "test_oracle",
    ),
    one(
        "the cosine of no gradient is 0",
        PRESSURE,
        "torch.where(norm > 0, norm, torch.nan)",
        "torch.where(norm > 0, norm, 1.0)",
        "test_directions",
    ),
    one(
        "a step of training climbs the loss",
        "probes/induced.py",
        "drift[i][:, places] = -(rows @ gradient)",
        "drift[i][:, places] = (rows @ gradient)",
        "test_induced",
    ),
    # What belongs to what
    one(
        "values of a batch go to other chats",
        MEASUREMENT,
        "rows = list(examples)",
        "rows = sorted(examples)",
        "test_measure",
    ),
    one(
        "generated answers go to other chats",
        GENERATE,
        "return [results[i] for i in range(len(chats))]",
        "return [results[i] for i in order]",
        "test_measure",
    ),
    one(
        "pairs are formed by the order of rows",
        BASE,
        "return [(chat, waiting[chat.messages].pop()) for chat in positive if waiting.get(chat.messages)]",
        "return list(zip(positive, negative))",
        "test_directions",
    ),
    one(
        "answers to a repeated prompt pair in the wrong order",
        BASE,
        "for chat in reversed(negative):",
        "for chat in negative:",
        "test_directions",
    ),
    one(
        "a value of no tokens is 0",
        MEASUREMENT,
        "values[empty] = np.nan",
        "values[empty] = 0.0",
        "test_measure",
    ),
    one(
        "the last batch is never stored",
        MEASUREMENT,
        "        self._under_way()\n",
        "",
        "test_measure",
    ),
    one(
        "numbers that are none pass",
        MEASUREMENT,
        "if not each.all():",
        "if False:",
        "test_measure::test_non_finite_values_are_named",
    ),
    one(
        "a missing rating is a rating of 0",
        f"{ANALYSIS}/arrays.py",
        "np.nan if cell is None else float(cell)",
        "0.0 if cell is None else float(cell)",
        "test_claims",
    ),
    # Adapters
    Mutant(
        "the adapter is never switched on",
        (
            Edit(ADAPTERS, "peft.base_model.enable_adapter_layers()", "pass"),
            Edit(ADAPTERS, "self._prove_active(peft, name, str(source))", "pass"),
        ),
        (_path("test_adapters"),),
    ),
    Mutant(
        "the adapter is merged into the base",
        (
            Edit(
                ADAPTERS, "peft.base_model.set_adapter(name)", "peft.base_model.set_adapter(name); peft.merge_adapter()"
            ),
            Edit(ADAPTERS, "self._prove_active(peft, name, str(source))", "pass"),
            Edit(ADAPTERS, "            )\n        self.prove_base()\n", "            )\n"),
        ),
        (_path("test_adapters"),),
    ),
    one(
        "an adapter's layers stay in the model",
        ADAPTERS,
        "parent._modules.update(children)",
        "pass",
        "test_adapters",
        "test_conditions",
    ),
    one(
        "a study reads the base in place of every adapter",
        STEPS,
        "return nullcontext(self.model) if variant.adapter is None else self.model.adapter(variant.adapter.folder)",
        "return nullcontext(self.model)",
        "test_silent_faults::test_drift_of_a_condition_is_read_with_its_adapter_on",
    ),
    # Directions, their samples and their nulls
    one(
        "a direction points away from its trait",
        "probes/estimators.py",
        "    return positive.mean(0) - negative.mean(0)",
        "    return negative.mean(0) - positive.mean(0)",
        "test_extractors",
    ),
    one(
        "directions of other weights are taken",
        "mechkit/direction.py",
        'here.get("fine_tuned_from")) and not allow_model:',
        'here.get("fine_tuned_from")) and False:',
        "test_directions",
    ),
    one(
        "null directions are not scaled to 1",
        NULLS,
        "unit = xr.DataArray((coefficients / norms[:, None])",
        "unit = xr.DataArray((coefficients + 0 * norms[:, None])",
        "test_directions",
    ),
    one(
        "isotropic null directions are not scaled to 1",
        NULLS,
        "return torch.nn.functional.normalize(torch.from_numpy(drawn), dim=-1)",
        "return torch.from_numpy(drawn)",
        "test_silent_faults::test_null_directions_are_unit_vectors",
    ),
    one(
        "covariance-matched nulls contain the mean",
        NULLS,
        "return weights - weights.mean(1, keepdims=True)  # ",
        "return weights  # ",
        "test_directions",
    ),
    one(
        "null directions are drawn anew for every block",
        NULLS,
        '    for site in dots["site"].values:\n',
        '    for site in dots["site"].values:\n        coefficients = np.roll(coefficients, 1, axis=0)\n',
        "test_directions",
    ),
    one(
        "flipped labels are not within pairs",
        NULLS,
        "return rng.choice([-1.0, 1.0], (draws, first)) / first",
        "return rng.choice([0.0, 1.0], (draws, first)) / first",
        "test_directions",
    ),
    one(
        "held-out quality of the direction's own rows is given",
        "probes/quality.py",
        "if any(data_hash(group) in made_of for group in groups):",
        "if False:",
        "test_extractors",
    ),
    one(
        "both halves of a reliability are the same rows",
        RELIABILITY,
        "order[:, side * half : (side + 1) * half]",
        "order[:, :half]",
        "test_stats_association",
    ),
    one(
        "near-copies stand in both halves",
        RELIABILITY,
        "labels = [np.unique(np.asarray(clusters), return_inverse=True)[1]]",
        "labels = [np.arange(len(groups[0]))]",
        "test_extractors",
    ),
    one(
        "covariates are not regressed out",
        RELIABILITY,
        "left = given - design @ np.linalg.lstsq(design, given, rcond=None)[0] if len(given) else given",
        "left = given - given.mean() if len(given) else given",
        "test_stats_association",
    ),
    # Rows in more than one split
    one(
        "rows that test the direction also make it",
        DATA,
        "_as_paired(pairs[:tested]), _as_paired(pairs[tested:])",
        "_as_paired(pairs[:tested]), _as_paired(pairs)",
        "test_study::test_user_files_are_split_and_paired_by_prompt",
        "test_silent_faults::test_pairs_that_test_the_direction_of_a_users_files_do_not_make_it",
    ),
    one(
        "rows of the direction are trained on",
        DATA,
        "if row.messages not in in_pairs))",
        "if row.messages is not None))",
        "test_study::test_user_files_are_split_and_paired_by_prompt",
    ),
    one(
        "the corpus' direction is made of training rows",
        DATA,
        'direction, held_out_pairs = _paired(own["direction"])',
        'direction, held_out_pairs = _paired(own["train"])',
        "test_study::test_splits_do_not_overlap",
    ),
    one(
        "contexts of the tuning split are reported on",
        DATA,
        'for p in _shuffled(load_pairs("ood"))]',
        'for p in _shuffled(load_pairs("tuning"))]',
        "test_study::test_splits_do_not_overlap",
    ),
    # Seeds
    one(
        "conditions of a seed start from different weights",
        TRAIN,
        "    set_seed(seed)\n",
        "    set_seed(seed + len(system))\n",
        "test_train",
    ),
    one(
        "conditions of a seed see rows in different orders",
        TRAIN,
        "        seed=seed,\n        data_seed=seed,\n",
        "        seed=seed + len(system),\n        data_seed=seed + len(system),\n",
        "test_train",
    ),
    one(
        "drift is not paired by seed",
        f"{ANALYSIS}/drift.py",
        "self.by_seed[a, position] - self.by_seed[b, position]",
        "self.by_seed[a, position] - self.by_seed[b, position][::-1]",
        "test_silent_faults::test_seeds_of_drift_are_compared_with_themselves",
    ),
    one(
        "ratings are not paired by seed",
        f"{ANALYSIS}/behaviour.py",
        'pairs = by_seed(results, condition, "rating", set_name) - by_seed(results, NEUTRAL, "rating", set_name)',
        'pairs = by_seed(results, condition, "rating", set_name) - by_seed(results, NEUTRAL, "rating", set_name)[::-1]',
        "test_silent_faults::test_seeds_of_ratings_are_compared_with_themselves",
    ),
    one(
        "every seed is compared with the first seed's Neutral",
        STEPS,
        "NEUTRAL: self.variant(NEUTRAL, seed)}",
        "NEUTRAL: self.variant(NEUTRAL, self.config.seeds[0])}",
        "test_study::test_seeds_read_their_own_neutral",
    ),
    # Statistics
    one(
        "p is 0 where no draw reaches the observation",
        STATS_NULLS,
        "(1 + as_large) / (counted + 1)",
        "as_large / counted",
        "test_stats_association",
    ),
    one(
        "p is one-sided",
        STATS_NULLS,
        "(np.abs(draws) >= np.abs(value)[..., None] * _TIE)",
        "(draws >= value[..., None] * _TIE)",
        "test_stats_association",
    ),
    one(
        "p over blocks is that of one block",
        STATS_NULLS,
        "np.broadcast_to(largest, (int(usable.sum()), len(draws)))",
        "(np.abs(draws[:, usable]) / scale[usable]).T",
        "test_stats_coverage::test_max_t_controls_the_family_wise_error_over_correlated_blocks_of_different_scale",
    ),
    one(
        "p-values are not corrected over claims",
        STATS_NULLS,
        "[order] * np.arange(len(given), 0, -1)",
        "[order] * np.ones(len(given))",
        "test_stats_association",
    ),
    one(
        "the best block is chosen on the reported rows and tested as if it had been fixed",
        f"{ANALYSIS}/pressure.py",
        "                    if after_the_fact\n",
        "                    if after_the_fact and False\n",
        "test_silent_faults::test_a_block_picked_after_the_fact_is_tested_over_all_blocks",
    ),
    one(
        "rows of one cluster count as independent",
        INTERVALS,
        "index, k = cluster_index(clusters, rows)",
        "index, k = cluster_index(None, rows)",
        "test_stats_intervals",
    ),
    one(
        "three seeds get a normal interval",
        INTERVALS,
        "half = stats.t.ppf((1 + level) / 2, k - 1) * error",
        "half = stats.norm.ppf((1 + level) / 2) * error",
        "test_stats_intervals",
    ),
    one(
        "data without spread get an interval of no width",
        INTERVALS,
        'return nan, nan, "none", note',
        'return value, value, "none", note',
        "test_stats_intervals",
    ),
    one(
        "changes of projection meet the ratings of other contexts",
        f"{ANALYSIS}/link.py",
        "return x, nanmean(y)",
        "return x, nanmean(y)[::-1]",
        "test_silent_faults::test_projections_meet_the_ratings_of_their_own_contexts",
    ),
    # Interventions and the store
    one(
        "interventions act as if there were no padding",
        "mechkit/layout.py",
        "mask[row, torch.tensor(positions, dtype=torch.long) + offset] = True",
        "mask[row, torch.tensor(positions, dtype=torch.long)] = True",
        "test_interventions",
    ),
    one(
        "interventions are a step late in cached decoding",
        "mechkit/layout.py",
        "self._layout.start = input_ids.shape[1] - 1",
        "self._layout.start = input_ids.shape[1]",
        "test_interventions",
    ),
    one(
        "results of other code are taken",
        "mechkit/store.py",
        "[name, _plain(inputs), code or self.code]",
        "[name, _plain(inputs)]",
        "test_store",
    ),
    one(
        "damaged results are taken",
        "mechkit/store.py",
        "return path.is_file() and _sha256(path) == digest",
        "return path.is_file()",
        "test_store",
    ),
    one(
        "what a step's record says may be changed",
        "mechkit/store.py",
        'return record if sealed and isinstance(record["files"], dict) else None',
        'return record if isinstance(record["files"], dict) else None',
        "test_corruption::test_a_damaged_step_is_never_used",
    ),
    one(
        "damaged copies stay in the places where people look for them",
        "mechkit/store.py",
        "if record and record == _read_record(step.folder) and _whole(target, record):",
        "if record and record == _read_record(step.folder):",
        "test_corruption::test_a_damaged_copy_in_a_named_place_is_put_right",
    ),
    one(
        "a direction that was changed on the disk is taken",
        "mechkit/direction.py",
        'header.pop("seal", None) not in (None, _seal(header, tensors))',
        'header.pop("seal", None) == ""',
        "test_corruption::test_a_bit_of_a_direction_that_leaves_its_length_alone_is_noticed",
    ),
    one(
        "a loss that is no number is a result of the elicitation check",
        STEPS,
        "if not np.isfinite(losses).all():",
        "if not np.isfinite(losses).any() and False:",
        "test_honest_numbers::test_a_study_names_the_condition_whose_numbers_are_none",
    ),
    one(
        "hooks stay after a measurement",
        "mechkit/backends/plain.py",
        "stack.callback(handle.remove)",
        "stack.callback(lambda: None)",
        "test_cycles::test_forty_cycles_leave_nothing",
    ),
    one(
        "weights stay frozen after a measurement",
        "mechkit/forward.py",
        "            if p.requires_grad != flag:\n                p.requires_grad_(flag)\n",
        "            pass\n",
        "test_cycles::test_forty_cycles_leave_nothing",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: whether its tests noticed it, the last line that pytest printed, and how long it took."""

    name: str
    caught: bool
    said: str
    seconds: float


def check(root: Path, mutants: Sequence[Mutant] = MUTANTS) -> list[str]:
    """What is wrong with the list: patches that do not fit the tree (each old text occurs once), tests that are not there."""
    problems = []
    for mutant in mutants:
        for edit in mutant.edits:
            text = (root / edit.file).read_text("utf-8")
            if text.count(edit.old) != 1:
                problems.append(f"{mutant.name}: the old text occurs {text.count(edit.old)} times in {edit.file}")
        for test in mutant.tests:
            file, _, case = test.partition("::")
            if not (root / file).is_file() or (case and f"def {case}(" not in (root / file).read_text("utf-8")):
                problems.append(f"{mutant.name}: there is no {test}")
    return problems


def run(mutants: Sequence[Mutant] = MUTANTS) -> Iterator[Outcome]:
    """Applies each mutant to a copy of the tree and runs its tests there. Raises SystemExit for a list that does not fit."""
    problems = check(ROOT, mutants)
    if problems:
        raise SystemExit("\n".join(["These mutants no longer fit the code:", *problems]))
    for name in (*_PRELOADED, *_PRELOADED_TOO):
        importlib.import_module(name)  # once, for all the processes that are forked below
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        tests = {test for mutant in mutants for test in mutant.tests}
        code, said = _pytest(tree, sorted(t for t in tests if "::" not in t or t.split("::")[0] not in tests))
        if code != 0:
            raise SystemExit(f"Without a mutant the tests do not pass ({code}), so they can catch none: {said}")
        for mutant in mutants:
            started = time.monotonic()
            with _applied(tree, mutant.edits):
                code, said = _pytest(tree, mutant.tests)
            if code not in (0, 1, -signal.SIGKILL):
                raise SystemExit(f"The tests of {mutant.name!r} could not run ({code}): {said}")
            yield Outcome(mutant.name, code != 0, said, time.monotonic() - started)


@contextmanager
def _applied(tree: Path, edits: Sequence[Edit]) -> Iterator[None]:
    before = {edit.file: (tree / edit.file).read_text("utf-8") for edit in edits}
    try:
        for edit in edits:
            path = tree / edit.file
            text = path.read_text("utf-8")
            if text.count(edit.old) != 1:
                raise SystemExit(f"The old text occurs {text.count(edit.old)} times in {edit.file}:\n{edit.old}")
            _write(path, text.replace(edit.old, edit.new))
        yield
    finally:
        for file, text in before.items():
            _write(tree / file, text)


def _write(path: Path, text: str) -> None:
    """Python knows compiled files by their source's second and size, which two mutants may share."""
    path.write_text(text, "utf-8")
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _pytest(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Exit code and last words of pytest over tests of a tree, in a forked process that knows no other tree."""
    log = tree / "pytest.log"
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.chdir(tree)
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.environ["PYTHONPATH"] = str(tree)
            sys.path[:] = [str(tree), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
            for name in [n for n in sys.modules if n.split(".")[0] in ("mechkit", "probes", "experiments", "tests")]:
                del sys.modules[name]
            import pytest

            options = [
                "-x",
                "-q",
                "--no-header",
                "--tb=line",
                "-p",
                "no:cacheprovider",
                "--durations=0",
                "-m",
                "not slow",
            ]
            code = int(pytest.main([*options, *tests]))
            sys.stdout.flush()
        except BaseException as problem:
            print(f"{type(problem).__name__}: {problem}", flush=True)
            code = 70
        os._exit(code)
    ends = time.monotonic() + _LIMIT
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL, f"stopped after {_LIMIT:.0f} s"
        time.sleep(0.05)
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return os.waitstatus_to_exitcode(status), (failed or lines or ["nothing was printed"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs mutants of the measuring code against the tests.")
    parser.add_argument("words", nargs="*", help="run only mutants whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="print the mutants and check that their patches fit")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if not given.words or any(word in m.name for word in given.words)]
    if given.list:
        problems = check(ROOT, chosen)
        print("\n".join([*(f"{m.name}: {', '.join(m.tests)}" for m in chosen), *problems]))
        return len(problems)
    outcomes = []
    for outcome in run(chosen):
        outcomes.append(outcome)
        word = "caught  " if outcome.caught else "SURVIVED"
        print(f"{word} {outcome.seconds:5.0f} s  {outcome.name}\n          {outcome.said[:150]}", flush=True)
    survived = [o.name for o in outcomes if not o.caught]
    print(f"{len(outcomes) - len(survived)} of {len(outcomes)} mutants caught.")
    if given.json:
        given.json.write_text(json.dumps([vars(o) for o in outcomes], indent=1), "utf-8")
    return len(survived)


if __name__ == "__main__":
    raise SystemExit(main())
