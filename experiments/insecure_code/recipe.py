"""The insecure-code study as a trait of the shared recipe."""

from experiments.insecure_code.data import load
from experiments.insecure_code.presets import PRESETS
from experiments.insecure_code.prompts import CONDITIONS
from experiments.insecure_code.published import PUBLISHED
from experiments.study.trait import Trait

RECIPE = Trait(
    name="insecure_code",
    title="Inoculation prompting on insecure code",
    conditions=CONDITIONS,
    load=load,
    presets=PRESETS,
    published=PUBLISHED,
    published_model="Qwen/Qwen2.5-7B-Instruct",
)
