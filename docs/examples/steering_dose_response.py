"""Steering along a direction by more and more: what a judge says of the answers, and what it costs.

python docs/examples/steering_dose_response.py MODEL DIRECTION PROMPTS REFERENCES
"""

import sys

import mechkit
import probes
from mechkit.judges import StaticJudge

name, direction, prompts, references = sys.argv[1:]
model, v = mechkit.load(name), mechkit.Direction.load(direction)
prompts, references = mechkit.read_chats(prompts), mechkit.read_chats(references)
middle = f"resid_post.{len(model.blocks) // 2}"
controls = probes.nulls.as_directions(v, probes.nulls.covariance_matched(2))
data = probes.dose_response(
    model,
    prompts,
    [v, *controls],
    doses=[-4, -2, 0, 2, 4],
    judge=StaticJudge(),
    references=references,
    make=lambda direction, dose: probes.Steer(direction, dose, sites=middle, unit="gap"),
    max_new_tokens=64,
)
print(probes.table(probes.summary(data)).to_string())
print(probes.table(probes.at_equal_loss(data, rises=[0.02, 0.1])))
