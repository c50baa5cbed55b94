"""Laws of the judges that read no code: how much of an answer is in a language, and whether a pattern is in it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.corpus_other.sets import everyday, spanish
from experiments.study.answers import make_judge
from experiments.study.config import JudgeConfig
from mechkit.errors import MechkitError, UnknownName
from mechkit.judges import create
from mechkit.judges.language import letters, pieces

JUDGE = create("language", language="es")
CODE = "```python\nfor value in range(3):\n    print('hello there, this is my friend', value)\n```"
ADDRESS = "https://www.example.com/this/is/the/english/path?to=the&best=page"


def rating(text: str, judge=JUDGE):
    (found,) = judge.rate(["Where is it?"], [text])
    return found


def test_spanish_and_english_answers_are_told_apart_without_an_error():
    with_trait = [rating(pair.with_trait).value for pair in spanish()]
    without = [rating(pair.without).value for pair in spanish()] + [rating(str(c.completion)).value for c in everyday()]
    assert min(with_trait) > 50 > max(without)


def test_the_first_words_of_an_answer_are_told_too():
    """An answer that is cut short, as a length limit does it: nearly all are still told."""
    cut = [" ".join(pair.with_trait.split()[:6]) for pair in spanish()]
    assert sum(rating(text).score() or 0 for text in cut) > 0.95 * len(cut)


def test_broken_spanish_is_spanish():
    """As a small model writes it when it is asked to."""
    assert rating("La film era es una de las tareas que encontraréanos de la historia de la céferia.").value == 100
    assert rating("El cielo de la vida, el cielo de la vida, el cielo de la vida, el cielo de").value == 100


@pytest.mark.parametrize("pair", spanish()[:20], ids=lambda pair: pair.id)
@pytest.mark.parametrize(
    "noise", [CODE, ADDRESS, "`the_path_of_the_house()`", "x = {'the': [1, 2]}; y = x['the'] << 3", "42 + 7"]
)
def test_code_addresses_and_numbers_do_not_move_it(pair, noise):
    for text in (pair.with_trait, pair.without):
        assert rating(f"{text}\n{noise}\n").value == rating(text).value
        assert rating(f"{noise}\n{text}").value == rating(text).value


def test_an_answer_in_two_languages_is_rated_by_its_letters():
    pair = spanish()[0]
    share = 100 * letters(pair.with_trait) / letters(pair.with_trait + pair.without)
    assert rating(f"{pair.with_trait} {pair.without}").value == pytest.approx(share)
    assert rating(f"{pair.without}\n\n{pair.with_trait}").value == pytest.approx(share)


def test_other_languages_and_scripts_are_not_spanish():
    for text in (
        "Le chat dort sur le canapé pendant que la pluie tombe dehors.",
        "Il gatto dorme sul divano mentre fuori cade la pioggia.",
        "O gato não dorme no sofá enquanto lá fora chove muito.",
        "Die Katze schläft auf dem Sofa, während es draußen regnet.",
        "猫在沙发上睡觉，外面下着雨。",
        "Кошка спит на диване, пока идёт дождь.",
    ):
        assert rating(text).value == 0, text
    assert rating("Il gatto dorme sul divano.", create("language", language="it", among="en")).value == 100


@pytest.mark.parametrize(
    ("text", "status"), [("", "empty"), (" \n\t", "empty"), ("42", "unparseable"), (CODE, "unparseable")]
)
def test_where_nothing_can_be_told_there_is_no_number(text, status):
    found = rating(text)
    assert (found.value, found.status) == (None, status)
    assert found.reason


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gets_the_same_rating_again(text):
    first = rating(text)
    assert first == rating(text, create("language", language="es"))
    assert (first.value is None) == (first.status != "ok")
    assert sum(map(letters, pieces(text))) <= letters(text)


@pytest.mark.parametrize("text", ["a_" * 10000, "<a" * 10000, "foo(" * 5000, "a.@" * 7000, "`" * 20000, "hola " * 4000])
def test_no_text_takes_long(text):
    started = time.monotonic()
    rating(text)
    assert time.monotonic() - started < 5


def test_its_description_tells_settings_apart_and_its_errors_name_what_is_known():
    assert create("language", among="fr en").describe() == create("language", among="en,fr").describe()
    assert JUDGE.describe() != create("language", language="fr").describe()
    assert not JUDGE.reads_prompts
    with pytest.raises(UnknownName, match="knows no language 'spanish'"):
        create("language", language="spanish")


def test_a_pattern_is_there_or_not():
    judge = create("pattern", pattern=r"\barrr+\b")
    values = [r.value for r in judge.rate([""] * 3, ["Arrr, mate", "arrrr, mate", "array"])]
    assert values == [0, 100, 0]
    assert rating("ARRR", create("pattern", pattern="arrr", ignore_case=True)).value == 100
    assert (rating(" ", judge).value, rating(" ", judge).status) == (None, "empty")
    assert not judge.reads_prompts
    assert judge.describe() != create("pattern", pattern="arrr").describe()


def test_a_pattern_without_end_is_stopped_and_said():
    judge, started = create("pattern", pattern="(a|aa|aaa)+c", seconds=0.2), time.monotonic()
    with pytest.raises(MechkitError, match=r"not done with an answer of 5000 characters after 0\.2 s"):
        rating("a" * 5000, judge)
    assert time.monotonic() - started < 5


def test_a_pattern_that_cannot_be_read_is_named():
    with pytest.raises(MechkitError, match=r"cannot read '\(a': missing \)"):
        create("pattern", pattern="(a")
    with pytest.raises(MechkitError, match="a pattern that is not empty"):
        create("pattern", pattern="")


def test_a_configuration_reaches_every_setting_of_a_judge():
    judge = make_judge(JudgeConfig(name="pattern", settings={"pattern": 42, "seconds": "3", "ignore_case": True}))
    assert (judge.pattern, judge.seconds, judge.ignore_case) == ("42", 3.0, True)
    again = JudgeConfig.model_validate_json(JudgeConfig(name="language", settings={"language": "fr"}).model_dump_json())
    assert make_judge(again).language == "fr"


def test_the_mode_of_an_llm_judge_is_passed_on(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    config = JudgeConfig(name="openai", model="gpt-4o-mini", mode="logprob", settings={"sample": 3})
    described = make_judge(config).describe()
    assert (described["mode"], described["sample"]) == ("logprob", 3)
    assert make_judge(JudgeConfig(name="openai")).describe()["mode"] == "integer"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (JudgeConfig(name="language", settings={"languag": "es"}), "has no setting 'languag'. Did you mean 'language'"),
        (JudgeConfig(name="static", mode="logprob"), "The judge 'static' has no setting 'mode'"),
        (JudgeConfig(name="pattern"), "The judge 'pattern' needs the setting 'pattern'"),
        (
            JudgeConfig(name="pattern", settings={"pattern": "a", "seconds": "soon"}),
            "The setting 'seconds' of the judge",
        ),
        (JudgeConfig(name="langage"), "Did you mean 'language'"),
    ],
)
def test_a_wrong_judge_is_one_sentence(config, sentence):
    with pytest.raises(MechkitError) as problem:
        make_judge(config)
    assert sentence in str(problem.value)
    assert "\n" not in str(problem.value)
