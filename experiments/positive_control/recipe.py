"""The positive control as a trait of the shared recipe: all of it stands in trait.toml."""

from pathlib import Path

from experiments.study.trait_file import read_trait

RECIPE = read_trait(Path(__file__).with_name("trait.toml"))
