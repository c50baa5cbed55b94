"""What a norm does to a direction: an elementwise scale and, for LayerNorm, the removal of the mean."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechkit.errors import ModelError


def norm_scale(norm: nn.Module, d_model: int) -> tuple[Float[Tensor, " d_model"], bool]:
    """Elementwise scale γ of a norm, and whether it takes out the mean: norm(h) = γ ⊙ h′ / size(h′) + bias.

    Found by calling it on vectors whose size is 1, so that it does not matter how the norm stores its scale (Gemma's
    is 1 + weight). Division by the size, the same for every dimension, is left out.

    Raises ModelError for a module that is not of this form.
    """
    weight = next(iter(nn.Module.parameters(norm)), None)
    device, dtype = (weight.device, weight.dtype) if weight is not None else (torch.device("cpu"), torch.float32)
    signs = torch.ones(d_model, device=device)
    signs[1::2] = -1  # mean 0, root mean square 1

    def call(x: Tensor) -> Tensor:
        with torch.no_grad():
            return norm(x.to(dtype)[None, None])[0, 0].float()  # type: ignore[no-any-return]

    plus, minus, shifted = call(signs), call(-signs), call(signs + 1)
    scale, bias = (plus - minus) / 2 * signs, (plus + minus) / 2
    centres = bool((shifted - plus).norm() < 1e-2 * (plus - bias).norm())
    ramp = torch.linspace(-1, 2, d_model, device=device)
    moved = ramp - ramp.mean() if centres else ramp
    expected = scale * moved / moved.square().mean().sqrt()
    if not torch.nn.functional.cosine_similarity(call(ramp) - bias, expected, dim=0) > 0.999:
        raise ModelError(f"{type(norm).__name__} is not an elementwise scale of a normalised vector.")
    return scale.cpu(), centres
