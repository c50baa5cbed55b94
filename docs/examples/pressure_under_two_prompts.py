"""Gradient pressure of a dataset under two system prompts, against 1000 covariance-matched null directions.

python docs/examples/pressure_under_two_prompts.py MODEL DIRECTION CHATS "SYSTEM PROMPT" "OTHER SYSTEM PROMPT"
"""

import sys

import mechkit
import probes

name, direction, data, first, second = sys.argv[1:]
model, v, chats = mechkit.load(name), mechkit.Direction.load(direction), mechkit.read_chats(data)
nulls = [probes.nulls.covariance_matched(1000)]
probe = probes.Pressure(v, nulls=nulls)
one, two = (mechkit.measure(model, chats, [probe], system=system) for system in (first, second))
change = probes.compare(two, one, "cos", direction=v, nulls=nulls)
table = change.isel(family=0, direction=0, reduction=0, drop=True)
print(table[["difference", "low", "high", "p", "p_max_t"]].to_dataframe().to_string())
