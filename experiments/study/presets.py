"""Presets that a trait in a file starts from: short answers to questions. Its file sets what should differ."""

from experiments.study.config import (
    CausalConfig,
    DataConfig,
    EvaluationConfig,
    MeasureConfig,
    ModelConfig,
    StatisticsConfig,
    StudyConfig,
    TrainConfig,
)

SMOKE = StudyConfig(
    model=ModelConfig(name="tiny-random", device="cpu"),
    data=DataConfig(
        train_rows=12,
        direction_pairs=8,
        contexts=8,
        held_out_contexts=8,
        elicitation_rows=6,
        tuning_contexts=4,
        held_out_pairs=6,
        other_trait_pairs=8,
    ),
    train=TrainConfig(learning_rate=1e-3, batch_size=4, max_steps=3, targets="all-linear"),
    evaluation=EvaluationConfig(max_new_tokens=8, batch_size=8),
    measure=MeasureConfig(pressure_rows=6, null_draws=100, gen_tokens=(2, 5)),
    statistics=StatisticsConfig(resamples=200),
    causal=CausalConfig(contexts=4, reference_pairs=2, null_directions=1, loss_rises=(1e-4,)),
)
"""Tiny random model, seconds: shows that everything runs and says nothing about any model."""

QUICK = StudyConfig(
    data=DataConfig(
        train_rows=120,
        direction_pairs=48,
        contexts=24,
        held_out_contexts=24,
        elicitation_rows=12,
        tuning_contexts=12,
        held_out_pairs=24,
        other_trait_pairs=24,
    ),
    train=TrainConfig(learning_rate=1e-3, batch_size=4, max_steps=40, targets="all-linear"),
    evaluation=EvaluationConfig(max_new_tokens=48, batch_size=24),
    measure=MeasureConfig(pressure_rows=20, batch_tokens=1024),
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
    train=TrainConfig(learning_rate=1e-3, batch_size=8, epochs=4.0, targets="all-linear"),
    evaluation=EvaluationConfig(max_new_tokens=96, batch_size=128),
    measure=MeasureConfig(batch_tokens=16384),
    extensions=("tokens",),
)
"""The embedded model at full size, for one GPU or a patient CPU."""

PRESETS = {"smoke": SMOKE, "quick": QUICK, "small": SMALL}
