"""`python -m experiments.insecure_code …` is `mechkit run insecure_code …`."""

import sys

from mechkit.cli import main

sys.exit(main(["run", "insecure_code", *sys.argv[1:]]))
