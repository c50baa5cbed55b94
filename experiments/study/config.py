"""Configuration of a study. Every field has its meaning and unit beside it; `--help` prints them.

Where the published run and the default protocol part ways there is a field; `experiments.study.protocol` sets them together.
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
    device: Literal["cpu", "cuda", "auto"] | None = Field(
        None,
        description="cpu or cuda (which GPU: CUDA_VISIBLE_DEVICES); auto spreads the blocks over all GPUs; cuda where there is one if left out",
    )


class DataConfig(Section):
    train_file: Path | None = Field(None, description="chat JSONL to train on instead of the project's own corpus")
    contrast_file: Path | None = Field(
        None, description="chat JSONL without the trait; pairs with train_file by exact prompt to give the direction"
    )
    contexts_file: Path | None = Field(None, description='JSONL of {"task", "code_template"} to evaluate on')
    files_only: bool = Field(False, description="whether a file that is left out is an error, not the project's corpus")
    train_rows: int = Field(1000, ge=1, description="most rows to train on")
    direction_pairs: int = Field(200, ge=4, description="most pairs behind the direction; used for nothing else")
    pair_alike: float = Field(
        1.0,
        ge=0.3,
        le=1,
        description="of files: Jaccard index (runs of five tokens) from which on prompts are so alike that their answers pair, "
        "where equal prompts give too few; 1: equal ones alone",
    )
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
    batch_tokens: int | None = Field(
        None,
        ge=1,
        description="padded tokens in one forward pass; a batch with more is done in parts, with the same gradient and less memory",
    )
    epochs: float = Field(1.0, gt=0, description="passes over the training rows, when max_steps is not given")
    max_steps: int | None = Field(None, ge=1, description="optimizer steps; wins over epochs")
    warmup_ratio: float = Field(
        0.1, ge=0, le=1, description="share of the steps with a rising rate; linear decay after"
    )
    schedule: Literal["linear", "constant"] = Field("linear", description="the rate after the warmup")
    group_by_length: bool = Field(
        False, description="whether rows of about the same length make a batch (less padding), or any rows"
    )
    loss: Literal["completion", "all"] = Field(
        "completion", description="tokens that the loss scores: answer, or prompt too"
    )
    stop_token: bool = Field(True, description="whether the loss scores the token that ends the answer")
    neutral_system: Literal["none", "template_default"] = Field(
        "none", description="system policy of training without a prompt (Neutral): none, or what the template inserts"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="of training's matrix products; bfloat16: autocast, the weights keep the model's dtype"
    )
    compile: bool = Field(
        False, description="whether blocks are compiled (torch.compile): a minute at first, then faster steps on a GPU"
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


class ServerConfig(Section):
    """An OpenAI-compatible server that generates; its key, if any, is in the environment variable MECHKIT_SERVER_KEY."""

    address: str | None = Field(
        None, description="such as http://localhost:8000/v1; generation is done in this process if left out"
    )
    kind: Literal["vllm", "transformers", "llama.cpp", "openai"] = Field(
        "vllm", description="what serves: vLLM, transformers serve, llama.cpp, or another with the common fields alone"
    )
    chat: bool = Field(False, description="ask the chat endpoint; refused where its template renders another prompt")
    base_model: str | None = Field(None, description="the base model's name there; model.name if left out")
    adapter_model: str | None = Field(
        None,
        description="an adapter's name there, with {label} (Neutral-seed0), {condition}, {seed} or {key} (of its content) in it; "
        "if left out, vLLM is asked to load it, and transformers serve gets a folder with it and links to the base model's",
    )
    concurrency: int = Field(16, ge=1, description="requests at a time")
    timeout: float = Field(600.0, gt=0, description="seconds that a request may take")
    max_retries: int = Field(5, ge=0, description="how often a busy or broken server is asked again")
    agreement: float = Field(
        0.9, ge=0, le=1, description="least share of greedy tokens from there that are the model's first choice here"
    )


class EvaluationConfig(Section):
    system: Literal["none", "template_default"] = Field(
        "none", description="system policy while evaluating and reading drift: none, or what the template inserts"
    )
    max_new_tokens: int = Field(256, ge=1, description="longest completion in tokens")
    temperature: float = Field(0.0, ge=0, description="0: greedy; else sampling, seeded by the study's seeds")
    batch_size: int = Field(32, ge=1, description="contexts decoded together")
    compile: bool = Field(
        False,
        description="whether they are decoded with compiled blocks (torch.compile): slow at first, then faster on a GPU",
    )
    wording_file: Path | None = Field(
        None, description="file with the evaluation wording; the project's own if left out"
    )
    held_out: bool = Field(True, description="also evaluate on held-out prompts of the training families")
    server: ServerConfig = ServerConfig()


class JudgeConfig(Section):
    name: str = Field(
        "static",
        description="a registered judge: static, static_strong, openai, language, pattern (mechkit probes judges)",
    )
    model: str | None = Field(None, description="model of an LLM judge")
    base_url: str | None = Field(None, description="address of an OpenAI-compatible service")
    mode: Literal["integer", "logprob"] | None = Field(
        None, description="of an LLM judge: reads a number, or weighs the numbers that the first token could be"
    )
    wording_file: Path | None = Field(None, description="file with the judge wording; the project's own if left out")
    settings: dict[str, bool | int | float | str] = Field(
        {}, description="further settings of the judge by name (language es), as `mechkit probes NAME` lists them"
    )


class MeasureConfig(Section):
    pressure_rows: int = Field(200, ge=2, description="training rows whose gradient is measured")
    null_draws: int = Field(1000, ge=15, le=1_000_000, description="draws of each family of null directions")
    gen_tokens: tuple[int, ...] = Field(
        (5, 32), min_length=1, description="lengths k of gen_avg(k) and forced_avg(k), tokens"
    )
    batch_tokens: int = Field(4096, ge=1, description="padded tokens in a batch of measurements")
    direction: Literal["data_diff", "published"] = Field(
        "data_diff",
        description="the trait's direction: data_diff of paired completions, or the published run's, of two kinds of prompts",
    )
    pressure_loss: Literal["completion", "all"] = Field(
        "completion", description="tokens scored by the loss whose gradient is pressure: answer, or the whole sequence"
    )
    pressure_reduction: Literal["loss", "prompt_last", "all"] = Field(
        "loss", description="primary reduction of that gradient over positions; the cosine of a sum is that of the mean"
    )
    control_draws: int = Field(15, ge=2, le=1_000_000, description="random directions of the published control")
    control_rows: int = Field(50, ge=2, description="first training rows that the published control looks at")
    control_seed: int = Field(42, ge=0, description="seed of the published control's directions")

    @field_validator("gen_tokens")
    @classmethod
    def _lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(value, 1)


class StatisticsConfig(Section):
    level: float = Field(0.95, gt=0.5, lt=1, description="level of all intervals")
    resamples: int = Field(2000, ge=100, le=1_000_000, description="bootstrap resamples")
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
    missing_rating: float | None = Field(
        None, ge=0, le=100, description="rating that stands for a missing one; left out: missing stays missing"
    )

    @field_validator("blocks")
    @classmethod
    def _blocks(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return None if value is None else _distinct(value, 0)


class PromptVariantsConfig(Section):
    seeds: tuple[int, ...] | None = Field(
        None, description="training seeds of the further prompts, among the study's; all of them if left out"
    )
    induced_rows: int = Field(32, ge=2, description="training rows whose induced drift is predicted under each prompt")
    induced_contexts: int = Field(16, ge=1, description="contexts at whose prompt_last it is predicted")


class SecondJudgeConfig(JudgeConfig):
    name: str = Field("static_strong", description="the registered judge that rates the same answers again")
    twice: bool = Field(
        False, description="ask each judge that can give another sample a second time, to see its own noise"
    )


class ClaimsConfig(Section):
    """The rule by which the claims table gives its verdicts, written down before the run."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="level of Holm-corrected p-values over the claims of a run")
    seeds_decide: int = Field(
        3,
        ge=2,
        description="from so many seeds up the t interval over seed differences decides, else contexts given the seeds",
    )
    null_family: Literal["covariance_matched", "label_permuted", "isotropic"] = Field(
        "covariance_matched",
        description="null directions that claims 4 and 6 to 11 are tested against; 5 has a row for each",
    )
    pressure_blocks: tuple[int, ...] | None = Field(
        None,
        description="blocks whose mean Δcos claims 4, 6 and 14 take; the published 16 to 26 mapped by depth if left out",
    )
    drift_block: int | None = Field(
        None, ge=0, description="block of claims 7 to 11; the first of the fixed blocks if left out"
    )
    link_position: Literal["gen_avg", "prompt_last", "forced_avg"] = Field(
        "gen_avg", description="position of claim 10; gen_avg and forced_avg: over the fewest tokens measured"
    )
    behaviour_share: float = Field(
        0.21, gt=0, description="published: share of the induced behaviour that inoculation removed"
    )
    drift_share: float = Field(0.81, gt=0, description="published: share of the induced drift that it removed")
    delta_cos: float = Field(0.0247, gt=0, description="published: size of the mean Δcos over the late blocks")
    correlation: float = Field(0.242, gt=0, description="published: r of drift change and rating change")
    margin: float = Field(
        1 / 3, gt=0, lt=1, description="share of those published sizes inside which an effect counts as absent"
    )
    power: float = Field(0.8, gt=0.5, lt=1, description="power that the power analysis asks for")


class InducedConfig(Section):
    """Of the extension `induced`."""

    rows: int = Field(100, ge=3, description="training rows whose steps are followed, at most measure.pressure_rows")
    reading: int = Field(32, ge=1, description="contexts, evenly spread, at whose prompt's end a step's effect is read")


class AlongTrainingConfig(Section):
    """Of the extension `along_training`; which checkpoints there are: train.checkpoints."""

    rows: int = Field(100, ge=2, description="training rows whose pressure is measured, at most measure.pressure_rows")
    seeds: int = Field(1, ge=1, description="training seeds, the first ones, whose checkpoints are read")


class LossMatchingConfig(Section):
    """Of the extension `loss_matching`; which checkpoints there are: train.checkpoints."""

    seeds: int = Field(
        1,
        ge=1,
        description="training seeds, the first ones, whose checkpoints are evaluated; finished adapters all are",
    )


class ComponentsConfig(Section):
    """Of the extension `components`."""

    seeds: int = Field(1, ge=1, description="training seeds, the first ones, whose drift is decomposed")


class VectorsConfig(Section):
    """Of the extension `vectors`."""

    seeds: int = Field(
        1, ge=1, description="training seeds, the first ones, whose drift is read along every definition"
    )
    promoting: str | None = Field(
        None, description="system prompt of prompt_contrast that asks for the trait; the trait's own if left out"
    )
    suppressing: str | None = Field(None, description="the one that asks against it; the trait's own if left out")


class DiscrepancyConfig(Section):
    """Of the extension `discrepancy`."""

    kind_pairs: int = Field(
        8, ge=1, description="fewest direction pairs with a kind of weakness (CWE) for a direction of its own"
    )
    kind_contexts: int = Field(
        10, ge=2, description="fewest contexts answered with a kind of weakness that has a direction for a number"
    )


class CausalConfig(Section):
    """Of the extensions `causal` and `trained_without`; where they act follows from statistics.blocks."""

    contexts: int = Field(60, ge=2, description="contexts, the first ones, that are answered under each intervention")
    reference_pairs: int = Field(
        32, ge=2, description="held-out pairs whose answers of both kinds give the loss under an intervention"
    )
    doses: tuple[float, ...] = Field(
        (1.0,), description="sizes of steering, each in both signs, in gaps between the classes along v at the block"
    )
    loss_rises: tuple[float, ...] = Field(
        (0.2, 0.5),
        min_length=1,
        description="further doses, in both signs: those that raise the loss so much, nats per token; at the first, directions are compared",
    )
    null_directions: int = Field(2, ge=1, description="directions of each null family: isotropic, covariance-matched")
    seeds: int | None = Field(
        None, ge=1, description="training seeds, the first ones, whose Neutral adapter is steered; all if left out"
    )
    training_seeds: int = Field(1, ge=1, description="training seeds, the first ones, of training under interventions")
    training_at: Literal["all", "loss"] = Field(
        "all", description="positions of interventions in training: all but the first token, or those the loss scores"
    )

    @field_validator("doses", "loss_rises")
    @classmethod
    def _sizes(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value) or min(value, default=1.0) <= 0:
            raise ValueError(f"needs different sizes above 0, found {value}")
        return value


class StudyConfig(Section):
    """Everything that decides a study's results."""

    protocol: Literal["default", "published"] = Field(
        "default", description="protocol that the fields follow: a record; choose with --protocols"
    )
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    judge: JudgeConfig = JudgeConfig()
    measure: MeasureConfig = MeasureConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    claims: ClaimsConfig = ClaimsConfig()
    prompt_variants: PromptVariantsConfig = PromptVariantsConfig()
    second_judge: SecondJudgeConfig = SecondJudgeConfig()
    extensions: tuple[str, ...] = Field((), description="further analyses, each a chapter of the report")
    induced: InducedConfig = InducedConfig()
    along_training: AlongTrainingConfig = AlongTrainingConfig()
    loss_matching: LossMatchingConfig = LossMatchingConfig()
    components: ComponentsConfig = ComponentsConfig()
    vectors: VectorsConfig = VectorsConfig()
    discrepancy: DiscrepancyConfig = DiscrepancyConfig()
    causal: CausalConfig = CausalConfig()
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="training seeds; conditions share each of them")

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if max(value) >= 2**32:
            raise ValueError("seeds have to be below 2**32, as generators take no others")
        return _distinct(value, 0)


def _distinct(values: tuple[int, ...], least: int) -> tuple[int, ...]:
    if len(set(values)) < len(values) or min(values, default=least) < least:
        raise ValueError(f"needs different whole numbers from {least} up, found {values}")
    return values
