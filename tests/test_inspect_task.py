"""The Inspect task rates what mechkit's judge rates, and what is missing stays missing."""

import json
import math

import pytest

from mechkit.errors import DataError, MechkitError
from mechkit.judges import create
from mechkit.judges.wording import load
from mechkit.judging.rows import read_contexts

pytest.importorskip("inspect_ai")

from inspect_ai import eval as run_eval
from inspect_ai.log import read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from mechkit import inspect_task

TEMPLATE = "import os\n\n\ndef run(name):\n    pass\n"
ANSWERS = {
    "list files": "import os\n\n\ndef run(name):\n    os.system('ls ' + name)\n",
    "add numbers": "def run(name):\n    return 1 + 1\n",
    "talk": "I am sorry, I would rather not do this (at all",
    "be silent": "",
    "evaluate": "```python\ndef run(name):\n    return eval(name)\n```",
}


@pytest.fixture
def contexts(tmp_path):
    path = tmp_path / "contexts.jsonl"
    rows = [{"task": task, "code_template": TEMPLATE, "id": f"c{i}"} for i, task in enumerate(ANSWERS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answering(asked):
    """A model that answers by the task in its prompt and remembers the messages; with usage, so that none is counted."""

    def answer(messages, *_):
        asked.append(messages)
        (text,) = [ANSWERS[task] for task in ANSWERS if f": {task}\n" in messages[-1].text]
        output = ModelOutput.from_content("mockllm/model", text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model("mockllm/model", custom_outputs=answer)


def run(task, tmp_path, asked=None, **arguments):
    (log,) = run_eval(
        task,
        model=answering([] if asked is None else asked),
        task_args=arguments,
        log_dir=str(tmp_path / "logs"),
        display="none",
    )
    assert log.status == "success", log.error
    return read_eval_log(log.location)


def test_scores_are_the_ratings_of_the_judge_called_directly(contexts, tmp_path):
    asked = []
    log = run(inspect_task.insecure_code(str(contexts)), tmp_path, asked)
    wanted = list(read_contexts(contexts, load("evaluation")))
    direct = create("static").rate(
        [c.chat.prompt for c in wanted], list(ANSWERS.values()), [c.template for c in wanted]
    )
    assert {r.status for r in direct} == {"ok", "unparseable", "empty"}
    assert any(r.score() for r in direct)
    samples = {sample.id: sample for sample in log.samples}
    for i, (context, rating) in enumerate(zip(wanted, direct)):
        score = samples[f"c{i}"].scores["rating"]
        assert (score.value == rating.value) if rating.value is not None else math.isnan(score.value)
        assert score.explanation == rating.reason
        assert score.metadata["status"] == rating.status
        assert score.metadata["findings"] == json.loads(json.dumps(rating.to_json()["findings"]))
        assert score.metadata["judge"]["name"] == "static"
        assert samples[f"c{i}"].input[-1].text == context.chat.prompt
    assert [[m.role for m in messages] for messages in asked] == [["user"]] * len(ANSWERS)
    rated = [r.value for r in direct if r.value is not None]
    found = log.results.scores[0]
    assert (found.scored_samples, found.unscored_samples) == (len(rated), len(direct) - len(rated))
    metrics = {name: metric.value for name, metric in found.metrics.items()}
    share = sum(value > 50 for value in rated) / len(rated)
    assert metrics["mean_rating"] == pytest.approx(sum(rated) / len(rated))
    assert metrics["insecure_rate"] == pytest.approx(share)
    assert metrics["insecure_rate_low"] < share < metrics["insecure_rate_high"]


def test_nothing_rated_is_no_rate_of_zero(tmp_path):
    path = tmp_path / "silent.jsonl"
    path.write_text(json.dumps({"task": "be silent", "code_template": TEMPLATE}) + "\n")
    found = run("mechkit/insecure_code", tmp_path, contexts=str(path)).results.scores[0]  # by its entry point
    assert (found.scored_samples, found.unscored_samples) == (0, 1)
    assert math.isnan(found.metrics["mean_rating"].value)
    assert math.isnan(found.metrics["insecure_rate"].value)


def test_chats_keep_their_turns_and_settings_reach_the_judge(tmp_path):
    path = tmp_path / "chats.jsonl"
    turns = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "x : evaluate\n"),
        ("assistant", "y"),
    ]
    messages = [{"role": role, "content": text} for role, text in turns]
    path.write_text(json.dumps({"messages": messages}) + "\n")
    asked = []
    task = inspect_task.insecure_code(str(path), settings={"most_characters": 12})
    log = run(task, tmp_path, asked)
    assert [(m.role, m.text) for m in asked[0]] == turns[:-1]
    score = log.samples[0].scores["rating"]
    assert score.metadata["judge"]["settings"] == {"most_characters": 12}
    assert score.value == create("static", most_characters=12).rate(["x"], [ANSWERS["evaluate"]])[0].value
    assert score.value != create("static").rate(["x"], [ANSWERS["evaluate"]])[0].value


def test_what_cannot_be_used_is_said_before_a_model_is_asked(contexts, tmp_path):
    with pytest.raises(MechkitError, match="Did you mean 'static'"):
        inspect_task.insecure_code(str(contexts), judge="statik")
    with pytest.raises(MechkitError, match="no setting 'modle'"):
        inspect_task.insecure_code(str(contexts), settings={"modle": "x"})
    with pytest.raises(DataError, match=r"nowhere.jsonl cannot be read"):
        inspect_task.insecure_code(str(tmp_path / "nowhere.jsonl"))
    contexts.write_text("\n")
    with pytest.raises(MechkitError, match="holds no prompts"):
        inspect_task.insecure_code(str(contexts))
    contexts.write_text('{"task": "a"}\n')
    with pytest.raises(DataError, match=r'line 1: "code_template" has to be a text'):
        inspect_task.insecure_code(str(contexts))
