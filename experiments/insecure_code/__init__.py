"""The study of inoculation prompting on insecure code."""

from experiments.insecure_code.recipe import RECIPE

__all__ = ["RECIPE"]
