"""`python -m benchmarks TASK`: what mechkit costs beside plain PyTorch and its peers, as ratios within one run."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import all_versions, machine
from benchmarks.timing import Race
from mechkit.errors import MechkitError

Chosen = argparse.Namespace


def main() -> int:
    """Runs one task, or all, and prints the figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("task", nargs="?", choices=(*TASKS, "all"), default="overhead")
    parser.add_argument("--model", default="smollm2-135m", help="all but judge: which model")
    parser.add_argument(
        "--shape", help="a shape with random weights in place of a model, as in experiments/study/rehearse.py"
    )
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", help="of the weights: float32; of a shape's on a GPU bfloat16, where left out")
    parser.add_argument("--rows", type=int, default=3072, help="utilization: rows of the long run")
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="overhead, pressure, train: mechkit with compiled blocks, too (torch.compile)",
    )
    parser.add_argument("--variants", action="store_true", help="utilization: also tries ways to make it faster")
    parser.add_argument("--file", type=Path, help="judge: chats to rate instead of the corpus, without templates")
    parser.add_argument("--completions", type=int, default=500, help="judge: how many, in one batch")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and smaller shapes: each task within 3 minutes"
    )
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to a file")
    parser.add_argument("--plot", type=Path, default=None, help="also draw them (PNG; of all tasks: one file each)")
    chosen = parser.parse_args()
    if chosen.shape and chosen.task not in OF_A_SHAPE:
        parser.error(f"--shape is for {', '.join(OF_A_SHAPE)}.")
    here, found = machine(), {}
    for task in TASKS if chosen.task == "all" else (chosen.task,):
        if task == "spread" and chosen.task == "all" and torch.cuda.device_count() < 2:
            continue  # asked for by name it says what it needs
        print(f"{task} on {here['gpu'] or here['processor']}, {here['cores']} cores", flush=True)
        place = chosen.plot
        if place and chosen.task == "all":
            place = place.with_stem(f"{place.stem}_{task}")
        try:
            found[task] = TASKS[task](chosen, place)
        except MechkitError as problem:
            print(f"benchmarks: {problem}", file=sys.stderr)
            return 1
        if chosen.json:  # after each task, so that a late failure keeps the early figures
            record = {"machine": here, "versions": all_versions(), "quick": chosen.quick, "tasks": found}
            chosen.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return 0


def _raced(races: Callable[[Chosen], Iterator[Race]]) -> Callable[[Chosen, Path | None], list[dict[str, Any]]]:
    """A task that prints its races one after the other, and may draw them."""

    def run(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
        found = []
        for race in races(chosen):
            print("\n".join(race.lines()), flush=True)
            found.append(race)
        if place:
            from benchmarks.plots import plot_races

            plot_races(found, place)
        return [row for race in found for row in race.rows()]

    return run


def _model(chosen: Chosen) -> Any:
    if chosen.shape:
        from benchmarks.shapes import shape_model

        return shape_model(chosen.shape, chosen.device, chosen.dtype)
    from mechkit.loading import load

    return load(chosen.model, device=chosen.device, dtype=chosen.dtype or "float32")


def _overhead(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.decoding import decoding
    from benchmarks.overhead import extra_memory, extra_memory_here, overhead

    model, rounds = _model(chosen), 3 if chosen.quick else 11
    on = f"{model.name} on {model.device}"
    many = () if chosen.quick else (1024,)
    sizes = [(8, 128, 1), *((8, 128, n) for n in many), (1, 32, 1)]
    if chosen.shape:
        sizes[-1:] = [(32, 256, n) for n in many]
    for batch, tokens, directions in sizes:
        turns = rounds if batch > 1 else 4 * rounds
        title = (
            f"{on}: {batch} × {tokens} tokens, last token of every block on {directions} direction(s), {turns} rounds"
        )
        timings = overhead(model, batch, tokens, turns, directions, compiled=chosen.compiled)
        measured = batch > 1 and not chosen.quick  # a process for each contender takes a while
        if not measured:
            extra = {}
        elif chosen.shape:
            extra = extra_memory_here(model, batch, tokens, directions)
        else:
            extra = extra_memory(chosen.model, chosen.device, batch, tokens, directions)
        yield Race(title, {"batch": batch, "tokens": tokens, "directions": directions}, timings, 0, extra)
    for directions in many if chosen.shape else ():
        title = f"{on}: 4 batches of 32 × 256 tokens in one call, last token of every block on {directions} direction(s), 5 rounds"
        shape = {"batch": 32, "tokens": 256, "directions": directions, "batches": 4}
        yield Race(title, shape, overhead(model, 32, 256, 5, directions, 4, chosen.compiled))
    for directions in (1, *many):
        title = (
            f"{on}: one decoding step after 127 tokens, every block on {directions} direction(s), {4 * rounds} rounds"
        )
        shape = {"batch": 1, "tokens": 128, "directions": directions}
        yield Race(title, shape, decoding(model, 1, 128, 4 * rounds, directions))


def _pressure(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.pressure import pressure
    from benchmarks.utilization import padding

    model = _model(chosen)
    few, whole = ((2, 1024, 3, False), (1, 16, 2, True)), ((8, 1, 9, False), (8, 1024, 9, False), (1, 16, 3, True))
    for rows, directions, turns, loop in few if chosen.quick else whole:
        if loop and chosen.shape:  # the loop needs a second copy of the model
            continue
        title = f"{model.name} on {model.device}: {rows} row(s) of about 117 + 131 tokens, {directions} direction(s) at every block, {turns} rounds"
        shape = {"batch": rows, "prompt": 117, "completion": 131, "directions": directions}
        yield Race(title, shape, pressure(model, rows, 117, 131, turns, directions, loop, chosen.compiled), rows)
    if model.device.type == "cpu" and not chosen.quick:
        for batch_tokens in (1024, 2048, 4096):
            title = (
                f"{model.name} on cpu: 16 rows as different as the public ones, {batch_tokens} tokens a batch, 5 rounds"
            )
            yield Race(title, {"rows": 16, "batch_tokens": batch_tokens}, padding(model, 16, batch_tokens, 5), 16)


def _generate(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.generation import generation

    model, rounds = _model(chosen), 3 if chosen.quick else 7
    for batch in (64, 128) if chosen.shape and not chosen.quick else (1, 16, 64):
        title = (
            f"{model.name} on {model.device}: {batch} chats of up to 64 tokens, 32 new ones, greedy, {rounds} rounds"
        )
        shape = {"batch": batch, "prompt": 64, "new": 32}
        yield Race(title, shape, generation(model, batch, 64, 32, rounds), batch)


def _gen_avg(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.gen_avg import gen_avg

    model, rounds = _model(chosen), 2 if chosen.quick else 7
    for batch, new in ((8, 5), (8, 32)):
        title = f"{model.name} on {model.device}: {batch} chats of 64 tokens, mean over {new} generated ones, every block, {rounds} rounds"
        yield Race(title, {"batch": batch, "prompt": 64, "new": new}, gen_avg(model, batch, 64, new, rounds), batch)


def _conditions(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.conditions import conditions

    model = _model(chosen)
    for batch, rounds in ((8, 3),) if chosen.quick else ((8, 7), (32, 3)):
        title = f"{model.name} on {model.device}: {batch} chats of 64 tokens, base and three adapters, prompt_last and gen_avg(5), {rounds} rounds"
        yield Race(title, {"batch": batch, "prompt": 64, "new": 5}, conditions(model, batch, 64, rounds), 4 * batch)


def _probes(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.several import several

    model, rounds = _model(chosen), 3 if chosen.quick else 11
    title = f"{model.name} on {model.device}: 8 × 128 tokens, projections at every block, {rounds} rounds"
    yield Race(title, {"batch": 8, "tokens": 128}, several(model, 8, 128, rounds))


def _train(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.training import training

    model, rounds = _model(chosen), 3 if chosen.quick else 5
    batch, steps = (2, 3) if chosen.quick else (4, 4)
    a_step, whole = training(model, batch, 117, 131, steps, rounds, chosen.compiled)
    on = f"{model.name} on {model.device}, LoRA on all linear layers, {batch} rows of about 117 + 131 tokens"
    shape = {"batch": batch, "prompt": 117, "completion": 131, "steps": steps}
    yield Race(f"{on}: a step, {rounds} rounds", shape, a_step, batch)
    yield Race(f"{on}: {steps} steps with set-up and saving, {rounds} rounds", shape, whole)


def _judge(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.judges import completions, judges

    rows, rounds = completions(chosen.completions, chosen.file), 3 if chosen.quick else 7
    title = f"{len(rows)} completions of {chosen.file or 'the corpus'} in one batch, {rounds} rounds"
    yield Race(title, {"completions": len(rows)}, judges(rows, rounds), len(rows))


def _load(chosen: Chosen) -> Iterator[Race]:
    from benchmarks.start import start

    rounds = 5 if chosen.quick else 15
    yield Race(f"{chosen.model}, {rounds} rounds", {}, start(chosen.model, chosen.device, rounds))


def _scale(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
    from benchmarks.scale import ALONG, Shape, plot, scale

    along = {name: (values[0], values[-1]) for name, values in ALONG.items()} if chosen.quick else ALONG
    points = scale(chosen.model, chosen.device, 3, along)
    print(f"{chosen.model}: last token of every chat; {Shape()} but for what is named")
    for p in points:
        ratio = f"{p.reading / p.plain:6.2f} × plain"
        print(f"  {p.along:>10} {p.value:5d} {1000 * p.reading:9.1f} ms {ratio} {p.extra_mb:8.1f} MB above it")
    if place:
        plot(points, place, f"Reading every block's last token, {chosen.model}")
    return [asdict(p) for p in points]


def _study(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
    from benchmarks.study_steps import reduced, study_steps

    preset, model = ("smoke", "tiny-random") if chosen.quick else ("quick", chosen.model)
    shares = study_steps(reduced(preset, model, chosen.device))
    title = f"preset {preset} on {model}, {sum(one.seconds for one in shares):.0f} s"
    print(f"\n{title}")
    for one in shares:
        print(f"  {one.kind:<26} {one.count:3d} {one.seconds:8.1f} s {100 * one.share:6.1f} %")
    if place:
        from benchmarks.plots import plot_shares

        plot_shares(shares, place, title)
    return [asdict(one) for one in shares]


def _gpus(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
    from benchmarks.gpus import Work, counts, disagreements, gpus, plot

    work = Work(chosen.shape or chosen.model, chosen.device, chosen.dtype)
    if chosen.quick:
        work = replace(work, rows=8, batches=(4,), steps=3, rounds=2)
    shares = gpus(work, counts(chosen.device))
    print(
        f"\n{work.model}, rows of about {work.prompt} + {work.completion} tokens: processes, seconds, speed-up, efficiency"
    )
    for one in shares:
        print(one.line())
    if apart := disagreements(shares):
        raise MechkitError(f"Not what one process finds: {'; '.join(apart)}.")
    if place:
        plot(shares, place, work.model)
    return [one.row() for one in shares]


def _spread(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
    from benchmarks.spread import spread
    from experiments.study.rehearse import SHAPES

    shape = chosen.shape or ("tiny" if chosen.quick else next(iter(SHAPES)))
    found = []
    for line, record in spread(shape, 16 if chosen.quick else 64, 2 if chosen.quick else 3, chosen.dtype):
        print(line, flush=True)
        if record:
            found.append(record)
    return found


def _utilization(chosen: Chosen, place: Path | None) -> list[dict[str, Any]]:
    from benchmarks.utilization import utilization

    rows, swept = (64, 32) if chosen.quick else (chosen.rows, min(768, chosen.rows))
    found = []
    for lines, record in utilization(_model(chosen), rows, swept, chosen.variants):
        print("\n".join(lines), flush=True)
        if record:
            found.append(record)
    return found


TASKS: dict[str, Callable[[Chosen, Path | None], list[dict[str, Any]]]] = {
    "overhead": _raced(_overhead),
    "pressure": _raced(_pressure),
    "generate": _raced(_generate),
    "gen_avg": _raced(_gen_avg),
    "conditions": _raced(_conditions),
    "probes": _raced(_probes),
    "train": _raced(_train),
    "judge": _raced(_judge),
    "load": _raced(_load),
    "scale": _scale,
    "study": _study,
    "gpus": _gpus,
    "utilization": _utilization,
    "spread": _spread,
}
OF_A_SHAPE = ("overhead", "pressure", "generate", "utilization", "gpus", "spread")
"""Tasks that also take a shape with random weights."""


if __name__ == "__main__":
    sys.exit(main())
