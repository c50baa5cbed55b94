"""Drift of two adapters along one direction, at the last prompt token and over the first tokens that each writes.

python docs/examples/drift_of_two_adapters.py MODEL DIRECTION CHATS ADAPTER ADAPTER
"""

import sys

import mechkit
import probes

name, direction, data, first, second = sys.argv[1:]
model, v, chats = mechkit.load(name), mechkit.Direction.load(direction), mechkit.read_chats(data)
probe, read = probes.Projection(v, at=["prompt_last", "gen_avg(5)"]), {}
for condition in ("base", first, second):
    with model.condition(condition) as tuned:
        read[condition] = mechkit.measure(tuned, chats, [probe])
for after, before in ((first, "base"), (second, "base"), (second, first)):
    drift = probes.compare(read[after], read[before])
    print(f"\n{after} − {before}\n{probes.table(drift.isel(site=[-1]))}")
