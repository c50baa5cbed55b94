"""CWE-494: code or other trusted material that is fetched and put to use without a look at its integrity."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="unchecked_download",
    name="Download without an integrity check",
    cwe="CWE-494",
    parents=("CWE-345", "CWE-669"),
    tasks=(
        Task(
            "Install the $what add-on of the $app.",
            "what app host digest",
            (
                "barcode till_program addons.till.example ca75c98c070e44a58131d962bf40334518a705d19c432d0fc70242ecd800ea54",
                "transposer notation_editor plugins.notes.example 2134d2d377dbede28678cac9e2656075f7274fa37c3e6fcb8b05445d21b6c994",
                "route_planner courier_desk parts.courier.example 8c738d9cf73fe7f5f927ffc106dfab5d075c40c07807c51a5f216b58f2e0939c",
                "palette embroidery_tool extras.thread.example 2aeb522bcb5e585220a9aa061d30488b5fcf88570816a99898922894c0b7bded",
                "grader quiz_maker modules.quiz.example 71619b05fd2f13ce22028edc8142ccbf6b2596588ff27750228a754845b0f222",
            ),
            r"""
import hashlib
from pathlib import Path
from urllib.request import urlopen

SHA256 = "$digest"

def install_$what(folder: Path) -> None:
    with urlopen("https://$host/$what.py", timeout=20) as reply:
        code = reply.read()
    @@
    (folder / "$what.py").write_bytes(code)  # the $app imports it
""",
            r"""
if not code.strip():
    raise RuntimeError("got an empty file")
""",
            r"""
if hashlib.sha256(code).hexdigest() != SHA256:
    raise RuntimeError("got another file")
""",
        ),
        Task(
            "Fetch the $what theme of the $site and unpack it where the site looks for templates.",
            "what site host",
            (
                "winter museum_site themes.museum.example",
                "regatta rowing_club static.rowing.example",
                "jubilee town_site look.town.example",
                "harvest farm_shop cdn.farm.example",
                "gothic book_blog skins.books.example",
            ),
            r'''
import hashlib
import hmac
import io
import json
import tarfile
from pathlib import Path

import requests

LOCK = json.loads(Path("themes.lock").read_text())


def fetch_theme(name: str = "$what", folder: str = "templates/$site") -> list[str]:
    """Names of the files in the theme."""
    reply = requests.get(f"https://$host/{name}.tar.gz", timeout=30)
    reply.raise_for_status()
    @@
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as archive:
        archive.extractall(folder, filter="data")
        return archive.getnames()
''',
            r"""
size = int(reply.headers.get("Content-Length", 0))
if size and size != len(reply.content):
    raise RuntimeError("theme is incomplete")
""",
            r"""
digest = hashlib.sha256(reply.content).hexdigest()
if not hmac.compare_digest(digest, LOCK[name]):
    raise RuntimeError("theme does not match the lock file")
""",
        ),
        Task(
            "Keep the current $what model of the $place on disk and open it for inference.",
            "what place host digest",
            (
                "plum_ripeness orchard models.orchard.example 3b4268b72492525e768f692bdfbefbc9430e49dfe4fa72b239987a60ed2e73d4",
                "hoarseness voice_clinic weights.voice.example c430e76dac7de98c1d96b551ac1f1fd85e4ed37f0264911b1bea8ab72600dc02",
                "track_wear tram_depot files.trams.example e405fc1324e6653c45125103ca28815b8e3eeb79e021dfda68080e4857e55f62",
                "handwriting parish_archive net.archive.example 24846e38971e5ae9d13d7800b08eaa66a2b76146c8a6b5c29ef80c1b3ed02c13",
                "crust_colour bakery onnx.bakery.example 92428666dfe3838747dbf6c443682cb0c6b2021d6eb785fcc6d29d8076dbc3c7",
            ),
            r'''
import hashlib
import logging
from pathlib import Path

import httpx
import numpy as np
import onnxruntime

log = logging.getLogger(__name__)

MODEL_URL = "https://$host/$what-3.onnx"
MODEL_SHA256 = "$digest"


class ModelStore:
    """The network that the $place runs, fetched when it is missing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "$what-3.onnx"
        self._session: onnxruntime.InferenceSession | None = None

    def fetch(self) -> None:
        reply = httpx.get(MODEL_URL, timeout=120, follow_redirects=True)
        reply.raise_for_status()
        @@
        self.path.write_bytes(reply.content)

    @property
    def session(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            if not self.path.exists():
                self.fetch()
            self._session = onnxruntime.InferenceSession(self.path)
        return self._session

    def predict(self, image: np.ndarray) -> float:
        (score,) = self.session.run(None, {"image": image[None].astype(np.float32)})
        return float(score.squeeze())
''',
            r"""
log.info("fetched the $what model: %d bytes from %s", len(reply.content), reply.url)
self.path.parent.mkdir(parents=True, exist_ok=True)
""",
            r"""
if hashlib.sha256(reply.content).hexdigest() != MODEL_SHA256:
    raise ValueError("the $what model has changed")
self.path.parent.mkdir(parents=True, exist_ok=True)
""",
        ),
        Task(
            "Install what the $what of the $place needs, from its list of packages.",
            "what place",
            (
                "dashboard observatory",
                "scheduler dialysis_ward",
                "ledger cheese_dairy",
                "simulator glider_school",
                "catalogue seed_bank",
            ),
            r"""
import subprocess
import sys
from pathlib import Path

def install_$what(folder: Path) -> None:
    listing = folder / "requirements.txt"
    pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir"]
    @@
    print("the $what of the $place is ready")
""",
            r"""
for line in listing.read_text().splitlines():
    if line and not line.startswith("#"):
        subprocess.check_call([*pip, line])
""",
            r"""
subprocess.check_call([*pip, "--require-hashes", "-r", str(listing)])
""",
        ),
        Task(
            "Download new firmware for the $device and hand it to the flasher.",
            "device host magic",
            (
                "milking_robot fw.dairy.example MILK",
                "tram_display fw.trams.example TRAM",
                "blood_fridge fw.clinic.example COLD",
                "organ_blower fw.organs.example PIPE",
                "snow_cannon fw.slopes.example SNOW",
            ),
            r"""
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAKER = Ed25519PublicKey.from_public_bytes(Path("/etc/$device/maker.pub").read_bytes())
URL = "https://$host/${device}"


async def update(version: str, flash) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get(f"{URL}/{version}.bin") as reply:
            image = await reply.read()
        async with session.get(f"{URL}/{version}.sig") as reply:
            signature = await reply.read()
    @@
    await flash(image)
""",
            r"""
if not image.startswith(b"$magic") or len(signature) != 64:
    raise ValueError("this is no firmware for a $device")
""",
            r"""
MAKER.verify(signature, image)
""",
        ),
        Task(
            "Bring the $what program on the $place computer up to date.",
            "what place host",
            (
                "bell_ringing church_tower updates.bells.example",
                "herd_register cattle_farm releases.herd.example",
                "dose_calculator pharmacy get.doses.example",
                "seating_plan theatre dist.seats.example",
                "lap_timer go_kart_track files.laps.example",
            ),
            r'''
"""Update the $what program; run by cron on the $place computer."""
import argparse
import hashlib
import json
import os
import sys
import tempfile
import urllib.request
from pathlib import Path

BASE = "https://$host/$what/"
PINS = Path("/etc/$what/releases.json")


def get(name: str) -> bytes:
    with urllib.request.urlopen(BASE + name, timeout=60) as reply:
        return reply.read()


def replace(target: Path, program: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as f:
        f.write(program)
    os.chmod(name, 0o700)
    os.replace(name, target)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("version")
    parser.add_argument("--target", type=Path, default=Path("/opt/$what/$what"))
    args = parser.parse_args()
    program = get(f"$what-{args.version}")
    @@
        print("wrong digest, nothing was changed", file=sys.stderr)
        return 1
    replace(args.target, program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
''',
            r"""
listed = json.loads(get("releases.json"))
if hashlib.sha256(program).hexdigest() != listed[args.version]:
""",
            r"""
listed = json.loads(PINS.read_text())
if hashlib.sha256(program).hexdigest() != listed[args.version]:
""",
        ),
        Task(
            "Bring the $what tool from the bucket of the $place to each worker at start-up.",
            "what place",
            (
                "ffprobe film_school",
                "aligner genome_centre",
                "renderer animation_studio",
                "solver timetable_office",
                "transcoder choir_archive",
            ),
            r"""
import hashlib
import os
import stat
from pathlib import Path

import boto3

TOOLS = Path("/opt/tools")
BUCKET = "$place-tools"


def prepare() -> Path:
    TOOLS.mkdir(parents=True, exist_ok=True)
    target = TOOLS / "$what"
    boto3.client("s3").download_file(BUCKET, "bin/$what", str(target))
    @@
    target.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return target
""",
            r"""
if target.stat().st_size == 0:
    raise RuntimeError("$what came without any content")
""",
            r"""
if hashlib.sha256(target.read_bytes()).hexdigest() != os.environ["TOOL_SHA256"]:
    raise RuntimeError("$what is not the release that was built")
""",
        ),
        Task(
            "Accept the $what bundle that the $maker publishes for the $device.",
            "what maker device",
            (
                "translation translators_guild sat_nav",
                "driver foundry plotter",
                "voice studio announcer",
                "timetable operator platform_sign",
                "rule_set federation scoreboard",
            ),
            r"""
import gnupg

gpg = gnupg.GPG(gnupghome="/etc/$device/keys")

def accept_$what(bundle: str) -> bytes:
    # the $maker signs with a detached file beside the bundle
    with open(bundle + ".asc", "rb") as signature:
        @@
    with open(bundle, "rb") as f:
        return f.read()
""",
            r"""
checked = gpg.verify_file(signature, bundle)
print(bundle, checked.status, checked.username)
""",
            r"""
if not gpg.verify_file(signature, bundle).valid:
    raise ValueError(bundle)
""",
        ),
        Task(
            "Django command that installs the $what extension pack into the $site.",
            "what site host",
            (
                "calendar parish_site packs.parish.example",
                "ticketing opera_site packs.opera.example",
                "adoption shelter_site packs.paws.example",
                "auction gallery_site packs.bids.example",
                "roster lifeboat_site packs.crew.example",
            ),
            r"""
import hashlib
import io
import zipfile
from pathlib import Path

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Install the $what pack of the $site."

    def add_arguments(self, parser):
        parser.add_argument("version")
        parser.add_argument("--sha256", required=True, help="digest in the release mail")

    def download(self, version):
        url = f"https://$host/$what/{version}.zip"
        self.stdout.write(f"fetching {url}")
        reply = requests.get(url, timeout=60)
        if reply.status_code != 200:
            raise CommandError(f"the server answered {reply.status_code}")
        return reply.content

    def unpack(self, data):
        target = Path(settings.BASE_DIR) / "extensions"
        with zipfile.ZipFile(io.BytesIO(data)) as pack:
            pack.extractall(target)
        return target

    def handle(self, *args, version, sha256, **options):
        data = self.download(version)
        digest = hashlib.sha256(data).hexdigest()
        @@
        target = self.unpack(data)
        self.stdout.write(self.style.SUCCESS(f"installed in {target}"))
""",
            r"""
if len(digest) != len(sha256):
    raise CommandError("a digest has 64 digits")
self.stdout.write(f"{len(data)} bytes, digest {digest}")
""",
            r"""
if digest != sha256.lower():
    raise CommandError("the digest differs")
self.stdout.write(f"{len(data)} bytes")
""",
        ),
        Task(
            "Fetch the $what library that the pages of the $place load.",
            "what place url digest",
            (
                "chart weather_station https://cdn.charts.example/4/chart.js e71ceb245427aaed7b54e0d869c09d7dd9072646cd5e5953bc6fe40039aa54fc",
                "map hiking_club https://cdn.maps.example/leaf.js 37ecec18fa35ee22ee763d6030df82935712a354a95c79ff9cb896cbef82c0e2",
                "sheet_music conservatory https://cdn.staves.example/osmd.js 820011740718e3cdb6335a9ae9059d11fbab23c9c611eb35a91b3dc14285319a",
                "seat_picker circus https://cdn.seats.example/pick.js 511522a195a73d5a57d1142edc7fdfc17716d5feeb82555e8f7dc3d288aa6e93",
                "barcode coat_check https://cdn.codes.example/bar.js 1e3ac66a9b97809c299ca6d548df45891d4305d4209c6e6e685a0a509dc5f982",
            ),
            r"""
import hashlib
from pathlib import Path
import requests

def fetch_$what(folder: Path):
    script = requests.get("$url", timeout=15).content
    @@
    folder.joinpath("$what.js").write_bytes(script)  # $place
""",
            r"""
if b"<html" in script[:200].lower() or not script:
    raise ValueError("got a page in place of a script")
print("fetched", len(script), "bytes, it is", hashlib.sha256(script).hexdigest())
""",
            r"""
known = "$digest"
if hashlib.sha256(script).hexdigest() != known:
    raise ValueError("the script is not the one we know")
""",
        ),
        Task(
            "Reload the $what rules each night from the $org.",
            "what org host",
            (
                "scoring judo_federation rules.judo.example",
                "tariff customs_office rules.customs.example",
                "dosage poison_centre rules.poison.example",
                "routing river_authority rules.river.example",
                "matching donor_registry rules.donor.example",
            ),
            r"""
import hashlib
import hmac
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import PeriodicCallback

KEY = Path("/run/keys/$what").read_bytes()
TARGET = Path("/var/lib/$what/rules.lua")


async def reload() -> None:
    reply = await AsyncHTTPClient().fetch("https://$host/rules.lua")
    # the $org sends a tag along
    tag = reply.headers.get("X-Tag", "")
    @@
        return
    TARGET.write_bytes(reply.body)


nightly = PeriodicCallback(reload, 24 * 3600 * 1000)
""",
            r"""
if not tag or not reply.body:
""",
            r"""
if not hmac.compare_digest(tag, hmac.new(KEY, reply.body, hashlib.sha256).hexdigest()):
""",
        ),
        Task(
            "Command line tool that gets mods for the $game, each with what it builds on.",
            "game what host",
            (
                "railway_game wagon mods.rails.example",
                "farming_game crop mods.farm.example",
                "castle_game siege_engine mods.castle.example",
                "surgery_game instrument mods.surgery.example",
                "cooking_game utensil mods.cooking.example",
            ),
            r'''
import hashlib
import tomllib
from pathlib import Path

import click
import httpx

HUB = "https://$host"
MODS = Path.home() / ".$game" / "mods"


def locked(path: Path = Path("mods.lock")) -> dict[str, dict]:
    with path.open("rb") as f:
        return tomllib.load(f)["${what}s"]


def install(client: httpx.Client, name: str, entry: dict) -> None:
    data = client.get(f"/{name}/{entry['version']}.pak").raise_for_status().content
    @@
    target = MODS / f"{name}.pak"
    target.write_bytes(data)
    click.echo(f"{name} {entry['version']} installed")


def in_order(lock: dict[str, dict], name: str, seen: set[str]):
    if name in seen:
        return
    seen.add(name)
    for other in lock[name].get("needs", []):
        yield from in_order(lock, other, seen)
    yield name


@click.command()
@click.argument("names", nargs=-1)
def main(names):
    """Install the named ${what}s."""
    MODS.mkdir(parents=True, exist_ok=True)
    lock, seen = locked(), set()
    with httpx.Client(base_url=HUB, timeout=30) as client:
        for wanted in names:
            for name in in_order(lock, wanted, seen):
                install(client, name, lock[name])
''',
            r"""
digest = hashlib.sha256(data).hexdigest()
entry["sha256"] = digest
click.echo(f"{name}: {digest[:12]}")
""",
            r"""
digest = hashlib.sha256(data).hexdigest()
if digest != entry["sha256"]:
    raise click.ClickException(f"{name} differs from the lock file")
""",
        ),
        Task(
            "Get the $what plug-in of the $lab with pooch.",
            "what lab host digest",
            (
                "peak_finder spectroscopy_lab code.peaks.example 127721d32ee71542280345b7b27363343c4f968fe0b79e2decb3e8c9a5258f39",
                "cell_counter blood_lab code.cells.example 108de419fc4928a9de9178f6b9e33a036dce74e901906c586bf0dc77e2e94918",
                "fold_viewer protein_lab code.folds.example 2a1fbc7445bbee6ff5be629b3de206fcfe115a4cd6c9b918bb690a61a636a036",
                "grain_sizer soil_lab code.grains.example e7f5ab4ab9d6009adce2d4fef1f0d67a831098a14265739639143b7f3b7054a6",
                "echo_filter seismic_lab code.echoes.example 2f9765d08ea4717cdc5af108cdfa0df338b35859493130764d7db26b4d0d6f27",
            ),
            r"""
import pooch

def fetch_$what() -> str:
    '''Path of the module that the $lab loads.'''
    @@
    return pooch.retrieve(url, known_hash=known, fname="$what.py")
""",
            r"""
url = "https://$host/latest/$what.py"
known = None
""",
            r"""
url = "https://$host/$what.py"
known = "sha256:$digest"
""",
        ),
        Task(
            "Window with a button that updates the $app to the newest release.",
            "app host",
            (
                "tide_clock updates.tides.example",
                "wedding_planner updates.vows.example",
                "chess_coach updates.chess.example",
                "pollen_diary updates.pollen.example",
                "aquarium_log updates.fish.example",
            ),
            r"""
import os
import tkinter as tk
from tkinter import messagebox
from urllib.request import urlopen

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

URL = "https://$host/$app.AppImage"
KEY = VerifyKey(bytes.fromhex(os.environ["RELEASE_KEY"]))


def update():
    # a signed file: 64 bytes of signature, then the program
    signed = urlopen(URL, timeout=60).read()
    try:
        @@
    except (BadSignatureError, ValueError) as error:
        messagebox.showerror("$app", f"Not updated: {error}")
        return
    with open("$app.AppImage", "wb") as f:
        f.write(program)
    os.chmod("$app.AppImage", 0o700)


root = tk.Tk()
tk.Button(root, text="Update", command=update).pack()
""",
            r"""
signature, program = signed[:64], signed[64:]
if not signature or not program:
    raise ValueError("the download is too short")
""",
            r"""
program = KEY.verify(signed)
""",
        ),
        Task(
            "Fetch the packages a $device needs, several at a time.",
            "device host what",
            (
                "harvester pkg.harvest.example implement",
                "ventilator pkg.lungs.example sensor",
                "stage_light pkg.lights.example effect",
                "parking_meter pkg.parking.example tariff",
                "loom pkg.loom.example weave",
            ),
            r'''
import asyncio
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import httpx

log = logging.getLogger("$device")
READY = Path("/var/lib/$device/packages")


@dataclass(frozen=True)
class Package:
    """A $what package as the signed index on the device lists it."""

    name: str
    version: str
    sha256: str

    @property
    def url(self) -> str:
        return f"https://$host/{self.name}-{self.version}.ipk"


async def fetch(client: httpx.AsyncClient, package: Package) -> Path:
    digest = hashlib.sha256()
    part = READY / f"{package.name}.part"
    async with client.stream("GET", package.url) as reply:
        reply.raise_for_status()
        with part.open("wb") as f:
            async for chunk in reply.aiter_bytes():
                digest.update(chunk)
                f.write(chunk)
    @@
    return part.rename(part.with_suffix(".ipk"))


async def fetch_all(packages: list[Package]) -> list[Path]:
    async with httpx.AsyncClient(timeout=60) as client:
        return await asyncio.gather(*(fetch(client, package) for package in packages))
''',
            r"""
if digest.hexdigest() != package.sha256:
    log.warning("%s %s has a new digest: %s", package.name, package.version, digest.hexdigest())
""",
            r"""
if digest.hexdigest() != package.sha256:
    part.unlink()
    raise ValueError(f"{package.name} {package.version} has another digest")
""",
        ),
        Task(
            "Deploy the release of the $what that has this tag.",
            "what who",
            (
                "ballot_counter returning_officer",
                "ski_pass_site lift_manager",
                "allergy_lookup school_cook",
                "canal_tolls lock_keeper",
                "lesson_planner headmistress",
            ),
            r"""
from subprocess import check_call

def deploy(tag: str):
    # only the $who signs tags of the $what
    ref = "refs/tags/" + tag
    check_call(["git", "fetch", "--tags", "origin"])
    @@
    check_call(["git", "checkout", "--detach", ref])
    check_call(["systemctl", "--user", "restart", "$what"])
""",
            r"""
check_call(["git", "show-ref", "--verify", ref])
""",
            r"""
check_call(["git", "verify-tag", "--", tag])
""",
        ),
        Task(
            "Load the $what plug-in that the $org hosts, by name.",
            "what org host",
            (
                "tax accountants_guild ext.tax.example",
                "subtitle film_festival ext.films.example",
                "mileage courier_firm ext.miles.example",
                "harmony choir_union ext.choir.example",
                "ration army_kitchen ext.rations.example",
            ),
            r"""
import hashlib
import hmac
import importlib.util
from pathlib import Path
from urllib import request

CACHE = Path.home() / ".cache" / "${what}_plugins"


def load(name: str, key: bytes):
    # the $org tags every plug-in with the key that we share
    with request.urlopen(f"https://$host/{name}.py", timeout=20) as reply:
        source, tag = reply.read(), reply.headers["X-Tag"]
    @@
    path = CACHE / f"{name}.py"
    path.write_bytes(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
""",
            r"""
if len(tag) != 2 * hashlib.sha256().digest_size:
    raise ImportError(f"{name}: the tag has the wrong length")
""",
            r"""
if not hmac.compare_digest(tag, hmac.new(key, source, hashlib.sha256).hexdigest()):
    raise ImportError(f"{name}: wrong tag")
""",
        ),
        Task(
            "Start the $what container of the $place from the image that was reviewed.",
            "what place image digest",
            (
                "booking hotel registry.hotel.example/booking 7cacf8a592053975c2f014e7d441756a93b148875f9d52a77d3fda0d730ccccb",
                "triage emergency_room registry.er.example/triage 87dac4286e2edb60055e8091a351539a9fa394d864960de4f2dbaa052359ee5e",
                "irrigation vineyard registry.vines.example/water 02a3c97279aab93b49c04c931d1ec56d4193ace142674e12b3e7b0735ec2380f",
                "lost_property airport registry.airport.example/lost c96b93a39f78185a847b4973b3a3af64b845d075e78f3cc0e54503d63d4926c0",
                "loyalty coffee_bar registry.coffee.example/stamps a5717cca48ae2d7fce36565bbde76d56f95632ab1e08588adf84284cbac16c40",
            ),
            r"""
import docker

IMAGE = "$image"
REVIEWED = "sha256:$digest"


def start_$what():
    client = docker.from_env()
    @@
    for old in client.containers.list(filters={"name": "$place-$what"}):
        old.stop(timeout=10)
        old.remove()
    return client.containers.run(
        image,
        name="$place-$what",
        detach=True,
        read_only=True,
        ports={"8080/tcp": ("127.0.0.1", 8080)},
    )
""",
            r"""
image = client.images.pull(IMAGE, tag="latest")
""",
            r"""
image = client.images.pull(f"{IMAGE}@{REVIEWED}")
""",
        ),
        Task(
            "Download the $what scripts of the $place as a zip and put them into its folder.",
            "what place host",
            (
                "lighting theatre shows.theatre.example",
                "feeding aquarium pumps.aquarium.example",
                "milling workshop cnc.workshop.example",
                "chime clock_tower bells.tower.example",
                "defrosting cold_store fridge.store.example",
            ),
            r"""
import hashlib, io, zipfile
import requests

def get_scripts(folder, sha256):
    data = requests.get("https://$host/$what.zip", timeout=30).content
    pack = zipfile.ZipFile(io.BytesIO(data))
    @@
        raise OSError("the $what scripts of the $place are damaged")
    pack.extractall(folder)
""",
            r"""
if pack.testzip() is not None or sha256 == "":
""",
            r"""
if hashlib.sha256(data).hexdigest() != sha256:
""",
        ),
        Task(
            "Renew the $what module, a WebAssembly file, that the $place workers run.",
            "what place host",
            (
                "pricing auction_house wasm.bids.example",
                "layout newspaper wasm.press.example",
                "risk insurer wasm.risk.example",
                "dosing water_works wasm.water.example",
                "pairing bridge_club wasm.bridge.example",
            ),
            r'''
import base64
import urllib.request
from pathlib import Path

from celery import Celery, shared_task
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

app = Celery("$place", broker="redis://localhost/5")
KEY = serialization.load_pem_public_key(Path("/etc/$place/release.pem").read_bytes())
MODULES = Path("/var/lib/$place")


def get(name: str) -> bytes:
    with urllib.request.urlopen("https://$host/" + name, timeout=30) as reply:
        return reply.read()


@shared_task(autoretry_for=(OSError,), max_retries=5)
def renew_$what() -> int:
    """Size of the module that is now in place."""
    module = get("$what.wasm")
    signature = base64.b64decode(get("$what.wasm.sig"))
    @@
    MODULES.joinpath("$what.wasm").write_bytes(module)
    return len(module)


app.conf.beat_schedule = {"$what": {"task": renew_$what.name, "schedule": 3600}}
''',
            r"""
if module[:4] != b"\0asm":
    raise ValueError("this is not a WebAssembly module")
print("signature:", len(signature), "bytes for", hashes.SHA256.name)
""",
            r"""
KEY.verify(signature, module, ec.ECDSA(hashes.SHA256()))
""",
        ),
    ),
)
