"""A reader and an extractor of your own, used like the built-in ones.

python docs/examples/your_own_reader_and_extractor.py MODEL POSITIVE_CHATS NEGATIVE_CHATS
"""

import sys

import mechkit
import probes


@probes.register("second_half")
def second_half(encoded):
    """The later half of the completion's tokens."""
    return range((encoded.prompt_length + len(encoded.ids)) // 2, len(encoded.ids) - encoded.has_stop)


@probes.register("median", kind="estimator")
def median(positive, negative, paired):
    """Difference of the classes' medians, coordinate by coordinate: outlying chats count less."""
    return positive.median(0).values - negative.median(0).values


@probes.register("median_diff", kind="extractor")
def median_diff(model, positive, negative, **options):
    """As data_diff, with medians for means."""
    samples = probes.two_classes("median_diff", model, positive, negative, **options)
    return probes.from_samples("median_diff", *samples, estimator="median")


name, positive, negative = sys.argv[1:]
model, positive, negative = mechkit.load(name), mechkit.read_chats(positive), mechkit.read_chats(negative)
v = probes.extract("median_diff", model, positive=positive, negative=negative, at="second_half")
w = probes.extract("data_diff", model, positive=positive, negative=negative, at="second_half")
print(probes.cosines([v, w]).sel(direction="median_diff", other="data_diff").to_series())
out = mechkit.measure(model, positive, [probes.Projection([v, w], at=["second_half", "prompt_last"])])
print(probes.table(probes.average(out).isel(site=[-1])))
