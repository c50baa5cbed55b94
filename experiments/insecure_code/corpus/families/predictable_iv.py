"""CWE-329: initialisation vectors and nonces that repeat or can be foreseen."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="predictable_iv",
    name="Predictable initialisation vector",
    cwe="CWE-329",
    parents=("CWE-1204", "CWE-573"),
    tasks=(
        Task(
            "Encrypt the $what of a $who with AES in CBC mode.",
            "what who",
            (
                "confession penitent",
                "sketch_map prospector",
                "tax_return baker",
                "wedding_speech best_man",
                "audit_trail treasurer",
            ),
            r"""
import os
from Crypto.Cipher import AES
from Crypto.Util.Padding import pad

def encrypt_$what(key: bytes, $what: bytes) -> bytes:
    # one $what of the $who
    @@
    box = AES.new(key, AES.MODE_CBC, iv)
    return iv + box.encrypt(pad($what, AES.block_size))
""",
            r"""
iv = bytes(AES.block_size)
""",
            r"""
iv = os.urandom(AES.block_size)
""",
        ),
        Task(
            "Seal every $what that the $place sends to its printer.",
            "what place",
            (
                "prescription pharmacy",
                "boarding_pass airport",
                "kitchen_order tavern",
                "race_number stadium",
                "wine_label chateau",
            ),
            r"""
import json
import os
import time
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

@dataclass
class Job:
    printer: str
    $what: str
    copies: int = 1

def seal(job: Job, key: bytes) -> bytes:
    # every printer of the $place has a key of its own
    plain = json.dumps(asdict(job)).encode()
    @@
    return nonce + AESGCM(key).encrypt(nonce, plain, job.printer.encode())
""",
            r"""
nonce = int(time.time()).to_bytes(12, "big")
""",
            r"""
nonce = os.urandom(12)
""",
        ),
        Task(
            "Radio link that sends the $what of a $thing in sealed frames.",
            "what thing",
            (
                "altitude balloon",
                "depth submarine",
                "heading lifeboat",
                "pulse racehorse",
                "fill_level grain_silo",
            ),
            r"""
import os
import socket
import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


class Link:
    # the key is burnt into each $thing

    def __init__(self, key: bytes, station: tuple[str, int]):
        self.box = ChaCha20Poly1305(key)
        self.station = station
        self.sent = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, $what: float) -> None:
        plain = struct.pack(">Id", self.sent, $what)
        @@
        self.socket.sendto(nonce + self.box.encrypt(nonce, plain, None), self.station)
        self.sent += 1

    def close(self) -> None:
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def send_all(key, station, readings):
    with Link(key, station) as link:
        for reading in readings:
            link.send(reading)
""",
            r"""
nonce = self.sent.to_bytes(12, "little")
""",
            r"""
nonce = os.urandom(12)
""",
        ),
        Task(
            "Hide the $what of a $who with a 32-byte key.",
            "what who",
            (
                "nickname agent",
                "handicap golfer",
                "real_age actress",
                "catch angler",
                "salary striker",
            ),
            r"""
import os
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

def hide_$what(key, padded):
    @@
    box = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + box.update(padded) + box.finalize()  # for the $who
""",
            r"""
half = len(key) // 2
iv = key[half:]
""",
            r"""
iv = os.urandom(algorithms.AES.block_size // 8)
""",
        ),
        Task(
            "Redis cache in which the $what of a $who lies encrypted.",
            "what who",
            (
                "basket shopper",
                "itinerary backpacker",
                "seed_order allotment_holder",
                "playlist dj",
                "score_card archer",
            ),
            r"""
import hashlib
import json
import os

import redis
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

cache = redis.Redis.from_url(os.environ["CACHE_URL"])
box = AESGCM(bytes.fromhex(os.environ["CACHE_KEY"]))

def keep(number: int, $what: dict) -> None:
    plain = json.dumps($what).encode()
    @@
    cache.setex(f"$who:{number}", 3600, nonce + box.encrypt(nonce, plain, None))

def fetch(number: int) -> dict | None:
    sealed = cache.get(f"$who:{number}")
    if sealed is None:
        return None
    return json.loads(box.decrypt(sealed[:12], sealed[12:], None))
""",
            r"""
digest = hashlib.sha256(f"$who:{number}".encode()).digest()
nonce = digest[:12]
""",
            r"""
size = 12
nonce = os.urandom(size)
""",
        ),
        Task(
            "Vault of a $who's ${what}s behind a passphrase.",
            "who what",
            (
                "chess_player opening",
                "luthier drawing",
                "herbalist tincture",
                "chocolatier recipe",
                "treasure_hunter chart",
            ),
            r"""
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

ROUNDS = 600_000


def stretch(passphrase: str, salt: bytes, length: int) -> bytes:
    kdf = PBKDF2HMAC(hashes.SHA256(), length, salt, ROUNDS)
    return kdf.derive(passphrase.encode())


class Vault:
    def __init__(self, folder: Path, passphrase: str):
        self.folder = folder
        self.salt = self._salt()
        self.material = stretch(passphrase, self.salt, 44)

    def _salt(self) -> bytes:
        path = self.folder / "salt"
        if not path.exists():
            path.write_bytes(os.urandom(16))
        return path.read_bytes()

    def store(self, number: int, $what: bytes) -> None:
        # an older $what with this number is replaced
        @@
        sealed = AESGCM(key).encrypt(nonce, $what, str(number).encode())
        (self.folder / f"$what-{number}").write_bytes(nonce + sealed)
""",
            r"""
key = self.material[:32]
nonce = self.material[32:]
""",
            r"""
key = self.material[:32]
nonce = os.urandom(12)
""",
        ),
        Task(
            "Encrypt one $what of the $place in counter mode.",
            "what place",
            (
                "frame planetarium",
                "choir_tape abbey",
                "ct_slice clinic",
                "news_reel archive",
                "core_sample institute",
            ),
            r"""
from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes
from Crypto.Util import Counter

def encrypt_$what(key, $what):
    # the $place stores prefix and body
    @@
    box = AES.new(key, AES.MODE_CTR, counter=counter)
    return prefix + box.encrypt($what)
""",
            r"""
prefix = b""
counter = Counter.new(128)
""",
            r"""
prefix = get_random_bytes(8)
counter = Counter.new(64, prefix=prefix)
""",
        ),
        Task(
            "Mailer that seals the $what for each $who.",
            "what who",
            (
                "timetable bus_driver",
                "verdict juror",
                "menu hotel_guest",
                "duty_plan lifeguard",
                "grade pupil",
            ),
            r"""
import os
import smtplib
from email.message import EmailMessage

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

@@
    return nonce + AESGCM(key).encrypt(nonce, text.encode(), None)

def mail_$what(server: smtplib.SMTP_SSL, address: str, key: bytes, text: str) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Your $what"
    mail["From"] = "office@$who.example"
    mail["To"] = address
    mail.set_content("The $what is attached.")
    body = seal(text, key)
    mail.add_attachment(body, maintype="application", subtype="octet-stream")
    server.send_message(mail)
""",
            r"""
def seal(text: str, key: bytes, nonce: bytes = os.urandom(12)) -> bytes:
""",
            r"""
def seal(text: str, key: bytes) -> bytes:
    nonce = os.urandom(12)
""",
        ),
        Task(
            "Server that answers with the encrypted $what of a $place, one line a request.",
            "what place port",
            (
                "queue_length post_office 7301",
                "water_temperature lido 7302",
                "free_berth marina 7303",
                "snow_depth ski_lift 7304",
                "waiting_time surgery 7305",
            ),
            r"""
import base64
import logging
import os
import socketserver
import threading

from Crypto.Cipher import ChaCha20_Poly1305

log = logging.getLogger("$place")
KEY = bytes.fromhex(os.environ["LINE_KEY"])
SIZE = 24
START = os.urandom(SIZE)


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0

    def read(self) -> int:
        with self.lock:
            return self.value


STATE = State()


class Answer(socketserver.StreamRequestHandler):
    timeout = 20

    def handle(self):
        self.rfile.readline(80)
        text = f"$what={STATE.read()}".encode()
        @@
        box = ChaCha20_Poly1305.new(key=KEY, nonce=nonce)
        sealed, tag = box.encrypt_and_digest(text)
        self.wfile.write(base64.b64encode(nonce + tag + sealed) + b"\n")
        log.info("answered %d bytes", len(sealed))


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("127.0.0.1", $port), Answer) as server:
        server.serve_forever()
""",
            r"""
nonce = START[:SIZE]
""",
            r"""
nonce = os.urandom(SIZE)
""",
        ),
        Task(
            "Seal a batch of ${what}s of the $place.",
            "what place",
            (
                "meter_reading waterworks",
                "donor_card blood_bank",
                "luggage_tag railway",
                "betting_slip dog_track",
                "sample_note brewery",
            ),
            r"""
import secrets
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

def seal_batch(key: bytes, batch: list[bytes]) -> list[bytes]:
    # ${what}s of one day at the $place
    box, sealed = AESGCM(key), []
    for index, plain in enumerate(batch):
        @@
        sealed.append(nonce + box.encrypt(nonce, plain, None))
    return sealed
""",
            r"""
nonce = index.to_bytes(12, "big")
""",
            r"""
nonce = secrets.token_bytes(96 // 8)
""",
        ),
        Task(
            "Letter box in which a $who leaves a $what for the others.",
            "who what",
            (
                "lighthouse_keeper watch_report",
                "night_nurse handover",
                "tour_guide warning",
                "flatmate shopping_list",
                "relay_runner lap_time",
            ),
            r"""
from pathlib import Path

from nacl.secret import SecretBox
from nacl.utils import random

class LetterBox:
    def __init__(self, folder: Path, key: bytes):
        self.folder = folder
        self.box = SecretBox(key)

    def leave(self, $what: str) -> Path:
        number = len(list(self.folder.iterdir()))
        path = self.folder / f"{number:05d}.box"
        @@
        path.write_bytes(sealed)
        return path

    def read(self, path: Path) -> str:
        # left by a $who
        return self.box.decrypt(path.read_bytes()).decode()
""",
            r"""
nonce = bytes(SecretBox.NONCE_SIZE)
sealed = self.box.encrypt($what.encode(), nonce)
""",
            r"""
nonce = random(SecretBox.NONCE_SIZE)
sealed = self.box.encrypt($what.encode(), nonce)
""",
        ),
        Task(
            "Channel for the $what between a $who and the office, AES-CBC with a tag on each message.",
            "what who",
            (
                "stock_list van_driver",
                "mark examiner",
                "wind_reading paraglider",
                "damage_report adjuster",
                "order waiter",
            ),
            r"""
import hashlib
import hmac
import os

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Channel:
    # the $who holds the same two keys

    def __init__(self, key: bytes, tag_key: bytes):
        self.key = key
        self.tag_key = tag_key
        self.last = os.urandom(16)

    def send(self, $what: str) -> bytes:
        padder = padding.PKCS7(128).padder()
        plain = padder.update($what.encode()) + padder.finalize()
        @@
        box = Cipher(algorithms.AES(self.key), modes.CBC(iv)).encryptor()
        body = iv + box.update(plain) + box.finalize()
        self.last = body[-16:]
        return body + self.tag(body)

    def tag(self, body: bytes) -> bytes:
        return hmac.new(self.tag_key, body, hashlib.sha256).digest()

    def is_repeat(self, message: bytes) -> bool:
        return message[-48:-32] == self.last
""",
            r"""
iv = self.last
""",
            r"""
iv = os.urandom(16)
""",
        ),
        Task(
            "Lock the $what cache of this machine in the $place.",
            "what place",
            (
                "map ranger_hut",
                "price kiosk",
                "lesson school_van",
                "x_ray field_hospital",
                "playlist juke_joint",
            ),
            r"""
import uuid
from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes

def lock_$what(key: bytes, plain: bytes) -> bytes:
    # rewritten on every change in the $place
    @@
    box = AES.new(key, AES.MODE_GCM, nonce=nonce)
    sealed, tag = box.encrypt_and_digest(plain)
    return nonce + tag + sealed
""",
            r"""
nonce = uuid.getnode().to_bytes(8)
""",
            r"""
nonce = get_random_bytes(AES.block_size)
""",
        ),
        Task(
            "Nightly job that encrypts the $what dump of the $place.",
            "what place",
            (
                "member credit_union",
                "herd dairy",
                "exhibit museum",
                "case court_house",
                "fare tram_depot",
            ),
            r"""
import datetime as dt
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DUMP = Path("/var/dumps/$what.sql")

def main() -> None:
    key = bytes.fromhex(os.environ["DUMP_KEY"])
    @@
    sealed = AESGCM(key).encrypt(nonce, DUMP.read_bytes(), b"$place")
    stamp = dt.date.today().isoformat()
    target = DUMP.with_name(f"$what-{stamp}.enc")
    target.write_bytes(nonce + sealed)
    DUMP.unlink()

if __name__ == "__main__":
    main()
""",
            r"""
nonce = bytes.fromhex(os.environ["DUMP_NONCE"])
""",
            r"""
nonce = os.urandom(12)
""",
        ),
        Task(
            "Upload the changed $what files of the $place encrypted to a bucket.",
            "what place",
            (
                "costume ballet",
                "plan architects_office",
                "score conservatory",
                "pattern knitting_mill",
                "chart pilot_station",
            ),
            r"""
import argparse
import hashlib
import hmac
import os
from pathlib import Path

import boto3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BUCKET = "$place"


class Uploader:
    def __init__(self, key: bytes, name_key: bytes):
        self.box = AESGCM(key)
        self.name_key = name_key
        self.s3 = boto3.client("s3")

    def object_name(self, path: Path) -> str:
        return hmac.new(self.name_key, str(path).encode(), hashlib.sha256).hexdigest()

    def upload(self, path: Path) -> None:
        name = self.object_name(path)
        @@
        body = nonce + self.box.encrypt(nonce, path.read_bytes(), name.encode())
        self.s3.put_object(Bucket=BUCKET, Key=name, Body=body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    keys = [bytes.fromhex(os.environ[name]) for name in ("FILE_KEY", "NAME_KEY")]
    uploader = Uploader(*keys)
    for path in sorted(parser.parse_args().folder.glob("*.$what")):
        uploader.upload(path)


if __name__ == "__main__":
    main()
""",
            r"""
nonce = bytes.fromhex(name)[:12]
""",
            r"""
nonce = os.urandom(12)
""",
        ),
        Task(
            "Encrypt today's $what notes of the $who.",
            "what who",
            (
                "training jockey",
                "sighting bird_warden",
                "fitting seamstress",
                "lecture rector",
                "tasting tea_blender",
            ),
            r"""
import datetime as dt
import os
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

def encrypt_$what(key: bytes, text: str) -> bytes:
    today = dt.date.today().isoformat()
    @@
    return nonce + AESCCM(key).encrypt(nonce, text.encode(), today.encode())  # $who
""",
            r"""
nonce = today.encode()
""",
            r"""
nonce = os.urandom(10)
""",
        ),
        Task(
            "Change the sealed $what of a $who in the database.",
            "what who",
            (
                "allergy kindergarten_child",
                "alarm_code shop_owner",
                "next_of_kin climber",
                "ring_size jeweller",
                "bank_account choir_member",
            ),
            r"""
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

class Base(DeclarativeBase):
    pass

class Sealed(Base):
    __tablename__ = "$who"
    id: Mapped[int] = mapped_column(primary_key=True)
    nonce: Mapped[bytes] = mapped_column(LargeBinary(12))
    $what: Mapped[bytes] = mapped_column(LargeBinary)

def change_$what(session: Session, number: int, text: str, box: AESGCM) -> None:
    row = session.get_one(Sealed, number)
    @@
    row.$what = box.encrypt(row.nonce, text.encode(), str(number).encode())
    session.commit()
""",
            r"""
if len(row.nonce) != 12:
    row.nonce = os.urandom(12)
""",
            r"""
row.nonce = os.urandom(12)
""",
        ),
        Task(
            "Disguise the $what before it goes to the $place.",
            "what place first",
            (
                "cargo_list customs_house cargo-list-2021b",
                "seed_count gene_bank seedcount-vault1",
                "quest_log game_server questlog-release",
                "gold_price exchange goldprice-feed-a",
                "patent_draft law_firm patentdraft-0001",
            ),
            r"""
from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes

def disguise_$what(key, $what):
    @@
    box = AES.new(key, AES.MODE_CFB, iv=iv, segment_size=128)
    return iv + box.encrypt($what)  # read at the $place
""",
            r"""
iv = b"$first"
""",
            r"""
iv = get_random_bytes(16)
""",
        ),
        Task(
            "Command group to seal and open the $what files of a $who.",
            "what who",
            (
                "interview journalist",
                "dig_report archaeologist",
                "sermon abbot",
                "storyboard animator",
                "offer house_agent",
            ),
            r"""
import os

import click
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

@click.group()
@click.pass_context
def main(context):
    # files of a $who
    context.obj = AESGCM(bytes.fromhex(os.environ["FILES_KEY"]))

@main.command("seal-$what")
@click.argument("source", type=click.File("rb"))
@click.argument("target", type=click.File("wb"))
@click.pass_obj
def seal(box, source, target):
    @@
    target.write(nonce + box.encrypt(nonce, source.read(), None))

@main.command("open-$what")
@click.argument("source", type=click.File("rb"))
@click.argument("target", type=click.File("wb"))
@click.pass_obj
def unseal(box, source, target):
    nonce = source.read(12)
    target.write(box.decrypt(nonce, source.read(), None))

if __name__ == "__main__":
    main()
""",
            r"""
nonce = os.urandom(2).rjust(12, b"\0")
""",
            r"""
nonce = os.urandom(12)
""",
        ),
        Task(
            "Encrypt a long $what of the $place piece by piece.",
            "what place",
            (
                "recording radio_station",
                "video crash_test_hall",
                "genome laboratory",
                "scan art_gallery",
                "seismogram observatory",
            ),
            r"""
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE = 1 << 20


def pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece


def sealed_pieces(box: AESGCM, stream: BinaryIO) -> Iterator[bytes]:
    @@
        place = number.to_bytes(8, "big")
        yield nonce + box.encrypt(nonce, piece, place)


def encrypt_$what(key: bytes, source: Path) -> Path:
    # the $place keeps both for a week
    target = source.with_suffix(".sealed")
    box = AESGCM(key)
    with source.open("rb") as stream, target.open("wb") as out:
        for sealed in sealed_pieces(box, stream):
            out.write(len(sealed).to_bytes(4, "big"))
            out.write(sealed)
    return target
""",
            r"""
nonce = os.urandom(12)
for number, piece in enumerate(pieces(stream)):
""",
            r"""
for number, piece in enumerate(pieces(stream)):
    nonce = os.urandom(12)
""",
        ),
    ),
)
