"""One measurement on transformers itself, through TransformerLens and through nnsight: the same numbers.

python docs/examples/same_numbers_on_three_backends.py MODEL DIRECTION CHATS
"""

import sys

import mechkit
import probes

name, direction, data = sys.argv[1:]
v, chats = mechkit.Direction.load(direction), mechkit.read_chats(data)
found = {}
for backend in ("huggingface", "transformer_lens", "nnsight"):
    model = mechkit.load(name, backend=backend)
    both = [probes.Projection(v, at=["prompt_last", "completion_mean"]), probes.Pressure(v)]
    found[backend] = mechkit.measure(model, chats, both)
for backend, data in found.items():
    for variable in ("projection", "dot", "loss"):
        plain = found["huggingface"][variable]
        worst = float(abs(data[variable] - plain).max() / abs(plain).max())
        print(f"{backend:17} {variable:11} differs by {worst:.1e} of the largest value")
        assert worst < 1e-5
