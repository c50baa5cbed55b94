"""Which rows of a training file pull towards a direction, and what training does with the direction taken out.

python docs/examples/screen_and_train_without.py MODEL DIRECTION TRAINING_CHATS PROMPTS STEPS
"""

import sys

from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments, set_seed

import mechkit
import probes

name, direction, data, prompts, steps = sys.argv[1:]
v, rows, prompts = mechkit.Direction.load(direction), mechkit.read_chats(data), mechkit.read_chats(prompts)
model = mechkit.load(name)
scores = probes.screen(model, rows, v, by=["projection", "pressure", "induced_drift"], reading=prompts)
print(scores.to_dataframe().sort_values("pressure_rank").head(10).to_string())


def train(*interventions):
    """Loss of the last step, and the drift along v where nothing is taken out any more."""
    model = mechkit.load(name)
    before = mechkit.measure(model, prompts, [probes.Projection(v)])
    set_seed(0)  # the adapter's first weights are drawn before the Trainer sets its own
    tuned = get_peft_model(model.hf, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    settings = TrainingArguments(
        "trainer", max_steps=int(steps), per_device_train_batch_size=1, learning_rate=1e-3, seed=0, save_strategy="no",
        logging_steps=1, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(tuned, settings, train_dataset=model.training_rows(rows))
    with model.intervene(*interventions):
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses[-1], probes.compare(mechkit.measure(model, prompts, [probes.Projection(v)]), before)


for label, interventions in (("as it is", []), ("v ablated", [probes.Ablate(v)])):
    loss, drift = train(*interventions)
    print(f"\ntraining with the stream {label}: last loss {loss:.3f}")
    print(probes.table(drift.isel(site=[-1])))
