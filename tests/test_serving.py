"""Completions from a server: the same tokens as in this process, or missing; and proof of which weights wrote them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import mechkit
import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study import served
from experiments.study.config import ServerConfig
from experiments.study.drift import _first
from experiments.study.results import Variant
from experiments.study.steps import OOD, Steps, rows
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.forced import first_choices
from mechkit.generate import Generation, stop_ids
from mechkit.model import Model
from mechkit.roundtrip import Missing, Reply, read_back
from mechkit.serving import KEY_VARIABLE, Server
from mechkit.store import Step
from mechkit.tiny import tiny as make_tiny
from tests.stub_service import KEY, Service, running
from tests.test_adapters import make_adapter

CHATS = [Chat.ask(f"{text}?", id=text) for text in ("one", "two and", "three to four", "five", "six seven", "eight")]
MOST = 12


def write_model(folder: Path, readable: bool = True) -> Path:
    """A tiny random model that writes printable ASCII and sometimes stops, or (not readable) any bytes."""
    hf, tokenizer = make_tiny()
    with torch.no_grad():
        for weight in hf.parameters():
            if weight.ndim > 1:
                weight.mul_(4.0)
        head = hf.get_output_embeddings().weight
        unprintable = [
            i for i in range(256) if not tokenizer.decode([i]).isprintable() or not tokenizer.decode([i]).isascii()
        ]
        if readable:  # their logits are 0 now, and some of the others' are above that
            head[[*unprintable, *(i for i in range(256, len(tokenizer)) if i != tokenizer.eos_token_id)]] = 0
            head[tokenizer.eos_token_id] *= -3
    hf.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("adapter") / "adapter", source=mechkit.load(str(base), device="cpu"))


@pytest.fixture(scope="module")
def model(base: Path) -> Model:
    """This process's model; the server has one of its own."""
    return mechkit.load(str(base), device="cpu")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(monkeypatch) as held:
        yield held


class Serving:
    """A completions endpoint that runs a model. adapters: by the name they are asked for; base: the model's own names."""

    def __init__(self, folder: Path, base: tuple[str, ...] = ("base",), **adapters: Path) -> None:
        self.model, self.base, self.adapters = mechkit.load(str(folder), device="cpu"), base, dict(adapters)
        self.loaded: list[dict[str, Any]] = []
        self.before = ""
        self.lock = Lock()

    def __call__(self, question: dict[str, Any]) -> Any:
        with self.lock:
            if "path" in question:
                return {"object": "list", "data": [{"id": name, "object": "model"} for name in self.adapters]}
            if "lora_name" in question:
                self.loaded.append(question)
                self.adapters[question["lora_name"]] = Path(question["lora_path"])
                return {}
            if question["model"] in self.base:
                return self.complete(self.model, question)
            if question["model"] not in self.adapters:
                return 404
            with self.model.adapter(self.adapters[question["model"]]) as adapted:
                return self.complete(adapted, question)

    def complete(self, model: Model, question: dict[str, Any]) -> dict[str, Any]:
        prompt, tokenizer = question["prompt"], model.tokenizer
        ids = (
            tokenizer(self.before + prompt, add_special_tokens=False)["input_ids"]
            if isinstance(prompt, str)
            else prompt
        )
        stops = sorted(stop_ids(model))
        with torch.inference_mode():
            output = model.hf.generate(
                input_ids=torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=question["max_tokens"],
                do_sample=False,
                eos_token_id=stops,
                pad_token_id=stops[0],
            )
        new = output[0, len(ids) :].tolist()
        ended = new[-1] in stops
        text = tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        choice: dict[str, Any] = {
            "index": 0,
            "text": text,
            "finish_reason": "stop" if ended else "length",
            "logprobs": None,
        }
        if question.get("return_token_ids"):
            choice |= {"token_ids": new, "prompt_token_ids": ids}
        if question.get("logprobs"):
            choice["logprobs"] = {"tokens": [tokenizer.decode([i]) for i in new[: len(new) - ended]]}
        used = {"prompt_tokens": len(ids), "completion_tokens": len(new), "total_tokens": len(ids) + len(new)}
        return {"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": used}


def completion(text: str, tokens: int, prompt: int, finish: str = "stop") -> dict[str, Any]:
    used = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}
    choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": None}
    return {"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": used}


@pytest.mark.parametrize("kind", ["openai", "transformers", "llama.cpp", "vllm"])
def test_a_server_gives_the_tokens_of_this_process(model, base, adapter, service, kind):
    service.answer = Serving(base, tuned=adapter)
    server = Server(service.url, kind)
    done = []
    got = server.generate(model, CHATS, "base", max_new_tokens=MOST, progress=lambda *d: done.append(d))
    assert got == model.generate(CHATS, max_new_tokens=MOST)
    assert {g.stopped for g in got} == {True, False}, "one kind of end would prove little"
    assert done[-1] == (len(CHATS), len(CHATS))
    with model.adapter(adapter) as adapted:
        expected = adapted.generate(CHATS, system="Be brief.", max_new_tokens=MOST)
    assert server.generate(model, CHATS, "tuned", system="Be brief.", max_new_tokens=MOST) == expected
    assert expected != got


def test_a_forced_pass_reads_what_hooks_read_while_generating(model, base, adapter, service):
    k = 5
    service.answer = Serving(base, tuned=adapter)
    site = model.sites("resid_post.2")[0]
    v = Direction.of("v", {site: torch.randn(model.d_model, generator=torch.manual_seed(0))}, model)
    answers = Server(service.url).generate(model, CHATS, "tuned", max_new_tokens=MOST)
    forced = [g.as_chat(chat) for chat, g in zip(CHATS, answers)]
    with model.adapter(adapter) as adapted:
        read = mechkit.measure(adapted, forced, [probes.Projection(v, at=[f"forced_avg({k})"])])
        own = mechkit.measure(adapted, CHATS, [probes.Projection(v, at=[f"gen_avg({k})"])])
        for i, chat in enumerate(CHATS):
            steps: list[torch.Tensor] = []
            with adapted.hooked({site: lambda hidden, steps=steps: steps.append(hidden[0, -1].clone())}):
                adapted.generate([chat], max_new_tokens=MOST)
            hidden = torch.stack(steps[1 : k + 1][: len(answers[i].ids)])  # the first step is the prompt's
            by_hooks = float((hidden @ v.vectors[site]).mean())
            assert float(read["projection"][i].squeeze()) == pytest.approx(by_hooks, abs=1e-4)
    np.testing.assert_allclose(read["projection"].values, own["projection"].values, atol=1e-4)
    assert float(np.ptp(read["projection"].values)) > 0.01


@pytest.mark.parametrize("kind", ["openai", "llama.cpp", "vllm"])
def test_a_completion_is_there_exactly_if_its_tokens_survive(tmp_path, service, kind):
    folder = write_model(tmp_path / "bytes", readable=False)
    model = mechkit.load(str(folder), device="cpu")
    service.answer = Serving(folder)
    chats = [Chat.ask(f"{i}", id=str(i)) for i in range(24)]
    truth = model.generate(chats, max_new_tokens=2)
    survives = [tuple(model.tokenizer(g.text)["input_ids"]) == g.ids for g in truth]
    assert {True, False} == set(survives)
    got = Server(service.url, kind).generate(model, chats, "base", max_new_tokens=2)
    assert [isinstance(g, Generation) for g in got] == survives
    assert [g for g in got if isinstance(g, Generation)] == [t for t, s in zip(truth, survives) if s]
    assert all(g.reason for g in got if isinstance(g, Missing))


def test_a_broken_character_is_missing_even_where_the_counts_agree(model):
    """Three bytes of an emoji are three tokens; shown as one broken character they are tokenized to three others."""
    whole = model.tokenizer("🌱")["input_ids"]
    text = model.tokenizer.decode(whole[:3])
    assert len(model.tokenizer(text)["input_ids"]) == 3
    cut = Reply(text=text, finish="length", used=(9, 3))
    assert "broken character" in read_back(model.tokenizer, [cut], frozenset())[0].reason  # type: ignore[union-attr]


def merging() -> PreTrainedTokenizerFast:
    """A tokenizer that makes one token of "ab", which a model may also write as two."""
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>")


def test_a_text_that_was_written_with_other_tokens_is_missing():
    tokenizer = merging()
    stop = tokenizer.eos_token_id

    def read(**told: Any) -> Any:
        return read_back(tokenizer, [Reply(text="aba", finish="stop", **told)], frozenset({stop}))[0]

    as_tokenized = Generation((2, 0), "aba", True)
    assert read(ids=(2, 0, stop)) == read(ids=(2, 0)) == read(pieces=("ab", "a")) == read(used=(9, 3)) == as_tokenized
    assert read(ids=(0, 1, 0, stop)) == Missing("its tokens differ from the server's from number 1 on", "aba")
    assert read(ids=(2, 0, 0)).reason.endswith("from number 3 on")
    assert read(pieces=("a", "b", "a")).reason.endswith("from number 1 on")
    assert read(used=(9, 4)).reason == "the server wrote 4 tokens and its text has 2"
    assert read().reason == "the server does not say how many tokens it wrote"
    spelled = Reply(text="ab<e>", finish="length", used=(9, 3))
    assert "spells" in read_back(tokenizer, [spelled], frozenset({stop}))[0].reason  # type: ignore[union-attr]
    refused = Reply(text="ab", finish="content_filter", used=(9, 1))
    assert "content_filter" in read_back(tokenizer, [refused], frozenset({stop}))[0].reason  # type: ignore[union-attr]


@pytest.mark.parametrize("counted", [0, 1])
def test_servers_may_count_the_token_that_ends_an_answer(counted):
    """What most stopped answers say holds for all of them, so one token too many or too few is seen either way."""
    replies = [
        Reply(text=t, finish="stop", used=(9, n + counted)) for t, n in (("a", 1), ("ab", 1), ("aba", 2), ("", 0))
    ]
    odd = [Reply(text="ab", finish="stop", used=(9, 2 - counted)), Reply(text="ab", finish="length", used=(9, 2))]
    found = read_back(merging(), [*replies, *odd], frozenset({3}))
    assert [type(f) for f in found] == [Generation] * 4 + [Missing] * 2
    assert found[3] == Generation((), "", True)


def test_a_prompt_that_the_server_changes_is_refused(model, base, service):
    service.answer = Serving(base)
    service.answer.before = "<|im_start|>"
    length = len(model.encode(CHATS[0]).ids)
    with pytest.raises(
        MechkitError, match=f"one: the server read {length + 1} prompt tokens, not the {length} of the rendered"
    ):
        Server(service.url, concurrency=1).generate(model, CHATS, "base")
    assert len(service.asked) < len(CHATS), "nobody goes on asking"
    silent = completion("a", 2, length)
    del silent["usage"]
    service.answer, service.replies = None, [silent]
    with pytest.raises(MechkitError, match="does not say how many prompt tokens"):
        Server(service.url).generate(model, CHATS[:1], "base")


def test_a_chat_endpoint_is_used_only_where_it_renders_the_same(model, service):
    length = len(model.encode(CHATS[0], "Be brief.").ids)

    def chat(prompt: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": "ab"}
        choice = {"index": 0, "message": message, "finish_reason": "length", "logprobs": None}
        used = {"prompt_tokens": prompt, "completion_tokens": 2, "total_tokens": prompt + 2}
        return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": used}

    service.replies = [chat(length), chat(length + 20)]
    server = Server(service.url, chat=True)
    (got,) = server.generate(model, CHATS[:1], "base", system="Be brief.")
    assert got == Generation(tuple(model.tokenizer("ab")["input_ids"]), "ab", False)
    assert [m["role"] for m in service.asked[0]["messages"]] == ["system", "user"]
    with pytest.raises(MechkitError, match="use the completions endpoint"):
        server.generate(model, CHATS[:1], "base", system="Be brief.")


def test_a_busy_server_is_asked_again_and_a_broken_one_reported(model, service):
    length = len(model.encode(CHATS[0]).ids)
    service.replies = [503, 500, completion("ab", 3, length)]
    server = Server(service.url, max_retries=3)
    assert server.generate(model, CHATS[:1], "base")[0].text == "ab"
    assert len(service.asked) == 3
    service.replies = [500]
    with pytest.raises(MechkitError, match=r"gave no answer for 1 of 1 chats as 'base': the service failed .HTTP 500"):
        Server(service.url, max_retries=0).generate(model, CHATS[:1], "base")
    service.replies = [404]
    with pytest.raises(MechkitError, match="no such address or model"):
        Server(service.url, concurrency=1).generate(model, CHATS, "no such model")
    with pytest.raises(MechkitError, match="could not be reached"):
        Server("http://127.0.0.1:9/v1", max_retries=0).generate(model, CHATS[:1], "base")
    for bad in ({"kind": "vlm"}, {"concurrency": 0}, {"address": "localhost:8000"}):
        with pytest.raises(MechkitError, match="server"):
            Server(**bad)


def test_the_judges_key_stays_here_and_the_servers_own_is_never_shown(model, service, monkeypatch):
    length = len(model.encode(CHATS[0]).ids)
    service.replies = [completion("{KEY}", len("Bearer none"), length, "length")]  # a server that repeats the key
    assert Server(service.url).generate(model, CHATS[:1], "base")[0].text == "Bearer none"
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    server = Server(service.url)
    (got,) = server.generate(model, CHATS[:1], "base")
    assert got.text == "Bearer [key]"
    assert isinstance(got, Missing), "it is not what the server's tokens spell"
    assert KEY not in repr(server) + str(server.describe())


def variant_of(folder: Path, label: str = "Neutral") -> Variant:
    return Variant(label, label, 0, Step("train", "abc123", folder, True, 0.0))


def test_first_choices_are_the_models_own_greedy_tokens(model, adapter):
    written = [g.as_chat(chat) for chat, g in zip(CHATS, model.generate(CHATS, max_new_tokens=MOST))]
    found = first_choices(model, written)
    for chat, (ids, chosen) in zip(written, found):
        assert ids.tolist() == list(model.encode(chat).ids[-len(ids) :])
        assert (ids == chosen).all()
    with model.adapter(adapter) as adapted:
        assert any((ids != chosen).any() for ids, chosen in first_choices(adapted, written))


def test_a_server_has_to_run_the_adapter_that_it_names(model, base, adapter, tmp_path, service):
    other = make_adapter(tmp_path / "other", seed=5, source=mechkit.load(str(base), device="cpu"))
    service.answer = Serving(base, base=("base", "ignored"), tuned=adapter, other=other)
    server = Server(service.url)

    def prove(name: str, folder: Path | None) -> dict[str, Any]:
        active = None if folder is None else (lambda: model.adapter(folder))
        return served.prove(server, model, active, name, CHATS, "none", 0.9)

    assert prove("base", None)["first_choice"] == 1.0
    shown = prove("tuned", adapter)
    assert shown["first_choice"] == 1.0
    assert shown["told_apart"] == shown["of_adapter"] > 0
    for name in ("ignored", "other"):  # the base model under the adapter's name, and another adapter
        with pytest.raises(MechkitError, match="runs other weights"):
            prove(name, adapter)
    with pytest.raises(MechkitError, match="runs other weights"):
        prove("tuned", None)


def test_adapters_have_the_names_that_the_configuration_gives_them(model, base, adapter, tmp_path, service):
    service.answer = Serving(base)
    variant = variant_of(adapter)

    def name(kind: str, variant: Variant = variant, **fields: Any) -> str:
        return served.served_name(Server(service.url, kind), ServerConfig(**fields), model, variant, tmp_path)

    assert name("openai", Variant("Base", "Base")) == model.name
    assert name("openai", Variant("Base", "Base"), base_model="qwen") == "qwen"
    assert name("openai", adapter_model="lora-{condition}-{seed}-{key}") == "lora-Neutral-0-abc123"
    with pytest.raises(MechkitError, match=r"takes \{label\}"):
        name("openai", adapter_model="{name}")
    with pytest.raises(MechkitError, match=r"needs evaluation\.server\.adapter_model"):
        name("llama.cpp")
    assert name("vllm") == name("vllm") == "Neutral-abc123"
    assert service.answer.loaded == [{"lora_name": "Neutral-abc123", "lora_path": str(adapter.resolve())}], (
        "loaded once"
    )
    with pytest.raises(MechkitError, match="is no folder with a model"):
        name("transformers", base_model="org/model")
    folder = Path(name("transformers", base_model=str(base)))
    assert {"config.json", "model.safetensors", "adapter_config.json"} <= {p.name for p in folder.iterdir()}
    assert (folder / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()


def test_a_missing_answer_is_missing_to_the_end(base, tmp_path, service):
    """It has no rating and no gen_avg, is counted as neither secure nor insecure, and its prompt is read all the same."""
    serving = Serving(base, base=("base",))

    def answer(question: dict[str, Any]) -> Any:
        body = serving(question)
        if question["prompt"] == prompt and question["max_tokens"] == 8:
            body["choices"][0]["text"] = "\ufffd" + body["choices"][0]["text"][1:]
        return body

    smoke = RECIPE.presets["smoke"]
    server = ServerConfig(address=service.url, kind="openai", base_model="base")
    config = smoke.model_copy(
        update={
            "model": smoke.model.model_copy(update={"name": str(base)}),
            "evaluation": smoke.evaluation.model_copy(update={"server": server}),
        }
    )
    steps = Steps(RECIPE, config, tmp_path)
    lost = str(steps.data.contexts[2].chat.id)
    prompt = steps.model.encode(steps.data.contexts[2].chat).prompt_text
    service.answer = answer
    step = steps.answers(steps.base, OOD)
    record = json.loads((step.folder / served.RECORD).read_text())
    assert (record["answers"], record["missing"], record["first_choice"]) == (8, 1, 1.0)

    rated = {row["context"]: row for row in rows(steps.ratings(steps.base, OOD))}
    assert (rated[lost]["rating"], rated[lost]["score"], rated[lost]["judge_status"]) == (None, None, "no answer")
    assert "no answer: its text holds a broken character" in rated[lost]["judge_reason"]
    assert "no answer" not in {row["judge_status"] for name, row in rated.items() if name != lost}

    chats = steps.first_tokens(step)
    site = steps.model.sites("resid_post.1")[0]
    v = Direction.of("v", {site: torch.ones(steps.model.d_model)}, steps.model)
    readers = [
        *probes.readers.parse("prompt_last"),
        _first(5, "gen_avg(5)"),
    ]
    read = mechkit.measure(steps.model, chats, [probes.Projection(v, at=readers)])["projection"].squeeze()
    absent = [c.id == lost for c in chats]
    assert np.isnan(read.sel(position="gen_avg(5)").values).tolist() == absent
    assert np.isfinite(read.sel(position="prompt_last").values).all()


class Real:
    """`transformers serve` in a process of its own."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}/v1", log
        command = [
            sys.executable,
            "-m",
            "transformers.cli.transformers",
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [*command, "--device", "cpu", "--dtype", "float32"],
                stdout=file,
                stderr=file,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                build_opener(ProxyHandler({})).open(f"{self.url.removesuffix('/v1')}/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.3)
        pytest.fail(f"The server did not start:\n{self.log.read_text()[-2000:]}")


@pytest.mark.server
def test_transformers_serve_gives_the_tokens_of_this_process(model, base, adapter, tmp_path, monkeypatch):
    if not (find_spec("fastapi") and find_spec("uvicorn")):
        pytest.skip("transformers serve needs fastapi and uvicorn: pip install 'transformers[serving]'")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    real = Real(tmp_path / "log.txt")
    try:
        real.wait()
        server = Server(real.url, "transformers")
        names = {"base": str(base), "tuned": str(served.linked(base, adapter, tmp_path / "tuned"))}
        got = {key: server.generate(model, CHATS, name, max_new_tokens=MOST) for key, name in names.items()}
        assert got["base"] == model.generate(CHATS, max_new_tokens=MOST)
        with model.adapter(adapter) as adapted:
            assert got["tuned"] == adapted.generate(CHATS, max_new_tokens=MOST)
        shown = served.prove(server, model, lambda: model.adapter(adapter), names["tuned"], CHATS, "none", 0.9)
        assert shown["told_apart"] == shown["of_adapter"] > 0
        with pytest.raises(MechkitError, match="runs other weights"):
            served.prove(server, model, lambda: model.adapter(adapter), names["base"], CHATS, "none", 0.9)
        sampled = [
            server.generate(model, CHATS, names["base"], max_new_tokens=6, temperature=1.5, seed=s) for s in (0, 1)
        ]
        assert sampled[0] != sampled[1]
    finally:
        real.process.kill()
        real.process.wait()
