"""The study of inoculation prompting on insecure code."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Runs the study; see `experiments.study.command.main`."""
    from experiments.insecure_code.recipe import RECIPE
    from experiments.study.command import main as run

    return run(RECIPE, arguments)
