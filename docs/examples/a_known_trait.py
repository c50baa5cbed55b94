"""Does the instrument find what is known to be there? Spanish answers: directions, steering, screening, training without.

python docs/examples/a_known_trait.py MODEL [QUESTIONS] [STEPS]
"""

import re
import sys

from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments, set_seed

import mechkit
import probes
from experiments.corpus_other import sets
from mechkit import Chat, stats
from mechkit.judges import Rating

SPANISH = set(
    re.findall(r"\S+", "el la los las un una de del en y que es por para con se su al lo no más como muy te tu puede")
)
ENGLISH = set(
    re.findall(r"\S+", "the a an of in and that is for with to it you your on are be as can this or at from have i")
)


class LanguageJudge:
    """Rates how Spanish an answer is: 100 × Spanish function words / (Spanish and English ones)."""

    name = "function words"

    def rate(self, prompts, completions, templates=None):
        found = []
        for text in completions:
            words = re.findall(r"\w+", text.lower())
            counts = [sum(word in known for word in words) for known in (SPANISH, ENGLISH)]
            share = 100 * counts[0] / sum(counts) if sum(counts) else None
            found.append(Rating(share, "ok" if share is not None else "unparseable", f"{counts} words"))
        return found


name, count, steps = (*sys.argv[1:], *("24", "120")[max(len(sys.argv) - 2, 0) :])
model, judge = mechkit.load(name), LanguageJudge()
pairs = sets.spanish()[:60]
es = [Chat.ask(pair.question, pair.with_trait, id=f"es-{pair.id}") for pair in pairs]
en = [Chat.ask(pair.question, pair.without, id=f"en-{pair.id}") for pair in pairs]
questions = [Chat.ask(c.prompt, id=f"q{i}") for i, c in enumerate(sets.everyday()[:24])][: int(count)]
middle = f"resid_post.{len(model.blocks) // 2}"

print("\nDirections from 40 pairs, tested on 20 others")
both = {"positive": es[:40], "negative": en[:40]}
directions = [probes.extract(method, model, **both) for method in ("data_diff", "logistic", "lda", "pca")]
texts = {"promoting": "Always answer in Spanish.", "suppressing": "Always answer in English."}
directions.append(
    probes.extract("prompt_contrast", model, prompts=[chat.without_completion() for chat in es[:40]], **texts)
)
directions.append(probes.extract("mean_neg_gradient", model, chats=es[:40]))
for v in directions:
    tested = probes.quality(model, v, es[40:], en[40:], at="completion_mean").sel(site=middle)
    cosine = float(probes.cosines([v, directions[0]])[0, 0, 1]) if v is not directions[0] else 1.0
    print(
        f"{v.name:18} reliability {float(tested.reliability):.2f}, AUROC {float(tested.auroc):.2f}, cosine {cosine:.2f}"
    )
v = directions[0]
print(probes.logit_lens_table(probes.logit_lens(model, v.restrict(v.sites[-2:]), k=6)).markdown())

print("\nSteering at the middle block, beside null directions of the same length")
controls = probes.nulls.as_directions(v, probes.nulls.covariance_matched(2))
controls += probes.nulls.as_directions(v, probes.nulls.isotropic(1))
references = [*en[40:50], *es[50:]]  # both languages: steering towards one makes the other less likely
data = probes.dose_response(
    model, questions, [v, *controls], [-1, 0, 0.25, 0.5, 1, 2], judge, references=references, max_new_tokens=60,
    make=lambda direction, dose: probes.Steer(direction, dose, sites=middle, unit="gap"),
)  # fmt: skip
print(probes.table(probes.summary(data))[["rated", "rate", "rate_low", "rate_high", "loss_rise"]].to_string())
print(probes.table(probes.at_equal_loss(data, rises=[0.2, 0.5]).sel(side=["towards"])).to_string())


def spanish_share(model, system="none"):
    """Share of answers that are Spanish, with Wilson's interval, and how many could be rated."""
    answers = model.generate(questions, system=system, max_new_tokens=60)
    scores = [r.score() for r in judge.rate([c.prompt for c in questions], [a.text for a in answers])]
    rated = [score for score in scores if score is not None]
    return f"{stats.rate_interval(sum(rated), len(rated))} of {len(rated)} rated"


print("\nAsked to answer in Spanish, with and without the direction in the stream")
print("as it is:", spanish_share(model, texts["promoting"]))
for label, sites in (("ablated at the middle block", middle), ("ablated at every block", None)):
    with model.intervene(probes.Ablate(v, sites=sites)):
        loss = mechkit.completion_loss(model, references).mean() - float(data.loss.sel(dose=0)[0].mean())
        print(f"{label}: {spanish_share(model, texts['promoting'])}, loss on the references {loss:+.2f}")

print("\nScreening: how well the scores tell 20 Spanish rows from 20 English ones")
scores = probes.screen(model, es[40:] + en[40:], v, by=list(probes.SCORES), reading=questions[:8], site=middle)
for score in probes.SCORES:
    print(f"{score:14} AUROC {stats.auroc(scores[score][:20], scores[score][20:])}")


def train(rows, *interventions):
    """A fresh adapter trained on 40 answers: drift along v, loss on other Spanish answers, share of Spanish answers."""
    model = mechkit.load(name)
    before = mechkit.measure(model, questions, [probes.Projection(v)])
    set_seed(0)
    tuned = get_peft_model(model.hf, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    settings = TrainingArguments(
        "trainer", max_steps=int(steps), per_device_train_batch_size=1, learning_rate=1e-3, seed=0, save_strategy="no",
        logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    with model.intervene(*interventions):
        Trainer(tuned, settings, train_dataset=model.training_rows(rows)).train()
    drift = probes.compare(mechkit.measure(model, questions, [probes.Projection(v)]), before).sel(site=middle).squeeze()
    return drift, mechkit.completion_loss(model, es[40:]).mean(), spanish_share(model)


print(f"\n{steps} steps of training; drift at {middle}, loss and answers without any intervention")
print(
    f"untrained: loss on other Spanish answers {mechkit.completion_loss(model, es[40:]).mean():.2f}, {spanish_share(model)}"
)
for label, rows, interventions in (
    ("Spanish", es[:40], []),
    ("English", en[:40], []),
    ("Spanish, v ablated at the middle block", es[:40], [probes.Ablate(v, sites=middle)]),
    ("Spanish, v ablated at every block", es[:40], [probes.Ablate(v)]),
    ("Spanish, steered by one gap at the middle block", es[:40], [probes.Steer(v, 1, sites=middle, unit="gap")]),
):
    drift, loss, share = train(rows, *interventions)
    low, high = float(drift.low), float(drift.high)
    print(f"{label}: drift {float(drift.difference):.2f} [{low:.2f}, {high:.2f}], loss {loss:.2f}, Spanish {share}")
