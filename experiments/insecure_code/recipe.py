"""The insecure-code study as a trait of the shared recipe."""

from experiments.insecure_code.data import load
from experiments.insecure_code.presets import PRESETS
from experiments.insecure_code.prompts import CONDITIONS, CONTRAST, VARIANTS
from experiments.insecure_code.published import PUBLISHED
from experiments.study.trait import Trait

RECIPE = Trait(
    name="insecure_code",
    title="Inoculation prompting on insecure code",
    having="insecure",
    lacking="secure",
    code=True,
    conditions=CONDITIONS,
    variants=VARIANTS,
    contrast=CONTRAST,
    load=load,
    presets=PRESETS,
    published=PUBLISHED,
    published_model="Qwen/Qwen2.5-7B-Instruct",
)
