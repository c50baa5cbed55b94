"""`python -m experiments.positive_control …` is `mechkit run positive_control …`."""

import sys

from mechkit.cli import main

sys.exit(main(["run", "positive_control", *sys.argv[1:]]))
