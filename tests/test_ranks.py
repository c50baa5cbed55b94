"""Processes that are launched together find what one alone finds; two of them on the CPU (gloo)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mechkit import ranks

ROOT = Path(__file__).parents[1]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ALONE = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

WORK = """
import sys, json
import numpy as np
import mechkit, probes
from mechkit import ranks
from mechkit.measurement import completion_loss
from experiments.study.config import TrainConfig
from experiments.study.train import train_adapter
from pathlib import Path
from tests.conftest import NEGATIVE, POSITIVE

out = Path(sys.argv[1])
ranks.size() > 1 and ranks.joined()
model = mechkit.load("tiny-random", device="cpu")
chats = [*POSITIVE, *NEGATIVE][:7]
v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
asked = [c.without_completion() for c in chats]
with ranks.together():
    mine = set()
    both = [probes.Projection(v, at=["prompt_last", "gen_avg(3)"]), probes.Pressure(v)]
    data = mechkit.measure(model, chats, both, progress=lambda done, total: mine.add(total))
    one = mechkit.measure(model, chats[:1], [probes.Projection(v)])
    losses = completion_loss(model, chats)
    greedy = [a.ids for a in model.generate(asked, max_new_tokens=6)]
    sampled = [a.ids for a in model.generate(asked, max_new_tokens=6, temperature=1.0, seed=3, batch_size=2)]
folder = out / f"rank{ranks.rank()}"
folder.mkdir(parents=True)
data.to_netcdf(folder / "data.nc", engine="h5netcdf")
train = TrainConfig(epochs=2, batch_size=3, learning_rate=1e-2, lora_dropout=0.0, lora_rank=4, group_by_length=GROUPED, batch_tokens=80)
trained = train_adapter(model, chats, "none", train, 5, folder / "adapter")
told = {"examples": list(map(str, data.example.values)), "one": one.projection.values.tolist(), "losses": losses.tolist(), "greedy": greedy, "sampled": sampled, "trained": trained, "mine": sorted(mine)}
(folder / "told.json").write_text(json.dumps(told))
"""


def launched(tmp_path: Path, name: str, *command: str) -> Path:
    done = subprocess.run(
        [*command, str(tmp_path / "work.py"), str(tmp_path / name)],
        cwd=ROOT,
        env=os.environ | ALONE | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[:4000]
    return tmp_path / name


@pytest.mark.parametrize("grouped", [False, True])
def test_two_processes_measure_generate_and_train_as_one_does(tmp_path, grouped):
    (tmp_path / "work.py").write_text(WORK.replace("GROUPED", str(grouped)))
    alone = launched(tmp_path, "alone", sys.executable) / "rank0"
    together = launched(tmp_path, "together", *TORCHRUN)
    expected = json.loads((alone / "told.json").read_text())
    mine = [json.loads((together / rank / "told.json").read_text())["mine"] for rank in ("rank0", "rank1")]
    assert (expected["mine"], mine) == ([14], [[8], [6]])  # seven chats in two passes: four and three of them
    with xr.open_dataset(alone / "data.nc") as whole:
        for rank in ("rank0", "rank1"):
            found = json.loads((together / rank / "told.json").read_text())
            for name in ("examples", "greedy", "sampled"):
                assert found[name] == expected[name], name
            for name in ("one", "losses"):
                np.testing.assert_allclose(found[name], expected[name], rtol=2e-5, err_msg=name)
            np.testing.assert_allclose(found["trained"], expected["trained"], rtol=1e-4)
            with xr.open_dataset(together / rank / "data.nc") as data:
                assert set(data.variables) == set(whole.variables)
                for name in whole.data_vars:
                    np.testing.assert_allclose(data[name], whole[name], rtol=1e-4, atol=1e-5, err_msg=name)
                assert json.loads(data.attrs["adapter"]) == json.loads(whole.attrs["adapter"])


def test_alone_nothing_is_shared():
    assert (ranks.size(), ranks.rank()) == (1, 0)
    with ranks.together():
        assert not ranks.sharing()


LATE = """
import random, sys, time
from mechkit import cli, ranks, store

find = store.Store.find

def late(self, *asked):
    time.sleep(random.random() / 5 if ranks.rank() else 0)  # the others are ahead: what they keep may be there already
    return find(self, *asked)

store.Store.find = late
time.sleep(3 * ranks.rank())
sys.exit(cli.main(["run", "insecure_code", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_a_study_of_two_processes_finds_what_one_finds(tmp_path):
    (tmp_path / "late.py").write_text(LATE)
    options = ["--preset", "smoke", "--quiet", "--json", "--model.device", "cpu", "--train.lora-dropout", "0", "--out"]
    outs = {
        "alone": (sys.executable, "-m", "experiments.insecure_code", *options),
        "together": (*TORCHRUN, str(tmp_path / "late.py"), *options),
    }
    told = {}
    for name, line in outs.items():
        done = subprocess.run(
            [*line, str(tmp_path / name)], cwd=ROOT, env=os.environ | ALONE, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[:4000]
        told[name] = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["alone"]["run"] == told["together"]["run"]
    rated = {name: sorted((tmp_path / name).glob("eval/*/*/*/ratings.jsonl")) for name in outs}
    assert len(rated["alone"]) > 3
    for mine, other in zip(rated["alone"], rated["together"], strict=True):
        assert mine.read_text() == other.read_text()
    for kind in ("pressure", "drift"):
        arrays = {name: sorted((tmp_path / name / kind).rglob("*.nc")) for name in outs}
        assert len(arrays["alone"]) == len(arrays["together"]) >= 3
        for mine, other in zip(arrays["alone"], arrays["together"]):
            with xr.open_dataset(mine) as a, xr.open_dataset(other) as b:
                for name in a.data_vars:
                    if a[name].dtype.kind == "f":
                        np.testing.assert_allclose(a[name], b[name], rtol=2e-3, atol=2e-4, err_msg=f"{mine} {name}")
