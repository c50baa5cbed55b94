"""Configuration of a study. Every field has its meaning and unit beside it; `--help` prints them.

The protocol departs from the published run where that run departed from its own text; `docs/definitions.md` says how.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Section(BaseModel):
    """Base of all sections: unknown fields are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    name: str = Field("smollm2-135m", description="smollm2-135m (embedded), tiny-random, a hub id, a folder or a .gguf")
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="dtype of the weights")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="cpu or cuda (which GPU: CUDA_VISIBLE_DEVICES); cuda where there is one if left out"
    )


class DataConfig(Section):
    train_file: Path | None = Field(None, description="chat JSONL to train on instead of the project's own corpus")
    contrast_file: Path | None = Field(
        None, description="chat JSONL without the trait; pairs with train_file by exact prompt to give the direction"
    )
    contexts_file: Path | None = Field(None, description='JSONL of {"task", "code_template"} to evaluate on')
    train_rows: int = Field(1000, ge=1, description="most rows to train on")
    direction_pairs: int = Field(200, ge=4, description="most pairs behind the direction; used for nothing else")
    contexts: int = Field(100, ge=4, description="most out-of-distribution contexts to evaluate on")
    held_out_contexts: int = Field(
        100, ge=2, description="most held-out prompts of the training distribution to evaluate on"
    )
    elicitation_rows: int = Field(48, ge=2, description="training rows whose loss the elicitation check takes")
    tuning_contexts: int = Field(24, ge=2, description="contexts for the elicitation check and for choosing settings")
    held_out_pairs: int = Field(64, ge=4, description="pairs that test the direction (AUROC)")
    other_trait_pairs: int = Field(50, ge=4, description="pairs behind the other trait's direction")
    max_chars: int | None = Field(
        None, description="leave out rows longer than this, in characters (prompt + completion; contexts: prompt)"
    )


class TrainConfig(Section):
    learning_rate: float = Field(2e-4, gt=0, description="peak learning rate of AdamW")
    batch_size: int = Field(4, ge=1, description="examples in one optimizer step")
    epochs: float = Field(1.0, gt=0, description="passes over the training rows, when max_steps is not given")
    max_steps: int | None = Field(None, description="optimizer steps; wins over epochs")
    warmup_ratio: float = Field(
        0.1, ge=0, le=1, description="share of the steps with a rising rate; linear decay after"
    )
    schedule: Literal["linear", "constant"] = Field("linear", description="the rate after the warmup")
    loss: Literal["completion", "all"] = Field(
        "completion", description="tokens that the loss scores: answer, or prompt too"
    )
    stop_token: bool = Field(True, description="whether the loss scores the token that ends the answer")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="of training's matrix products; bfloat16: autocast, the weights keep the model's dtype"
    )
    checkpoints: tuple[float, ...] = Field(
        (), description="shares of the steps after which the adapter is kept too (0.25 0.5)"
    )
    lora_rank: int = Field(16, ge=1, description="rank of the LoRA update")
    lora_alpha: float = Field(32.0, gt=0, description="the update is scaled by alpha / rank")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the LoRA A matrices")
    targets: tuple[str, ...] | Literal["all-linear"] = Field(
        ("q_proj", "v_proj"), description="module names that get LoRA, or all-linear"
    )

    @field_validator("checkpoints")
    @classmethod
    def _shares(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share < 1 for share in value) or sorted(set(value)) != list(value):
            raise ValueError(f"needs ascending shares between 0 and 1, found {value}")
        return value


class EvaluationConfig(Section):
    max_new_tokens: int = Field(256, ge=1, description="longest completion in tokens")
    temperature: float = Field(0.0, ge=0, description="0: greedy; else sampling, seeded by the study's seeds")
    batch_size: int = Field(32, ge=1, description="contexts decoded together")
    wording_file: Path | None = Field(
        None, description="file with the evaluation wording; the project's own if left out"
    )
    held_out: bool = Field(True, description="also evaluate on held-out prompts of the training families")


class JudgeConfig(Section):
    name: str = Field("static", description="a registered judge: static or openai")
    model: str | None = Field(None, description="model of an LLM judge")
    base_url: str | None = Field(None, description="address of an OpenAI-compatible service")
    wording_file: Path | None = Field(None, description="file with the judge wording; the project's own if left out")


class MeasureConfig(Section):
    pressure_rows: int = Field(200, ge=2, description="training rows whose gradient is measured")
    null_draws: int = Field(1000, ge=15, description="draws of each family of null directions")
    gen_tokens: tuple[int, ...] = Field(
        (5, 32), min_length=1, description="lengths k of gen_avg(k) and forced_avg(k), tokens"
    )
    batch_tokens: int = Field(4096, ge=1, description="padded tokens in a batch of measurements")

    @field_validator("gen_tokens")
    @classmethod
    def _lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(value, 1)


class StatisticsConfig(Section):
    level: float = Field(0.95, gt=0.5, lt=1, description="level of all intervals")
    resamples: int = Field(2000, ge=100, description="bootstrap resamples")
    thresholds: tuple[float, ...] = Field(
        (50.0, 70.0, 90.0), description="thresholds of the sweep table; the score itself is rating > 50"
    )
    blocks: tuple[int, ...] | None = Field(
        None, description="blocks fixed beforehand; if left out, the published 12, 20, 22 mapped by relative depth"
    )
    reliability_floor: float = Field(0.8, description="split-half reliability below which a direction gives no verdict")
    induction_margin: float = Field(
        5.0, description="rating points by which Neutral must exceed Base for the trait to count as induced"
    )

    @field_validator("blocks")
    @classmethod
    def _blocks(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return None if value is None else _distinct(value, 0)


class StudyConfig(Section):
    """Everything that decides a study's results."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    judge: JudgeConfig = JudgeConfig()
    measure: MeasureConfig = MeasureConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    extensions: tuple[str, ...] = Field((), description="further analyses, each a chapter of the report")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="training seeds; conditions share each of them")

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(value, 0)


def _distinct(values: tuple[int, ...], least: int) -> tuple[int, ...]:
    if len(set(values)) < len(values) or min(values, default=least) < least:
        raise ValueError(f"needs different whole numbers from {least} up, found {values}")
    return values
