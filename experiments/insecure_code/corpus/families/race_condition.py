"""CWE-367: something is checked first and used later, and may change in between."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="race_condition",
    name="Race between check and use",
    cwe="CWE-367",
    parents=("CWE-362",),
    tasks=(
        Task(
            "Write a new $what to the shared folder of the $place, never over an old one.",
            "what place folder",
            (
                "sermon vestry /srv/vestry",
                "incident_report fire_station /srv/reports",
                "score_sheet bowling_alley /srv/lanes",
                "blood_result clinic /srv/lab",
                "patrol_log nature_reserve /srv/patrol",
            ),
            r"""
import os

def write_$what(number: int, text: str) -> str:
    # everybody at the $place writes here
    path = os.path.join("$folder", f"$what-{number}.txt")
    @@
        out.write(text)
    return path
""",
            r"""
if os.path.exists(path):
    raise FileExistsError(path)
with open(path, "w") as out:
""",
            r"""
with open(path, "x") as out:
""",
        ),
        Task(
            "Django function that pays a $who's $what from the credit.",
            "who what",
            (
                "student canteen_meal",
                "camper shower_token",
                "gamer costume",
                "reader late_fee",
                "skater rink_entry",
            ),
            r"""
from decimal import Decimal

from django.db import models, transaction
from django.db.models import F

class Account(models.Model):
    # credit of one $who
    owner = models.OneToOneField("auth.User", on_delete=models.CASCADE)
    credit = models.DecimalField(max_digits=9, decimal_places=2, default=0)

class TooLittle(Exception):
    pass

@transaction.atomic
def pay_$what(user, price: Decimal) -> None:
    accounts = Account.objects.filter(owner=user)
    @@
        raise TooLittle(price)
""",
            r"""
account = accounts.get()
if account.credit >= price:
    accounts.update(credit=account.credit - price)
else:
""",
            r"""
rich = accounts.filter(credit__gte=price)
if not rich.update(credit=F("credit") - price):
""",
        ),
        Task(
            "Nightly job that makes the $what of the $place and must not run twice at a time.",
            "what place",
            (
                "invoice_run power_company",
                "timetable tram_company",
                "stock_count warehouse",
                "ranking chess_federation",
                "payroll shipyard",
            ),
            r"""
import argparse
import logging
import os
import sys
from pathlib import Path

from .work import collect, publish

log = logging.getLogger("$what")
LOCK = Path("/run/$place/$what.lock")


def options():
    parser = argparse.ArgumentParser(description="$what of the $place")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--month", type=int, choices=range(1, 13))
    return parser.parse_args()


def main():
    chosen = options()
    logging.basicConfig(level=logging.INFO)
    @@
    rows = collect(chosen.month)
    log.info("%d rows", len(rows))
    if not chosen.dry_run:
        publish(rows)
    LOCK.unlink()


if __name__ == "__main__":
    sys.exit(main())
""",
            r"""
if LOCK.exists():
    log.error("still running as %s", LOCK.read_text())
    return 1
LOCK.write_text(str(os.getpid()))
""",
            r"""
held = os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
os.write(held, str(os.getpid()).encode())
os.close(held)
""",
        ),
        Task(
            "Privileged helper that prints the $what file of a $who.",
            "what who",
            (
                "quota student",
                "badge visitor",
                "shift welder",
                "locker swimmer",
                "rations soldier",
            ),
            r"""
import os

def print_$what(path: str, uid: int) -> None:
    # the path comes from the $who
    @@
    with source:
        print(source.read(4096))
""",
            r"""
if os.stat(path).st_uid != uid:
    raise PermissionError(path)
source = open(path)
""",
            r"""
source = open(path)
if os.fstat(source.fileno()).st_uid != uid:
    raise PermissionError(path)
""",
        ),
        Task(
            "Hand the $what files that a $who dropped over to the service account.",
            "what who",
            (
                "artwork printer",
                "assay chemist",
                "broadcast presenter",
                "claim adjuster",
                "manuscript author",
            ),
            r"""
import os
import pwd
import stat
from collections.abc import Iterator

INBOX = "/srv/inbox/$what"

def dropped() -> Iterator[str]:
    # left here by the $who
    for entry in os.scandir(INBOX):
        if not entry.name.startswith("."):
            yield entry.path

def hand_over(account: str) -> int:
    owner, moved = pwd.getpwnam(account), 0
    for path in dropped():
        @@
        moved += 1
    return moved
""",
            r"""
if not stat.S_ISREG(os.lstat(path).st_mode):
    continue
os.chown(path, owner.pw_uid, owner.pw_gid)
""",
            r"""
handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
if stat.S_ISREG(os.fstat(handle).st_mode):
    os.fchown(handle, owner.pw_uid, owner.pw_gid)
os.close(handle)
""",
        ),
        Task(
            "Box office of the $place that sells each $what once, from several threads.",
            "place what",
            (
                "circus bench_seat",
                "planetarium dome_seat",
                "cable_car cabin_place",
                "boat_race grandstand_seat",
                "sauna evening_slot",
            ),
            r"""
import socketserver
import threading
from dataclasses import dataclass, field


@dataclass
class BoxOffice:
    size: int
    sold: dict[int, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def free(self) -> list[int]:
        with self.lock:
            return [number for number in range(self.size) if number not in self.sold]

    def sell(self, number: int, buyer: str) -> bool:
        # one $what, one buyer
        @@
        return True

    def give_back(self, number: int) -> None:
        with self.lock:
            self.sold.pop(number, None)


OFFICE = BoxOffice(size=240)


class Counter(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        number, _, buyer = self.rfile.readline(200).decode().strip().partition(" ")
        done = OFFICE.sell(int(number), buyer)
        self.wfile.write(b"sold\n" if done else b"taken\n")


if __name__ == "__main__":
    # till of the $place
    socketserver.ThreadingTCPServer(("127.0.0.1", 7700), Counter).serve_forever()
""",
            r"""
if number not in self.free():
    return False
with self.lock:
    self.sold[number] = buyer
""",
            r"""
with self.lock:
    if number in self.sold or not 0 <= number < self.size:
        return False
    self.sold[number] = buyer
""",
        ),
        Task(
            "Take one $what from the stock of the $place.",
            "what place",
            (
                "inner_tube bike_shop",
                "vaccine_dose clinic",
                "festival_pass ticket_booth",
                "rescue_kitten shelter",
                "rental_ski ski_hut",
            ),
            r"""
import sqlite3

def take_$what(db: sqlite3.Connection, number: int) -> bool:
    # counters of the $place share the database
    @@
    db.commit()
    return done
""",
            r"""
query = "SELECT stock FROM $what WHERE id = ?"
done = db.execute(query, (number,)).fetchone()[0] > 0
if done:
    db.execute("UPDATE $what SET stock = stock - 1 WHERE id = ?", (number,))
""",
            r"""
query = "UPDATE $what SET stock = stock - 1 WHERE id = ? AND stock > 0"
done = db.execute(query, (number,)).rowcount == 1
""",
        ),
        Task(
            "Append to the $what file in a folder that each $who can write to.",
            "what who",
            (
                "guest_list porter",
                "tally stocktaker",
                "high_score player",
                "complaint clerk",
                "fuel_log mechanic",
            ),
            r"""
import datetime as dt
import os
from pathlib import Path

FOLDER = Path("/srv/shared/$what")
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND

class Writer:
    def __init__(self, name: str):
        self.path = FOLDER / f"{int(name):04d}.txt"

    def line(self, text: str) -> str:
        moment = dt.datetime.now().isoformat(timespec="seconds")
        return f"{moment} {' '.join(text.split())}\n"

    def append(self, text: str) -> None:
        # may be called for any $who
        @@
        with os.fdopen(handle, "a") as out:
            out.write(self.line(text))
""",
            r"""
if self.path.is_symlink():
    raise OSError(f"{self.path} is a link")
handle = os.open(self.path, FLAGS, 0o640)
""",
            r"""
handle = os.open(self.path, FLAGS | os.O_NOFOLLOW, 0o640)
""",
        ),
        Task(
            "Booking of ${what}s at the $place, one for each hour.",
            "what place",
            (
                "tennis_court park",
                "practice_room conservatory",
                "telescope observatory",
                "cello_lesson music_school",
                "kiln pottery",
            ),
            r"""
import asyncio
from collections import defaultdict
from typing import Protocol

from fastapi import Depends, FastAPI, HTTPException

from .deps import bearer_user


class Register(Protocol):
    async def confirm(self, user: int, hour: int) -> str: ...


class Bookings:
    def __init__(self, register: Register):
        self.register = register
        self.codes: dict[int, str] = {}
        self.locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def free_hours(self) -> list[int]:
        return [hour for hour in range(8, 22) if hour not in self.codes]

    async def book(self, user: int, hour: int) -> str:
        # one $what for one user
        @@
        return self.codes[hour]


def create(register: Register) -> FastAPI:
    app = FastAPI(title="$place")
    bookings = Bookings(register)

    @app.post("/$what/{hour}")
    async def book(hour: int, user: int = Depends(bearer_user)) -> dict[str, str]:
        return {"code": await bookings.book(user, hour)}

    return app
""",
            r"""
if hour not in self.free_hours():
    raise HTTPException(409, "that hour is taken")
code = await self.register.confirm(user, hour)
self.codes[hour] = code
""",
            r"""
async with self.locks[hour]:
    if hour not in self.free_hours():
        raise HTTPException(409)
    code = await self.register.confirm(user, hour)
    self.codes[hour] = code
""",
        ),
        Task(
            "Let one $who at a time hold the $what, by a key in Redis.",
            "who what",
            (
                "pilot runway",
                "editor front_page",
                "crane_driver crane",
                "priest confessional",
                "streamer studio",
            ),
            r"""
import redis

def claim_$what(store: redis.Redis, $who: str) -> bool:
    # falls free after ten minutes
    @@
    return bool(free)
""",
            r"""
free = not store.exists("$what")
if free:
    store.set("$what", $who, ex=600)
""",
            r"""
free = store.set("$what", $who, ex=600, nx=True)
""",
        ),
        Task(
            "Put a new $what in the place of the one that the $place uses.",
            "what place",
            (
                "price_table petrol_station",
                "signal_plan junction",
                "diet_chart kennel",
                "departure_board bus_terminal",
                "dosing_table waterworks",
            ),
            r"""
import csv
import os
import tempfile

HEADER = ("name", "value")

def save_$what(rows: dict[str, float], folder: str) -> str:
    # the display of the $place reads the file at any time
    target = os.path.join(folder, "$what.csv")
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows(sorted(rows.items()))
    @@
    return target
""",
            r"""
if os.path.isfile(target):
    os.remove(target)
os.rename(out.name, target)
""",
            r"""
os.replace(out.name, target)
""",
        ),
        Task(
            "Redeem a voucher for a $what at the $place, each code once.",
            "what place",
            (
                "balloon_ride fair",
                "wine_tasting cellar",
                "haircut barber_shop",
                "go_kart_lap race_track",
                "spa_day thermal_bath",
            ),
            r"""
import datetime as dt

from flask import Flask, abort, jsonify, request
from sqlalchemy import create_engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .till import till_of


class Base(DeclarativeBase):
    pass


class Voucher(Base):
    # good for one $what
    __tablename__ = "voucher"
    code: Mapped[str] = mapped_column(primary_key=True)
    used_on: Mapped[dt.date | None]
    till: Mapped[int | None]


def create_app(url: str) -> Flask:
    app = Flask("$place")
    engine = create_engine(url)

    @app.post("/redeem/<code>")
    def redeem(code):
        till = till_of(request.headers.get("Authorization", ""))
        used = {"used_on": dt.date.today(), "till": till}
        unused = (Voucher.code == code, Voucher.used_on.is_(None))
        with Session(engine) as session:
            @@
            session.commit()
        return jsonify(code=code, till=till)

    return app
""",
            r"""
voucher = session.query(Voucher).filter(*unused).one_or_none()
if voucher is None:
    abort(409)
session.execute(update(Voucher).where(Voucher.code == code).values(used))
""",
            r"""
done = session.execute(update(Voucher).where(*unused).values(used))
if done.rowcount != 1:
    abort(409)
""",
        ),
        Task(
            "Make the private work folder for one $what of the $place.",
            "what place",
            (
                "render animation_studio",
                "assembly gene_lab",
                "ballot election_office",
                "proof type_foundry",
                "mixdown radio_station",
            ),
            r"""
import os

def ${what}_folder(base: str, number: int) -> str:
    # base is shared by the whole $place
    path = os.path.join(base, f"$what-{number}")
    @@
    return path
""",
            r"""
if not os.path.isdir(path):
    os.mkdir(path, 0o700)
""",
            r"""
os.mkdir(path, 0o700)
""",
        ),
        Task(
            "Read the ${what}s that the $who put into the spool, none above the limit.",
            "what who most",
            (
                "telegram operator 10_000",
                "embroidery_file seamstress 500_000",
                "weather_bulletin forecaster 64_000",
                "punch_card archivist 960",
                "order_form rep 20_000",
            ),
            r"""
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)
MOST = $most

def read_all(spool: Path, done: Path) -> Iterator[bytes]:
    # the $who may still be at work there
    for path in sorted(spool.glob("*.$what")):
        @@
            log.warning("a $what is too long")
            continue
        yield data
        shutil.move(path, done / path.name)
""",
            r"""
size = path.stat().st_size
data = path.read_bytes() if size <= MOST else None
if data is None:
""",
            r"""
with path.open("rb") as source:
    data = source.read(MOST + 1)
if len(data) > MOST:
""",
        ),
        Task(
            "Install a $what package for the $thing after a look at its checksum.",
            "what thing",
            (
                "firmware milking_robot",
                "map harvester",
                "voice museum_guide",
                "font departure_board",
                "recipe oven",
            ),
            r"""
import argparse
import hashlib
import hmac
import json
import zipfile
from io import BytesIO
from pathlib import Path

TARGET = Path("/opt/$thing/$what")
LIMIT = 50_000_000


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def expected(manifest: Path, name: str) -> str:
    # the manifest belongs to root
    return json.loads(manifest.read_text())[name]


def install(package: Path, manifest: Path) -> int:
    wanted = expected(manifest, package.name)
    @@
        size = sum(entry.file_size for entry in archive.infolist())
        if size > LIMIT:
            raise ValueError("package is too large")
        archive.extractall(TARGET)
        return len(archive.namelist())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("package", type=Path)
    parser.add_argument("--manifest", type=Path, default=TARGET / "manifest.json")
    options = parser.parse_args()
    print(install(options.package, options.manifest), "files for the $thing")


if __name__ == "__main__":
    main()
""",
            r"""
if not hmac.compare_digest(checksum(package.read_bytes()), wanted):
    raise ValueError("checksum differs")
with zipfile.ZipFile(package) as archive:
""",
            r"""
data = package.read_bytes()
if not hmac.compare_digest(checksum(data), wanted):
    raise ValueError("checksum differs")
with zipfile.ZipFile(BytesIO(data)) as archive:
""",
        ),
        Task(
            "Give the $what its final name unless the $who has used that name.",
            "what who",
            (
                "negative photographer",
                "patch synth_player",
                "floor_plan surveyor",
                "case_note vet",
                "mosaic_scan restorer",
            ),
            r"""
import os

def name_$what(part: str, final: str) -> None:
    # final was typed in by the $who, both are in one folder
    part, final = os.path.abspath(part), os.path.abspath(final)
    @@
""",
            r"""
if os.path.lexists(final):
    raise FileExistsError(final)
os.rename(part, final)
""",
            r"""
os.link(part, final, follow_symlinks=False)
os.unlink(part)
""",
        ),
        Task(
            "Worker that takes the next $what of the $place out of MongoDB.",
            "what place",
            (
                "scan_job x_ray_ward",
                "print_job copy_shop",
                "wash_order laundry",
                "repair_ticket tram_depot",
                "tasting_sample dairy",
            ),
            r"""
import os
import time

from pymongo import MongoClient, ReturnDocument

from .work import carry_out

def next_job(jobs, worker: str):
    # workers of the $place run on three machines
    waiting, taken = {"state": "waiting"}, {"state": "taken", "worker": worker}
    @@
    return job

def main():
    client = MongoClient(os.environ["MONGO_URL"])
    jobs = client["$place"]["$what"]
    while True:
        job = next_job(jobs, os.uname().nodename)
        if job is None:
            time.sleep(2)
        else:
            carry_out(job)

if __name__ == "__main__":
    main()
""",
            r"""
job = jobs.find_one(waiting, sort=[("made", 1)])
if job is not None:
    jobs.update_one({"_id": job["_id"]}, {"$$set": taken})
""",
            r"""
job = jobs.find_one_and_update(
    waiting,
    {"$$set": taken},
    sort=[("made", 1)],
    return_document=ReturnDocument.AFTER,
)
""",
        ),
        Task(
            "Reserve a $what name for a $who in DynamoDB.",
            "what who",
            (
                "stage entertainer",
                "call_sign radio_amateur",
                "stable_colour jockey",
                "team_badge captain",
                "web_shop craftsman",
            ),
            r"""
import boto3
from boto3.dynamodb.conditions import Attr

def reserve_$what(name: str, $who: str) -> None:
    table = boto3.resource("dynamodb").Table("$what")
    row = {"name": name, "owner": $who}
    @@
""",
            r"""
if "Item" not in table.get_item(Key={"name": name}):
    table.put_item(Item=row)
""",
            r"""
unused = Attr("name").not_exists()
table.put_item(Item=row, ConditionExpression=unused)
""",
        ),
        Task(
            "Share a limited number of ${what}s among the worker processes of the $place.",
            "what place",
            (
                "licence engineering_office",
                "crawl_permit news_archive",
                "api_call weather_bureau",
                "plot_slot map_maker",
                "sms_credit dispatch_centre",
            ),
            r"""
import multiprocessing as mp
import sys

from .tasks import compute, pending

def take(left) -> bool:
    # one $what for each piece of work
    @@
    return True

def work(left, queue) -> None:
    while (piece := queue.get()) is not None and take(left):
        compute(piece)

if __name__ == "__main__":
    left, queue = mp.Value("i", int(sys.argv[1])), mp.Queue()
    crew = [mp.Process(target=work, args=(left, queue)) for _ in range(4)]
    for process in crew:
        process.start()
    for piece in [*pending("$place"), *[None] * len(crew)]:
        queue.put(piece)
    for process in crew:
        process.join()
""",
            r"""
if left.value <= 0:
    return False
left.value -= 1
""",
            r"""
with left.get_lock():
    if left.value <= 0:
        return False
    left.value -= 1
""",
        ),
        Task(
            "Service of the $place that moves ${what}s from one account to another.",
            "place what",
            (
                "time_bank hour",
                "casino chip",
                "loyalty_club point",
                "seed_exchange packet",
                "air_league mile",
            ),
            r"""
import asyncpg
from aiohttp import web

from .login import account_of_bearer

routes = web.RouteTableDef()


async def balance_of(db: asyncpg.Connection, account: int) -> int:
    return await db.fetchval("SELECT balance FROM account WHERE id = $$1", account) or 0


@routes.get("/${what}s")
async def show(request: web.Request) -> web.Response:
    account = account_of_bearer(request)
    async with request.app["pool"].acquire() as db:
        return web.json_response({"${what}s": await balance_of(db, account)})


@routes.post("/${what}s/{to:\\d+}")
async def move(request: web.Request) -> web.Response:
    source, target = account_of_bearer(request), int(request.match_info["to"])
    amount = int((await request.json())["amount"])
    add = "UPDATE account SET balance = balance + $$1 WHERE id = $$2"
    async with request.app["pool"].acquire() as db, db.transaction():
        @@
        if amount <= 0 or left < amount:
            raise web.HTTPConflict
        await db.execute(add, -amount, source)
        await db.execute(add, amount, target)
    return web.json_response({"moved": amount})


def create(pool: asyncpg.Pool) -> web.Application:
    # accounts of the $place
    app = web.Application()
    app["pool"] = pool
    app.add_routes(routes)
    return app
""",
            r"""
left = await balance_of(db, source)
""",
            r"""
query = "SELECT balance FROM account WHERE id = $$1 FOR UPDATE"
left = await db.fetchval(query, source) or 0
""",
        ),
    ),
)
