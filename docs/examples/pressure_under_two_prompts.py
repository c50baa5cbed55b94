"""Gradient pressure of a dataset under two system prompts, against 1000 covariance-matched null directions.

python docs/examples/pressure_under_two_prompts.py MODEL DIRECTION CHATS "SYSTEM PROMPT" "OTHER SYSTEM PROMPT"
"""

import sys

import mechkit
import probes

name, direction, data, first, second = sys.argv[1:]
model, v, chats = mechkit.load(name), mechkit.Direction.load(direction), mechkit.read_chats(data)
probe = probes.Pressure(v, nulls=[probes.nulls.covariance_matched(1000)])
one, two = (mechkit.measure(model, chats, [probe], system=system) for system in (first, second))
table = probes.table(probes.compare(two, one, "cos", direction=v))
print(table[["difference", "low", "high", "p", "p_max_t"]])
