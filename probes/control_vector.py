"""Directions as control vectors for llama.cpp."""

from pathlib import Path
from typing import Literal

from mechkit.direction import Direction
from mechkit.errors import DirectionError
from mechkit.storage import writing

_ENDINGS = ("ForCausalLM", "LMHeadModel")


def export_control_vector(
    direction: Direction,
    path: str | Path,
    scale: Literal["unit", "gap"] | float = "unit",
    model_hint: str | None = None,
) -> None:
    """Writes a direction as a GGUF control vector, which llama.cpp adds with `--control-vector-scaled FILE STRENGTH`.

    llama.cpp adds the tensor `direction.<l>` to the output of block l (counted from 0: the site resid_post.l) at every
    position, prompt included. Its format has no place for block 0, which is left out. What is added at one block is
    still in the stream at the next: the strength suits a few blocks (`--control-vector-layer-range`) or has to be small.

    scale: "unit" writes unit vectors; "gap" vectors as long as the distance of the class means at that block, so that
        strength 1 moves a negative example's mean to the positive ones'; a number multiplies the unit vectors.
    model_hint: llama.cpp's name of the architecture; by default from the direction's provenance. Loaders may ignore it.

    Raises DirectionError for sites other than resid_post, no block above 0, a gap that is not a number, or an
    architecture whose name is not known.
    """
    others = [site for site in direction.sites if site.kind != "resid_post"]
    if others:
        raise DirectionError(
            f"A control vector is added at resid_post; {direction.name!r} has a vector at {others[0]}."
        )
    sites = [site for site in direction.sites if site.block > 0]
    if not sites:
        raise DirectionError(f"A control vector has no place for block 0, the only one of {direction.name!r}.")
    if scale == "gap":
        sizes = [direction.gaps[site] for site in sites]
        if any(size != size for size in sizes):
            raise DirectionError(f"{direction.name!r} has no gap to scale by; export it with scale='unit' or a number.")
    elif scale == "unit":
        sizes = [1.0] * len(sites)
    elif isinstance(scale, str):
        raise DirectionError(f"There is no scale {scale!r}; write 'unit', 'gap' or a number.")
    else:
        sizes = [float(scale)] * len(sites)
    import gguf

    hint = model_hint or _hint(direction, set(gguf.MODEL_ARCH_NAMES.values()))
    with writing(path) as partial:
        writer = gguf.GGUFWriter(partial, "controlvector")
        writer.add_name(direction.name)
        writer.add_string("controlvector.model_hint", hint)
        writer.add_uint32("controlvector.layer_count", len(sites))
        for site, size in zip(sites, sizes):
            writer.add_tensor(f"direction.{site.block}", (size * direction.at(site)).float().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _hint(direction: Direction, known: set[str]) -> str:
    architecture = str(direction.provenance.get("model", {}).get("architecture"))
    name = architecture
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    if name.lower() not in known:
        raise DirectionError(f"llama.cpp's name of {architecture} is not known here; pass model_hint=….")
    return name.lower()
