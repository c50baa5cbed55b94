"""Token maps add up to the reductions they split, and the parts of a block to the block."""

import numpy as np
import pytest

import mechkit
import probes
from mechkit.errors import DataError, ModelError
from tests.conftest import NEGATIVE, POSITIVE


def direction_of(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


def test_a_token_map_adds_up(family):
    v = direction_of(family)
    chat = POSITIVE[0]
    found = probes.token_map(family, chat, v)
    out = mechkit.measure(
        family, [chat], [probes.Projection(v, at="completion_mean"), probes.Pressure(v, reductions=["loss", "all"])]
    )
    e = family.encode(chat)
    loss, completion = list(range(e.prompt_length - 1, len(e.ids) - 1)), list(range(e.prompt_length, len(e.ids) - 1))
    scale = float(np.abs(out["dot"]).max())
    np.testing.assert_allclose(
        found["dot"].isel(token=loss).sum("token"), out["dot"][0, :, 0], rtol=1e-3, atol=1e-4 * scale
    )
    np.testing.assert_allclose(found["dot"].sum("token"), out["dot"][0, :, 1], rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_allclose(
        found.projection.isel(token=completion).mean("token"), out.projection[0, :, 0], rtol=1e-4, atol=1e-4
    )
    cosines = (found.cos * found.gradient_norm).fillna(0)  # where the gradient is zero there is no cosine
    np.testing.assert_allclose(cosines, found["dot"], rtol=1e-3, atol=1e-4 * scale)


def test_tokens_carry_their_text_and_span(tiny):
    chat = POSITIVE[1]
    found = probes.token_map(tiny, chat, direction_of(tiny), system="Be kind.")
    assert "".join(found.text.values) == tiny.tokenizer.decode(tiny.encode(chat, "Be kind.").ids)
    spans = found.span.values
    assert "".join(found.text.values[spans == "completion"]) == chat.completion
    assert "Be kind." in "".join(found.text.values[spans == "system"])
    assert list(dict.fromkeys(spans)) == ["system", "user", "generation prompt", "completion", "stop"]
    assert found.to_dataframe().shape[0] == found.sizes["token"] * found.sizes["site"]


def test_a_prompt_alone_has_no_pressure(tiny):
    found = probes.token_map(tiny, POSITIVE[0].without_completion(), direction_of(tiny))
    assert set(found.data_vars) == {"projection", "hidden_norm"}


def test_the_parts_of_a_block_add_up(every_family):
    v = direction_of(every_family)
    sequential = "resid_mid" in every_family.kinds
    found = probes.decompose(every_family, POSITIVE, v, gradients=sequential)
    out = mechkit.measure(every_family, POSITIVE, [probes.Projection(v, at="completion_mean")])
    whole = out.projection[:, :, 0, 0].values
    np.testing.assert_allclose(found.projection_part.sum("part"), whole, rtol=1e-3, atol=1e-4 * np.abs(whole).max())
    if not sequential:
        assert "gradient_part" not in found
        with pytest.raises(ModelError, match="no resid_mid"):
            probes.decompose(every_family, POSITIVE, v)
        return
    entrance = mechkit.measure(every_family, POSITIVE, [probes.Pressure(v.across(["resid_pre"]))])["dot"][:, :, 0, 0]
    scale = float(np.abs(entrance).max())
    np.testing.assert_allclose(found.gradient_part.sum("part"), entrance, rtol=1e-3, atol=1e-4 * scale)
    exits = mechkit.measure(every_family, POSITIVE, [probes.Pressure(v)])["dot"][:, :, 0, 0]
    np.testing.assert_allclose(found.gradient_part.sel(part="stream"), exits, rtol=1e-3, atol=1e-4 * scale)
    assert float(np.abs(found.gradient_part.sel(part="attention")).max()) > 0


def test_a_block_without_an_mlp_has_no_mlp_part(tiny):
    v = direction_of(tiny)
    tiny.hf.model.layers[1].mlp.down_proj.weight.data.zero_()
    tiny.provenance["weights"] = v.provenance["model"]["weights"]
    found = probes.decompose(tiny, POSITIVE, v).sel(block=1, part="mlp")
    assert float(np.abs(found.projection_part).max()) == 0
    assert float(np.abs(found.gradient_part).max()) < 1e-6


def test_decompose_wants_one_vector_a_block(tiny):
    with pytest.raises(DataError, match="direction at resid_post"):
        probes.decompose(tiny, POSITIVE, direction_of(tiny).across(["mlp_out"]))
