"""The study of a trait that its prompt surely elicits: answers in Spanish. It shows that the recipe finds what is there."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Runs the study; see `experiments.study.command.main`."""
    from experiments.positive_control.recipe import RECIPE
    from experiments.study.command import main as run

    return run(RECIPE, arguments)
