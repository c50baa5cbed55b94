"""Completions from an OpenAI-compatible server (vLLM, llama.cpp, transformers serve) instead of from this process.

The rendered prompt is sent to the completions endpoint, so template and system policy are mechkit's own. What comes back
is text; its token ids are known where the round trip holds (`mechkit.roundtrip`), and the completion is missing elsewhere.
"""

import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

from mechkit.chat import Chat
from mechkit.errors import DataError, MechkitError
from mechkit.generate import Generation, stop_ids
from mechkit.judges.llm.address import address_of, key_in, without_key
from mechkit.judges.llm.service import Answer, Service, used_tokens
from mechkit.model import Model
from mechkit.roundtrip import Missing, Reply, read_back
from mechkit.spans import Encoded
from mechkit.template import NONE, TEMPLATE_DEFAULT

Kind = Literal["vllm", "transformers", "llama.cpp", "openai"]
KEY_VARIABLE = "MECHKIT_SERVER_KEY"
"""Environment variable of the server's key: not the judge's, which must not go to another service."""


class Server:
    """An OpenAI-compatible server that generates.

    kind: what it is, which decides what it is asked beyond the common fields: "vllm" takes and returns token ids;
        "transformers" and "llama.cpp" are kept from settings of the model's own (a repetition penalty, say), and the latter
        returns the text of each token; "openai" is sent the common fields alone.
    chat: ask the chat endpoint, for a server that has no other; its own template then renders the prompt.
    concurrency: requests at a time. timeout: seconds for one. max_retries: how often a busy or broken server is asked again.

    A key, where the server wants one, comes from the environment variable MECHKIT_SERVER_KEY only. Raises MechkitError for
    settings that make no sense.
    """

    def __init__(
        self,
        address: str = "http://localhost:8000/v1",
        kind: Kind = "openai",
        chat: bool = False,
        concurrency: int = 8,
        timeout: float = 600.0,
        max_retries: int = 5,
    ) -> None:
        if kind not in get_args(Kind) or concurrency < 1:
            raise MechkitError(f"A server is one of {', '.join(get_args(Kind))} with concurrency ≥ 1, not {kind!r}.")
        self.address = address_of(address, "A server")
        self.kind, self.chat, self.concurrency = kind, chat, concurrency
        self._service = _Completions(self.address, key_in(KEY_VARIABLE, self.address), max_retries, timeout)

    def generate(
        self,
        model: Model,
        chats: Sequence[Chat],
        name: str,
        *,
        system: str = NONE,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Generation | Missing]:
        """What the server's model or adapter called `name` answers, in the chats' order; as `mechkit.generate.generate`.

        model: the same model here, for its template and tokenizer; it is not run. Sampling is seeded chat by chat.

        Raises MechkitError when the server gives no answer for some chats, or reads another prompt than the rendered one
        (a template or a first token of its own); DataError when a chat does not fit into the model's window.
        """
        encoded = [model.encode(chat.without_completion(), system) for chat in chats]
        for chat, e in zip(chats, encoded):
            if len(e.ids) + max_new_tokens > model.window:
                raise DataError(
                    f"{chat.label}: {len(e.ids)} prompt tokens and {max_new_tokens} new ones exceed {model.window}."
                )
        stops = stop_ids(model)
        common = {"model": name, "max_tokens": max_new_tokens, "temperature": temperature, "top_p": 1.0}
        requests = []
        for i, (chat, e) in enumerate(zip(chats, encoded)):
            request: dict[str, Any] = {**common, **({"seed": seed * 1_000_003 + i} if temperature else {})}
            requests.append({**request, **self._prompt(chat, e, system), **self._dialect(sorted(stops), temperature)})
        replies: list[Answer] = []
        with closing(self._ask(requests)) as coming:
            for chat, e, reply in zip(chats, encoded, coming):
                if isinstance(reply, Reply):
                    self._check_prompt(chat, e, reply)
                replies.append(reply)
                if progress:
                    progress(len(replies), len(chats))
        failed = [(chat, reply) for chat, reply in zip(chats, replies) if not isinstance(reply, Reply)]
        if failed:
            raise MechkitError(
                f"The server at {self.address} gave no answer for {len(failed)} of {len(chats)} chats as {name!r}: "
                f"{failed[0][1].failure} ({failed[0][0].label} first)."
            )
        return read_back(model.tokenizer, [r for r in replies if isinstance(r, Reply)], frozenset(stops))

    def load_adapter(self, name: str, folder: Path) -> None:
        """Has vLLM (started with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True) serve an adapter folder, that it can read, as `name`.

        Nothing is done where it serves that name already. Raises MechkitError where it will not.
        """
        if self.kind != "vllm":
            raise MechkitError(f"Only vLLM loads adapters while it runs; start the {self.kind} server with {name!r}.")
        self._service.load_adapter(name, str(folder.resolve()))

    def describe(self) -> dict[str, Any]:
        """What may make two servers answer differently, in plain types, for a content hash."""
        return {"kind": self.kind, "chat": self.chat}

    def __repr__(self) -> str:
        return f"Server({self.address!r}, kind={self.kind!r}, chat={self.chat})"

    def _prompt(self, chat: Chat, e: Encoded, system: str) -> dict[str, Any]:
        if not self.chat:
            return {"prompt": list(e.ids) if self.kind == "vllm" else e.prompt_text}
        turns = [{"role": m.role, "content": m.content} for m in chat.messages]
        given = [] if system in (NONE, TEMPLATE_DEFAULT) else [{"role": "system", "content": system}]
        return {"messages": [*given, *turns]}

    def _dialect(self, stops: list[int], temperature: float) -> dict[str, Any]:
        """What a kind of server needs to be told so that it decodes as `mechkit.generate` does and shows its tokens."""
        if self.kind == "vllm":
            plain = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "stop_token_ids": stops}
            return {"extra_body": {**plain, "return_token_ids": True}}
        if self.kind == "transformers":
            plain = {"do_sample": temperature > 0, "top_k": 0, "repetition_penalty": 1.0, "eos_token_id": stops}
            return {"extra_body": {"generation_config": json.dumps(plain)}}
        if self.kind == "llama.cpp":
            return {
                "logprobs": True if self.chat else 1,
                "extra_body": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
            }
        return {}

    def _ask(self, requests: Sequence[dict[str, Any]]) -> Generator[Answer, None, None]:
        """Answers in order, as they come; what is not asked yet stays unasked when the caller goes away."""
        self._service.start()
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            yield from pool.map(self._service.ask, requests)
        except BaseException:
            self._service.stop("interrupted")
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _check_prompt(self, chat: Chat, e: Encoded, reply: Reply) -> None:
        """Raises MechkitError where the server read other prompt tokens than were meant, or does not say how many."""
        if reply.prompt_ids is not None:
            if reply.prompt_ids == e.ids:
                return
            read = f"the server read {len(reply.prompt_ids)} prompt tokens that differ from the {len(e.ids)} of"
        elif reply.used is None:
            read = "the server does not say how many prompt tokens it read, so nothing shows that they are those of"
        elif reply.used[0] == len(e.ids):
            return
        else:
            read = f"the server read {reply.used[0]} prompt tokens, not the {len(e.ids)} of"
        how = (
            "its chat template is not this policy's: use the completions endpoint"
            if self.chat
            else ("it adds tokens of its own or tokenizes otherwise: serve the same tokenizer without them")
        )
        raise MechkitError(f"{chat.label}: {read} the rendered prompt; {how}.")


class _Completions(Service):
    """The same pauses, repeats and silence about the key as for a judge, for completions."""

    what = "completion"

    def _send(self, request: dict[str, Any]) -> Any:
        if "messages" in request:
            return self._client.chat.completions.create(**request)
        return self._client.completions.create(**request)

    def _read(self, response: Any, probabilities: bool) -> Reply:
        choice = response.choices[0]
        message = getattr(choice, "message", None)
        text = choice.text if message is None else message.content
        ids = getattr(choice, "token_ids", None)
        prompt_ids = getattr(choice, "prompt_token_ids", None) or getattr(response, "prompt_token_ids", None)
        return Reply(
            text=without_key(text or "", self._key),
            finish=str(choice.finish_reason),
            used=used_tokens(response),
            ids=None if ids is None else tuple(ids),
            prompt_ids=None if prompt_ids is None else tuple(prompt_ids),
            pieces=_pieces(getattr(choice, "logprobs", None)),
        )

    def load_adapter(self, name: str, folder: str) -> None:
        from openai import OpenAIError

        try:
            if name not in {m.id for m in self._client.models.list()}:
                body = {"lora_name": name, "lora_path": folder}
                self._client.post("/load_lora_adapter", body=body, cast_to=str)
        except OpenAIError as error:
            status = getattr(error, "status_code", None)
            said = f"HTTP {status}" if status else type(error).__name__
            raise MechkitError(
                f"The server did not load the adapter {name!r} from {folder} ({said}); start vLLM with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, on this machine's files."
            ) from None


def _pieces(logprobs: Any) -> tuple[str, ...] | None:
    """The text of each token that a server returned probabilities for; None where it returned none."""
    content = getattr(logprobs, "content", None)
    tokens = [entry.token for entry in content] if content else getattr(logprobs, "tokens", None)
    return tuple(tokens) if tokens else None
