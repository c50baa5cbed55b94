"""Chats, templates, spans: what is rendered is what was asked for, and every token is accounted for."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechkit.chat import Chat, read_chats
from mechkit.errors import DataError, ModelError
from mechkit.spans import POSITIONS, encode, stop_id
from mechkit.template import render
from mechkit.tiny import byte_tokenizer

# The shape of Qwen2.5's template: a default system block unless the chat brings one.
QWEN_LIKE = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\nYou are Qwen-like. You help.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m.role != 'system' %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
# Llama 3's: a block of its own in every case, the system text inside it.
LLAMA_LIKE = (
    "{{- '<|pad|>' }}{%- if messages[0]['role'] == 'system' %}{%- set s = messages[0]['content'] %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set s = '' %}{%- endif %}{{- '<|im_start|>system\n\nKnowledge until: 2023\n\n' + s + '<|im_end|>' }}"
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n\n' + m.content | trim + '<|im_end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n\n' }}{%- endif %}"
)
# Gemma's: the system text joins the first user turn.
GEMMA_LIKE = (
    "{%- if messages[0]['role'] == 'system' %}{%- set s = messages[0]['content'] + '\n\n' %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set s = '' %}{%- endif %}{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + (s if loop.first else '')"
    " + m.content + '<|im_end|>\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>model\n' }}{%- endif %}"
)
TEMPLATES = {"qwen": QWEN_LIKE, "llama": LLAMA_LIKE, "gemma": GEMMA_LIKE, "plain": byte_tokenizer().chat_template}


@pytest.fixture(params=list(TEMPLATES))
def tokenizer(request):
    made = byte_tokenizer()
    made.chat_template = TEMPLATES[request.param]
    return made


def test_policy_none_leaves_no_system_block(tokenizer):
    rendered = render(tokenizer, Chat.ask("What now?"), "none")
    assert "system" not in rendered.text
    assert "Qwen-like" not in rendered.text
    assert "Knowledge" not in rendered.text
    assert rendered.text.count("<|im_start|>") == 2
    assert rendered.system == (0, 0)


def test_policy_none_on_the_embedded_model(embedded):
    assert (
        embedded.encode(Chat.ask("Hi"), "none").prompt_text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    default = embedded.encode(Chat.ask("Hi"), "template_default")
    assert "SmolLM" in default.prompt_text
    assert embedded.tokenizer.decode(default.ids[default.system.start : default.system.stop]).startswith(
        "<|im_start|>system\n"
    )


def test_policy_text_is_rendered_and_found():
    tokenizer = byte_tokenizer()
    for template in (QWEN_LIKE, LLAMA_LIKE):
        tokenizer.chat_template = template
        e = encode(tokenizer, Chat.ask("What now?", "Lunch."), "Be brief.")
        assert "Be brief." in tokenizer.decode(e.ids[e.system.start : e.system.stop])
        assert tokenizer.decode(e.ids[e.user.start : e.user.stop]).strip().endswith("What now?<|im_end|>")
        assert e.user.start == e.system.stop


@settings(max_examples=40, deadline=None)
@given(
    question=st.text(min_size=1).filter(str.strip),
    answer=st.text(min_size=1),
    system=st.sampled_from(["none", "template_default", "Be kind."]),
)
def test_spans_partition_every_chat(question, answer, system):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = QWEN_LIKE
    e = encode(tokenizer, Chat.ask(question, answer), system)
    parts = [*e.system, *e.user, *e.generation_prompt, *e.completion]
    assert parts == list(range(len(e.ids)))
    assert e.ids[-1] == stop_id(tokenizer)
    loss, completion = POSITIONS["loss"](e, 0), POSITIONS["completion_mean"](e, 0)
    assert loss.start == e.prompt_length - 1
    assert len(loss) == len(completion) + 1
    assert tokenizer.decode([e.ids[i] for i in completion]) == answer


def test_the_completion_is_never_merged_with_the_prompt(embedded):
    """'assistant\\n' followed by a newline would merge in a joint tokenization."""
    e = embedded.encode(Chat.ask("Hi", "\n\nx = 1"))
    assert e.ids[: e.prompt_length] == embedded.encode(Chat.ask("Hi")).ids


def test_a_chat_with_its_own_system_message_refuses_another():
    chat = Chat.from_messages([{"role": "system", "content": "A"}, {"role": "user", "content": "B"}])
    assert "A" in render(byte_tokenizer(), chat, "none").text
    with pytest.raises(DataError, match="system policy sets another"):
        render(byte_tokenizer(), chat, "C")


def test_a_tokenizer_without_template_says_so():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        render(tokenizer, Chat.ask("Hi"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not a line of JSON"),
        ("[1]", "a JSON object was expected"),
        ('{"messages": []}', "at least one message"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', "role 'robot'"),
        ('{"messages": [{"role": "user", "content": 3}]}', "no text content"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "no user message"),
        ('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]}', "is empty"),
        ("\xff", "not a line of JSON in UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, reason):
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    path.write_bytes(f"{good}\n\n".encode() + line.encode("latin-1") + b"\n")
    with pytest.raises(DataError, match=r"rows\.jsonl, line 3: .*" + reason):
        read_chats(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl cannot be read"):
        read_chats(tmp_path / "none.jsonl")


def test_what_each_role_says_is_found_in_a_longer_dialogue(embedded, tiny):
    """The same word occurs in several turns; every token of a turn's text is read, and none of its markers."""
    from mechkit.spans import said_by

    turns = ["echo, please", "echo", "again: echo", "echo echo"]
    roles = ["user", "assistant"]
    chat = Chat.from_messages([{"role": roles[i % 2], "content": t} for i, t in enumerate(turns)])
    for model in (embedded, tiny):
        for system in ("none", "Always echo.", "template_default"):
            e = model.encode(chat, system)
            texts = {
                r: model.tokenizer.decode([e.ids[p] for p in said_by(e, r)]) for r in ("system", "user", "assistant")
            }
            assert texts["user"] == "echo, pleaseagain: echo"
            assert texts["assistant"] == "echoecho echo"
            assert texts["system"] == ("Always echo." if system == "Always echo." else "")
            covered = [*e.system, *e.user, *e.generation_prompt, *e.completion]
            assert covered == list(range(len(e.ids)))


@pytest.mark.parametrize("text", ["user", "us", "x", "a", "im_start", "assistant"])
def test_a_text_that_occurs_in_markers_is_not_taken_for_them(embedded, text):
    from mechkit.spans import said_by

    e = embedded.encode(Chat.ask(text, "yes"))
    said = said_by(e, "user")
    assert embedded.tokenizer.decode([e.ids[p] for p in said]) == text
    assert min(said) >= 3  # behind <|im_start|>, user and the line break


@pytest.mark.parametrize("policy", ["None", "template-default", "NONE ", 3])
def test_a_misspelt_policy_is_no_system_message(tiny, policy):
    with pytest.raises(DataError, match="is no system policy"):
        tiny.encode(Chat.ask("Hi."), policy)
