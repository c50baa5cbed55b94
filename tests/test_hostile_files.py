"""Files of anyone's, spoilt in every way: each is read, or refused in one sentence, soon, and nothing of it is ever run.

The long form of each test (slow) tries 5000 files of each kind; the ordinary suite some hundreds. `COUNTS` adds up what was tried.
"""

import json
import os
import pickle
import pickletools
import shutil
import struct
import subprocess
import sys
import time
import tomllib
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import mechkit
from experiments.insecure_code.data import read_contexts as study_contexts
from experiments.insecure_code.recipe import RECIPE
from experiments.study.command import _configure
from experiments.study.config import StudyConfig
from experiments.study.page.stored import stored_results
from experiments.study.trait_file import read_trait
from mechkit.adapters import CONFIG, WEIGHTS
from mechkit.chat import read_chats
from mechkit.direction import FORMAT, Direction
from mechkit.errors import MechkitError
from mechkit.judges.wording import load as wording
from mechkit.judging.rows import read_contexts, read_rows
from mechkit.store import Store
from tests.test_adapters import make_adapter
from tests.test_trait_file import TRAIT, make

FEW = {
    "chats": 400,
    "contexts": 500,
    "directions": 400,
    "configurations": 250,
    "traits": 300,
    "adapters": 150,
    "records": 20,
}
MANY = 5000
MOST_SECONDS, MOST_BYTES = 10.0, 60_000_000
COUNTS: Counter[str] = Counter()


# What is wrong with a file


DEEP = [f"{'[' * n}{']' * n}" for n in (50, 99, 101, 400, 900, 985, 995, 5000, 100_000)]
NASTY_TEXTS = [
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ud800",
        "x\udfffy",
        "../../../../tmp/x",
        "/etc/passwd",
        "..",
        "~nobody/x",
        "C:\\x",
        "a\nb\rc",
    ),
    *(
        "\x1b[2J",
        "\u202eabc",
        "x" * 300,
        "y" * 5000,
        "{prompt}",
        "{0.__class__}",
        "%s%n",
        "$(id)",
        "=1+1",
        "<script>",
        "ä" * 200,
    ),
    *(
        "__import__('os').system('id')",
        "!!python/object/apply:os.system",
        "nan",
        "1e999",
        "none",
        "template_default",
        "[/red]",
    ),
]
NASTY_NUMBERS = [0, -1, 2, 10**9, 10**30, -(10**30), 1e308, 5e-324, float("nan"), float("inf"), -float("inf"), True]
RAW_NUMBERS = ["9" * 5000, "-" + "9" * 5000, "1e999", "NaN", "Infinity", "0x1f", "1_000", "01", "+1", ".5"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NASTY_NUMBERS),
    st.integers(),
    st.floats(),
    st.sampled_from(NASTY_TEXTS),
    st.text(max_size=40),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NASTY_TEXTS) | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(value: object, at: tuple = ()) -> list[tuple]:
    """Where a JSON value has parts, itself included."""
    found = [at]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*at, key))
    return found


def put(value: object, at: tuple, new: object) -> object:
    """The value with another part at a place."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[at[0]] = put(copy[at[0]], at[1:], new)
    return copy


@st.composite
def spoilt(draw: Callable, valid: dict, text: Callable[[dict], str] = json.dumps) -> bytes:
    """A file that was valid: with another value, key or type in it, with raw JSON no encoder writes, or with other bytes."""
    how = draw(
        st.sampled_from(["value", "value", "value", "key", "lacking", "raw", "bytes", "bytes", "cut", "free", "deep"])
    )
    at = draw(st.sampled_from(places(valid)))
    if how == "value":
        return _bytes(text(put(valid, at, draw(VALUES))))
    if how == "key":
        holder = draw(st.sampled_from([p for p in places(valid) if isinstance(_part(valid, p), dict)] or [()]))
        return _bytes(
            text(put(valid, holder, {**_part(valid, holder), draw(st.sampled_from(NASTY_TEXTS)): draw(VALUES)}))
        )
    if how == "lacking" and at and isinstance(_part(valid, at[:-1]), dict):
        return _bytes(text(put(valid, at[:-1], {k: v for k, v in _part(valid, at[:-1]).items() if k != at[-1]})))
    whole = _bytes(text(put(valid, at, "@here@")))
    if how == "raw":
        return whole.replace(b'"@here@"', draw(st.sampled_from(RAW_NUMBERS)).encode())
    if how == "deep":
        return whole.replace(b'"@here@"', draw(st.sampled_from(DEEP)).encode())
    whole = _bytes(text(valid))
    if how == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if how == "free":
        return draw(st.binary(max_size=200) | st.text(max_size=200).map(_bytes))
    held = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        held[draw(st.integers(0, len(held) - 1))] = draw(st.integers(0, 255))
    return bytes(held)


def _part(value: object, at: tuple) -> object:
    for key in at:
        value = value[key]  # type: ignore[index]
    return value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Ran(Exception):
    """Something in a file was run."""


@pytest.fixture(autouse=True)
def nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, pickles and code out of files: any attempt fails the test, whatever becomes of the error."""
    ran: list[str] = []

    def refuse(what: str) -> Callable:
        def run(*given: object, **named: object) -> None:
            ran.append(what)
            raise _Ran(what)

        return run

    monkeypatch.setattr(os, "system", refuse("os.system"))
    monkeypatch.setattr(subprocess, "Popen", refuse("subprocess"))
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse(f"pickle.{name}"))
    monkeypatch.setattr(torch, "load", refuse("torch.load"))
    yield
    assert not ran


def sentence(read: Callable[[], object], kind: str) -> bool:
    """Whether it was read; refused in a sentence otherwise. Anything else is an error of the test that says what it was."""
    COUNTS[kind] += 1
    started = time.monotonic()
    try:
        read()
        return True
    except MechkitError as problem:
        said = str(problem)
        assert said.strip()
        assert len(said) < 2500, said[:300]
        assert "\n" not in said, said
        assert "\x1b" not in said
        assert "Traceback" not in said
        return False
    finally:
        assert time.monotonic() - started < MOST_SECONDS


def fuzz(kind: str, many: bool) -> Callable:
    """As many examples as the short or the long form has, the same ones each time."""

    def decorate(test: Callable) -> Callable:
        return seed(20260)(
            settings(
                max_examples=MANY if many else FEW[kind],
                deadline=None,
                derandomize=False,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )(test)
        )

    return decorate


BOTH = pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["short", "long"])

CHAT = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "x = 1"},
    ],
    "id": 3,
}
CONTEXT = {"task": "Copy a file.", "code_template": "import shutil\n", "id": "c1", "template": "x"}
PROMPT = {"prompt": "Copy a file.", "completion": "shutil.copy(a, b)", "label": "insecure", "id": "p"}


@BOTH
def test_a_file_of_chats_is_read_or_refused(many, tmp_path):
    path = tmp_path / "chats.jsonl"
    taken = Counter()

    @fuzz("chats", many)
    @given(spoilt(CHAT))
    def one(raw):
        path.write_bytes(json.dumps(CHAT).encode() + b"\n" + raw + b"\n")
        taken[sentence(lambda: read_chats(path), "chats")] += 1
        for chat in read_chats(path, 1):
            assert chat.prompt == "Hello?"

    one()
    assert taken[True] > 5
    assert taken[False] > 50


@BOTH
def test_files_of_contexts_and_of_completions_are_read_or_refused(many, tmp_path):
    path, words = tmp_path / "contexts.jsonl", wording("evaluation")

    @fuzz("contexts", many)
    @given(st.one_of(spoilt(CONTEXT), spoilt(PROMPT), spoilt(CHAT)))
    def one(raw):
        path.write_bytes(raw + b"\n")
        sentence(lambda: study_contexts(path, words), "contexts")
        sentence(lambda: list(read_contexts(path, words)), "contexts")
        sentence(lambda: [row.hash for row in read_rows(path)], "contexts")

    one()


HEADER = {
    "format": FORMAT,
    "name": "v",
    "sites": ["resid_post.0", "resid_post.1"],
    "gaps": [1.0, 2.0],
    "paired": True,
    "provenance": {
        "model": {"name": "m", "d_model": 4},
        "estimator": {"name": "mean_difference"},
        "system": "none",
        "reliability": {"by_site": {"resid_post.0": 0.9}, "method": "m"},
    },
}


def direction_file(path: Path, header: bytes, vectors: torch.Tensor, samples: torch.Tensor) -> None:
    text = header.decode("utf-8", "replace")
    save_file({"vectors": vectors, "positive": samples, "negative": samples + 1}, path, metadata={"mechkit": text})


@BOTH
def test_a_direction_file_is_read_or_refused(many, tmp_path):
    path = tmp_path / "v.safetensors"
    units = torch.eye(4)[:2].contiguous()
    shapes = [(2, 4), (1, 4), (2, 3), (8,), (2, 4, 1), (0, 4), (2, 0)]
    kinds = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool, torch.uint8]
    taken = Counter()

    @fuzz("directions", many)
    @given(
        spoilt(HEADER) | st.just(json.dumps(HEADER).encode()),
        st.sampled_from([None, None, *shapes]),
        st.sampled_from([torch.float32, torch.float32, *kinds]),
        st.sampled_from([(3, 2, 4), (3, 2, 4), (0,), (3, 1, 4), (2, 4)]),
        st.sampled_from(["", "", "nan", "bytes", "length", "keys"]),
        st.randoms(use_true_random=False),
    )
    def one(header, shape, kind, samples, more, dice):
        vectors = units if shape is None else torch.ones(shape)
        if more == "nan":
            vectors = vectors * float("nan")
        direction_file(path, header, vectors.to(kind), torch.ones(samples).to(kind))
        held = bytearray(path.read_bytes())
        if more == "bytes":
            for _ in range(5):
                held[dice.randrange(min(len(held), 600))] = dice.randrange(256)
        if more == "length":
            held[:8] = struct.pack("<Q", dice.choice([0, 1, 2**31, 2**63, len(held), len(held) * 1000]))
        if more == "keys":
            held = bytearray(bytes(held).replace(b"vectors", b"vectorz"))
        path.write_bytes(held)
        found: list[Direction] = []
        taken[sentence(lambda: found.append(Direction.load(path)), "directions")] += 1
        for direction in found:
            assert repr(direction)
            assert direction._repr_html_()
            assert all(site.kind in mechkit.sites.KINDS for site in direction.sites)

    one()
    assert taken[True] > 5
    assert taken[False] > 50


CONFIGURATION = json.loads(RECIPE.presets["smoke"].model_dump_json())


@BOTH
def test_a_configuration_is_read_or_refused(many, tmp_path):
    path = tmp_path / "config.json"

    @fuzz("configurations", many)
    @given(spoilt(CONFIGURATION))
    def one(raw):
        path.write_bytes(raw)
        found: list[StudyConfig] = []
        if sentence(lambda: found.extend(_configure(RECIPE, "smoke", path, [], []).values()), "configurations"):
            assert found[0].model_dump_json()

    one()


def as_toml(value: dict) -> str:
    """A value of JSON as TOML, as far as TOML has one for it; texts keep what TOML forbids in them."""

    def inline(v: object) -> str:
        if isinstance(v, dict):
            return "{" + ", ".join(f"{json.dumps(str(k))} = {inline(x)}" for k, x in v.items()) + "}"
        if isinstance(v, list | tuple):
            return "[" + ", ".join(map(inline, v)) + "]"
        if isinstance(v, float) and v != v:
            return "nan"
        return '""' if v is None else json.dumps(v).replace("Infinity", "inf")

    if not isinstance(value, dict):
        return inline(value)
    return "".join(f"{json.dumps(str(k))} = {inline(v)}\n" for k, v in value.items())


@BOTH
def test_a_trait_file_and_its_rows_are_read_or_refused(many, tmp_path):
    path = make(tmp_path)
    valid = tomllib.loads(TRAIT)
    rows = (tmp_path / "pairs.jsonl").read_bytes()
    pair = {
        "question": "Why?",
        "with_trait": "Arrr",
        "without": "So.",
        "cluster": "c",
        "split": "train",
        "template": "t",
    }
    taken = Counter()

    @fuzz("traits", many)
    @given(spoilt(valid, as_toml) | st.just(b""), spoilt(pair) | st.just(b""))
    def one(toml, row):
        path.write_bytes(toml or TRAIT.encode())
        (tmp_path / "pairs.jsonl").write_bytes(rows + row + b"\n")

        def read():
            trait = read_trait(path)
            assert all("/" not in name and "\0" not in name and name != ".." for name in (trait.name, *trait.variants))
            config = trait.presets["small"]
            trait.load(config.data, config.evaluation)

        taken[sentence(read, "traits")] += 1

    one()
    assert taken[True] > 5


@BOTH
def test_an_adapters_configuration_is_read_or_refused_and_the_base_comes_back(many, tiny, tmp_path):
    folder = make_adapter(tmp_path / "a")
    good = json.loads((folder / CONFIG).read_text())
    hostile = {
        "r": [0, -1, 10**9, 10**30, 1.5, "4", True, [4]],
        "rank_pattern": [{"q_proj": 10**9}, {"(a+)+$": 4}, {"(": 4}, [1]],
        "alpha_pattern": [{"(.*)*x": 1}, {"q_proj": "x"}, 3],
        "target_modules": ["(", "(.*)*q_proj", ".*.*.*.*.*.*.*.*z", "x" * 3000, [], ["nothing"], "all-linear", {"a": 1}],
        "exclude_modules": ["((a*)*)*b", ["q_proj"]],
        "layers_pattern": ["(x+)+", "layers"],
        "layers_to_transform": [[10**9], -1, "x"],
        "layer_replication": [[[0, 10**9]], [[0, 4], [2, 4]]],
        "megatron_config": [{"a": 1}],
        "megatron_core": ["os", "tests.conftest"],
        "init_lora_weights": ["pissa_niter_1000000000", "loftq", "eva", "olora", "gaussian", False],
        "peft_type": ["PROMPT_TUNING", "IA3", "XLORA", "nothing", None, 3],
        "task_type": ["nothing", "SEQ_CLS", None],
        "auto_mapping": [{"base_model_class": "x", "parent_library": "os"}],
        "base_model_name_or_path": ["../x", "a" * 300 + "/" + "b" * 5000, "o/\0", "x\ud800/y", "other/model"],
        "modules_to_save": [["lm_head"], ["../x"], "x"],
        "runtime_config": [{"a": 1}],
        "bias": ["all", "nothing", "lora_only"],
        "kasa_config": [{"a": 1}, {}],
        "velora_config": [{"a": 1}],
        "monteclora_config": [{"a": 1}],
        "arrow_config": [{"a": 1}],
        "use_bdlora": [{"a": 1}, True],
        "use_qalora": [True],
        "use_dora": [True, "x"],
        "use_rslora": [True, "x"],
        "target_parameters": [["q_proj.weight"], "x"],
        "trainable_token_indices": [[0, 10**9], {"embed_tokens": [1]}],
        "alora_invocation_tokens": [[1, 2], "x"],
        "fan_in_fan_out": [True],
        "lora_bias": [True],
    }  # fmt: skip
    named = st.sampled_from(sorted(hostile)).flatmap(
        lambda key: st.sampled_from(hostile[key]).map(lambda value: _bytes(json.dumps({**good, key: value})))
    )

    @fuzz("adapters", many)
    @given(named | spoilt(good), st.none() | spoilt({"name": "tiny-random", "weights": "0123"}))
    def one(raw, signature):
        (folder / CONFIG).write_bytes(raw)
        (folder / "mechkit_base.json").unlink(missing_ok=True)
        if signature is not None:
            (folder / "mechkit_base.json").write_bytes(signature)

        def read():
            with tiny.adapter(folder) as model:
                assert model.adapter_state is not None

        sentence(read, "adapters")
        try:
            tiny.adapters.prove_base()
        except MechkitError:
            pytest.fail(f"the base is another one after {raw!r}")

    one()


MODEL = dict.fromkeys(("name", "weights", "architecture", "dtype", "template"), "m") | {"n_blocks": 4, "d_model": 4}
RECORD = {"run": "r", "steps": {"train/x-1": 1.0}, "model": MODEL, "finished": "2026-01-01"}


@BOTH
def test_a_record_of_a_run_is_read_or_refused(many, tmp_path):
    """The model is a stand-in, so whatever is read ends at the first step, which is not stored."""
    pack = tmp_path / "pack_1"
    pack.mkdir()
    (pack / "config.json").write_text(json.dumps(CONFIGURATION))
    trait, smoke = replace(RECIPE, load=cache(RECIPE.load)), RECIPE.presets["smoke"]
    trait.load(smoke.data, smoke.evaluation)  # reads the corpus, once

    @fuzz("records", many)
    @given(
        spoilt(RECORD)
        | st.sampled_from(["../x", "/etc", "a/../../..", "x" * 999]).map(
            lambda name: json.dumps({**RECORD, "steps": {name: 1.0}}).encode()
        )
    )
    def one(raw):
        (pack / "run.json").write_bytes(raw)
        assert not sentence(lambda: stored_results(trait, pack), "records")

    one()
    assert {p.name for p in tmp_path.iterdir()} == {"pack_1"}


# One at a time


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "x" * 5000, "../" * 2000, "\ud800", "~nobody/x", "/dev/null/x"])
def test_a_path_that_is_none_is_one_sentence(tiny, tmp_path, text):
    reads: dict[str, Callable[[], object]] = {
        "chats": lambda: read_chats(text),
        "direction": lambda: Direction.load(text),
        "trait": lambda: read_trait(text),
        "configuration": lambda: _configure(RECIPE, "smoke", Path(text), [], []),
        "wording": lambda: wording("judge", text),
        "model": lambda: mechkit.load(text, device="cpu"),
        "adapter": lambda: tiny.adapter(text).__enter__(),
        "condition": lambda: tiny.condition(text).__enter__(),
    }
    for kind, read in reads.items():
        assert not sentence(read, "paths"), kind


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a//b", "..", "", "a\0b", "x" * 300, "./x", "a/."])
def test_no_name_leads_out_of_a_runs_folder(tmp_path, name):
    root = tmp_path / "below" / "run"
    store = Store(root)
    with pytest.raises(MechkitError, match="cannot be the name of a folder"):
        store.step(f"train/{name}" if name != "" else "", {}, lambda folder: None)
    step = store.step("fine", {}, lambda folder: (folder / "a.txt").write_text("a"))
    with pytest.raises(MechkitError, match="cannot be the name of a folder"):
        store.publish(step, name)
    assert {p.name for p in tmp_path.rglob("*")} >= {"below", "run"}
    assert not [p for p in tmp_path.rglob("*") if root not in (p, *p.parents) and p not in root.parents]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "a\\u0000b", ".hidden", "x" * 90, "..", "a\\nb"])
@pytest.mark.parametrize("where", ["variants", "others"])
def test_names_in_a_trait_file_are_names_alone(tmp_path, name, where):
    line = f'[{where}]\n"{name}" = "{"Be odd." if where == "variants" else "spanish.jsonl"}"\n'
    path = make(tmp_path, TRAIT.replace(f"[{where}]\n", line))
    with pytest.raises(MechkitError, match=rf"the field {where}\..* is not valid"):
        read_trait(path)


def test_large_files_take_no_more_memory_than_their_longest_line(tmp_path):
    path = tmp_path / "chats.jsonl"
    line = (
        json.dumps({"messages": [{"role": "user", "content": "x" * 10_000}, {"role": "assistant", "content": "y"}]})
        + "\n"
    )
    path.write_text(line * 10_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in mechkit.chat.stream_chats(path)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000 < path.stat().st_size
        path.write_text("[" * 10_000_000)
        assert not sentence(lambda: read_chats(path), "large")
        path.write_text('{"messages": [{"role": "' + "r" * 10_000_000 + '", "content": ""}]}')
        assert not sentence(lambda: read_chats(path), "large")
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_an_adapter_that_is_a_pickle_is_refused_unread(tiny, tmp_path):
    raw = b"cpathlib\nPath\n(S'was_run'\ntR."
    assert next(pickletools.genops(raw))[1] == "pathlib Path"
    folder = make_adapter(tmp_path / "a")
    (folder / WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(raw)
    with (
        pytest.raises(MechkitError, match=r"holds no adapter \(adapter_config.json and adapter_model.safetensors\)"),
        tiny.adapter(folder),
    ):
        pass
    (folder / WEIGHTS).write_bytes(raw)
    with pytest.raises(MechkitError, match="cannot be read"), tiny.adapter(folder):
        pass


@pytest.mark.parametrize("asked", [{}, {"trust_remote_code": False}])
def test_code_in_a_models_folder_is_not_run_unless_asked_for(tiny, tmp_path, asked, monkeypatch):
    folder = tmp_path / "model"
    tiny.hf.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "unheard_of",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'was_run')!r}).touch()\n")
    assert not sentence(lambda: mechkit.load(folder, device="cpu", **asked), "models")
    assert not (tmp_path / "was_run").exists()
    assert "own" not in sys.modules


def test_what_peft_would_import_is_not_imported(tiny, tmp_path, monkeypatch):
    (tmp_path / "named_by_a_file.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = make_adapter(tmp_path / "a")
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"megatron_config": {"x": 1}, "megatron_core": "named_by_a_file"}))
    with (
        pytest.raises(MechkitError, match=r"sets megatron_co(re|nfig), which mechkit does not read"),
        tiny.adapter(folder),
    ):
        pass
    assert "named_by_a_file" not in sys.modules


@pytest.mark.parametrize("rank", [5, 10**9])
def test_an_adapter_does_not_get_room_for_ranks_that_its_weights_lack(tiny, tmp_path, rank):
    folder = make_adapter(tmp_path / "a")
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"r": rank}))
    with pytest.raises(MechkitError, match="does not fit"), tiny.adapter(folder):
        pass


def test_adapters_in_many_folders_of_odd_names_are_read(tiny, tmp_path):
    good = make_adapter(tmp_path / "good")
    for name in ("a b", "ä", "[x]", "-x", "=1+1", "x" * 200, "a.b", "%s", "lora_A"):
        shutil.copytree(good, tmp_path / name)
        with tiny.adapter(tmp_path / name) as model:
            assert model.adapter_state["adapter"] == str(tmp_path / name)
        tiny.adapters.prove_base()


@pytest.fixture(scope="module", autouse=True)
def counted():
    """Says at the end how many files of each kind were tried, and fails where a kind was tried less often than it says."""
    yield
    print(f"hostile files tried: {sum(COUNTS.values())} {dict(COUNTS)}")
    assert all(COUNTS[kind] >= few for kind, few in FEW.items() if COUNTS[kind])
