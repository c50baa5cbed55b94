"""Objects of one's own in the registries, and objects made again from a log."""

import json

import numpy as np
import pytest

import mechkit
import probes
from mechkit.errors import DirectionError, MechkitError, UnknownName
from mechkit.registry import registries
from tests.conftest import NEGATIVE, POSITIVE


@pytest.fixture
def clean():
    """Takes out what a test registers."""
    before = {kind: dict(registry._entries) for kind, registry in registries().items()}
    yield
    for kind, entries in before.items():
        registries()[kind]._entries = entries


@pytest.fixture
def v(tiny):
    return probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)


@pytest.mark.usefixtures("clean")
class TestOnesOwn:
    def test_a_reader(self, tiny, v):
        @probes.register("second")
        def second(encoded):
            """The second token."""
            return [1]

        out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, at=["second", "token(1)"])])
        np.testing.assert_array_equal(out.projection[:, :, 0], out.projection[:, :, 1])
        pressure = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v, reductions=["second", "token(1)"])])
        np.testing.assert_array_equal(pressure.cos[:, :, 0], pressure.cos[:, :, 1])

    def test_an_extractor_and_an_estimator(self, tiny):
        @probes.register("half", kind="estimator")
        def half(positive, negative, paired):
            return 0.5 * (positive.mean(0) - negative.mean(0))

        @probes.register("mine", kind="extractor")
        def mine(model, positive, negative):
            full = probes.data_diff(model, positive, negative)
            return probes.from_samples(
                "mine", full.sites, full.positive, full.negative, True, full.provenance, estimator="half"
            )

        w = probes.extract("mine", tiny, positive=POSITIVE, negative=NEGATIVE)
        assert w.provenance["extractor"] == "mine"
        found = probes.cosines([w, probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)])
        np.testing.assert_allclose(found.sel(direction="mine", other="data_diff"), 1.0, rtol=1e-6)

    def test_a_null_family(self, tiny, v):
        @probes.register("first_pair", kind="null")
        def first_pair(direction, draws, generator):
            coefficients = np.zeros((draws, len(direction.positive)))
            coefficients[:, 0] = 1.0
            return coefficients

        null = probes.Null("first_pair", 2)
        out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, nulls=[null]), probes.Vectors("prompt_last")])
        first = (v.positive - v.negative)[0].numpy()
        first /= np.linalg.norm(first, axis=-1, keepdims=True)
        drawn = probes.nulls.draw(out.projection_basis, v, null)
        expected = np.einsum("espd,sd->esp", out.vectors, first)
        np.testing.assert_allclose(drawn[..., 0], expected, rtol=1e-3, atol=1e-4)

    def test_a_probe_and_an_intervention(self, tiny, v):
        @probes.register("Norm")
        class Norm(probes.Probe):
            """Length of the vector that was read."""

            def __init__(self, at="prompt_last"):
                self.reads = tuple(probes.Read(r) for r in probes.readers.parse(at))
                self.variables = {"norm": ()}

            def reduce(self, site, pooled, reads):
                return {"norm": pooled.norm(dim=-1)}

        @probes.register("Negate")
        class Negate(probes.Intervention):
            """The residual stream with its sign changed."""

            def __init__(self, site):
                self.site = site
                (self.reader,) = probes.readers.parse("all")

            def sites(self, model):
                return model.sites(self.site)

            def change(self, site, hidden):
                return -hidden

        probe = Norm(at="last")
        out = mechkit.measure(tiny, POSITIVE, [probe, probes.Projection(v, at="last")])
        np.testing.assert_allclose(out.norm, out.hidden_norm)
        with tiny.intervene(Negate("resid_post.3")):
            turned = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, at="last")])
        np.testing.assert_allclose(turned.projection[:, 3], -out.projection[:, 3], rtol=1e-5)
        (again,) = probes.recreate(json.dumps([probe.spec()]))
        assert type(again) is Norm
        assert [read.name for read in again.reads] == ["last"]

    def test_collisions_and_wrong_kinds_are_named(self):
        with pytest.raises(MechkitError, match="'prompt_last' is taken by"):
            probes.register("prompt_last")(lambda encoded: [0])
        with pytest.raises(MechkitError, match="'data_diff' is taken by"):
            probes.register("data_diff", kind="extractor")(lambda model: None)
        with pytest.raises(MechkitError, match="kind 'judge' can be registered"):
            probes.register("x", kind="judge")
        with pytest.raises(MechkitError, match="registered as extractor, but it is a Probe"):
            probes.register("x", kind="extractor")(probes.Vectors)
        with pytest.raises(MechkitError, match="registered as probe, but it is function"):
            probes.register("x", kind="probe")(lambda: None)


def test_a_log_makes_the_probes_again(tiny, v, tmp_path):
    """Written to a file, read back, made again, measured again: the same numbers."""
    import xarray as xr

    asked = [
        probes.Projection(v, at=["prompt_last", "gen_avg(3)"], nulls=[probes.nulls.covariance_matched(20, seed=4)]),
        probes.Pressure(v, (probes.nulls.isotropic(5),), reductions=("loss", "completion_mean")),
        probes.Vectors("last", sites=["resid_pre.1", "mlp_out.*"]),
    ]
    out = mechkit.measure(tiny, POSITIVE, asked)
    out.to_netcdf(tmp_path / "log.nc", engine="h5netcdf")
    v.save(tmp_path / "v.safetensors")
    with xr.open_dataset(tmp_path / "log.nc", engine="h5netcdf") as log:
        again = probes.recreate(log, tmp_path)
    assert [p.spec() for p in again] == [p.spec() for p in asked]
    xr.testing.assert_identical(mechkit.measure(tiny, POSITIVE, again).load(), out)


def test_interventions_are_logged_and_made_again(tiny, v):
    acting = [
        probes.Steer(v, 2.0, sites="resid_post.1", unit="gap"),
        probes.Cap(v, high={f"resid_post.{i}": 1.0 for i in range(4)}),
    ]
    with tiny.intervene(*acting):
        out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    again = probes.recreate(out.attrs["interventions"], [v])
    with tiny.intervene(*again):
        np.testing.assert_array_equal(
            mechkit.measure(tiny, POSITIVE, [probes.Projection(v)]).projection, out.projection
        )


def test_what_cannot_be_made_again_is_named(tiny, v):
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    with pytest.raises(DirectionError, match=f"'data_diff' .hash {v.hash}. is not among the 0 given"):
        probes.recreate(out)
    with pytest.raises(UnknownName, match="no probe called 'Projektion'"):
        probes.recreate([{"probe": "Projektion", "arguments": {}}])
    with pytest.raises(MechkitError, match="was not written down"):
        probes.recreate([probes.Vectors("last", sites=object()).spec()])


@pytest.mark.parametrize("method", ["data_diff", "logistic", "prompt_contrast", "mean_neg_gradient"])
def test_a_direction_is_made_again_from_its_file(tiny, tmp_path, method):
    """The file holds the extractor and its arguments; with the same chats it gives the same vectors."""
    chats = {
        "prompt_contrast": {"prompts": [c.without_completion() for c in POSITIVE]},
        "mean_neg_gradient": {"chats": POSITIVE},
    }.get(method, {"positive": POSITIVE, "negative": NEGATIVE})
    texts = {"promoting": "Be rude.", "suppressing": "Be kind."} if method == "prompt_contrast" else {"system": "Hi."}
    v = probes.extract(method, tiny, **chats, **texts, sites="resid_post.1-2")
    v.save(tmp_path / "v.safetensors")
    again = probes.extract_again(mechkit.Direction.load(tmp_path / "v.safetensors"), tiny, **chats)
    assert again.hash == v.hash
    assert again.provenance == v.provenance
    name = next(iter(chats))
    with pytest.raises(DirectionError, match=f"{name!r} is not what the direction was made of"):
        probes.extract_again(v, tiny, **{**chats, name: chats[name][1:]})
    with pytest.raises(DirectionError, match=f"holds {', '.join(chats)} by hash alone"):
        probes.extract_again(v.provenance, tiny)
    with pytest.raises(DirectionError, match="made without 'chatz'"):
        probes.extract_again(v, tiny, chatz=POSITIVE)


def test_a_direction_without_a_record_cannot_be_made_again(tiny, v):
    plain = probes.from_samples("x", v.sites, v.positive, v.negative, True, {"model": tiny.provenance})
    with pytest.raises(DirectionError, match="does not say which extractor"):
        probes.extract_again(plain, tiny)


@pytest.mark.usefixtures("clean")
def test_a_log_names_the_registered_class_never_another(tiny, v):
    unregistered = type("Projection", (probes.Projection,), {})(v)
    with pytest.raises(UnknownName):
        probes.recreate([unregistered.spec()], [v])
    mine = probes.register("mine")(type("Projection", (probes.Projection,), {}))
    (again,) = probes.recreate(mechkit.measure(tiny, POSITIVE, [mine(v)]), [v])
    assert type(again) is mine


def test_a_direction_made_under_an_adapter_or_intervention_says_so(tiny, v, tmp_path):
    from tests.test_adapters import make_adapter

    folder = make_adapter(tmp_path / "a")
    both = {"positive": POSITIVE, "negative": NEGATIVE}
    with tiny.adapter(folder), tiny.intervene(probes.Steer(v, 1.0)):
        w = probes.extract("data_diff", tiny, **both)
        assert probes.extract_again(w, tiny, **both).hash == w.hash
    assert w.provenance["adapter"]["adapter"] == str(folder)
    with pytest.raises(DirectionError, match="made with"):
        probes.extract_again(w, tiny, **both)


def test_a_direction_of_ones_own_vectors(tiny, v):
    site = tiny.sites("resid_post.1")[0]
    own = mechkit.Direction.of("own", {site: 3 * v.at(site)}, tiny)
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection([own, v.restrict([site])])])
    np.testing.assert_allclose(out.projection[..., 0], out.projection[..., 1], rtol=1e-5)
    with (
        pytest.raises(MechkitError, match=r"dose at resid_post\.1 is nan"),
        tiny.intervene(probes.Steer(own, 1, unit="gap")),
    ):
        pass
    with pytest.raises(DirectionError, match="norm 3 at"):
        mechkit.Direction("bad", {site: 3 * v.at(site)}, {site: 1.0}, v.positive, v.negative, True, v.provenance)
