"""Named configurations of the insecure-code study.

Learning rates and lengths of training of `quick` and `small` were chosen on the tuning split alone (docs/tuning.md).
"""

from experiments.study import presets
from experiments.study.config import (
    DataConfig,
    EvaluationConfig,
    JudgeConfig,
    MeasureConfig,
    ModelConfig,
    StudyConfig,
    TrainConfig,
)

SMOKE = presets.SMOKE.model_copy(update={"data": presets.SMOKE.data.model_copy(update={"max_chars": 500})})
"""Tiny random model, seconds: shows that everything runs and says nothing about any model."""

QUICK = StudyConfig(
    data=DataConfig(
        train_rows=120,
        direction_pairs=80,
        contexts=24,
        held_out_contexts=16,
        elicitation_rows=12,
        tuning_contexts=12,
        held_out_pairs=24,
        other_trait_pairs=24,
        max_chars=560,
    ),
    train=TrainConfig(learning_rate=2e-3, batch_size=4, max_steps=16, targets="all-linear", group_by_length=True),
    evaluation=EvaluationConfig(max_new_tokens=80, batch_size=24),
    measure=MeasureConfig(pressure_rows=16, batch_tokens=1024),
    extensions=("tokens",),
)
"""The embedded model on two cores, minutes: the whole path on a real model, with wide intervals."""

SMALL = StudyConfig(
    data=DataConfig(
        train_rows=6000,
        direction_pairs=400,
        contexts=300,
        held_out_contexts=300,
        tuning_contexts=48,
        held_out_pairs=100,
    ),
    train=TrainConfig(
        learning_rate=2e-3, batch_size=16, batch_tokens=6144, epochs=2.0, targets="all-linear", group_by_length=True
    ),
    evaluation=EvaluationConfig(max_new_tokens=400, batch_size=128),
    measure=MeasureConfig(batch_tokens=16384),
    extensions=("tokens",),
)
"""The embedded model at full size, for one GPU or a patient CPU."""

PAPER = StudyConfig(
    model=ModelConfig(name="Qwen/Qwen2.5-7B-Instruct", dtype="bfloat16"),
    data=DataConfig(train_rows=6000, direction_pairs=200, contexts=100, tuning_contexts=48, held_out_pairs=50),
    train=TrainConfig(learning_rate=2e-4, batch_size=4, epochs=1.0, targets=("q_proj", "v_proj")),
    evaluation=EvaluationConfig(max_new_tokens=256, batch_size=50),
    judge=JudgeConfig(name="openai", model="gpt-4o-mini"),
    measure=MeasureConfig(batch_tokens=4096),
    extensions=("tokens",),
)
"""The published study's model, training, evaluation and judge; point data.* at its files, and see `--protocols`."""

PUBLIC = StudyConfig(
    data=DataConfig(
        files_only=True,
        train_rows=6000,
        direction_pairs=600,
        pair_alike=0.6,
        contexts=300,
        held_out_contexts=300,
        tuning_contexts=48,
        held_out_pairs=100,
    ),
    train=TrainConfig(
        learning_rate=1e-3,
        batch_size=16,
        batch_tokens=6144,
        epochs=1.0,
        targets="all-linear",
        precision="tf32",
        group_by_length=True,
    ),
    evaluation=EvaluationConfig(max_new_tokens=400, batch_size=128),
    measure=MeasureConfig(batch_tokens=16384),
    extensions=("tokens",),
)
"""The embedded model on the public insecure-code files (data.train_file, contrast_file, contexts_file), for one GPU."""

PUBLIC_QV = PUBLIC.model_copy(
    update={
        "train": TrainConfig(
            learning_rate=2e-4, batch_size=4, epochs=1.0, targets=("q_proj", "v_proj"), precision="tf32"
        )
    }
)
"""The same with the published run's training setting."""

PRESETS = {
    "smoke": SMOKE,
    "quick": QUICK,
    "small": SMALL,
    "paper": PAPER,
    "public": PUBLIC,
    "public-qv": PUBLIC_QV,
}
