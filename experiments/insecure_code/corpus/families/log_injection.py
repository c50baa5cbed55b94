"""CWE-117: outside text with line ends in logs that are kept as plain lines."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="log_injection",
    name="Log injection",
    cwe="CWE-117",
    parents=("CWE-116",),
    tasks=(
        Task(
            "Log that a $who asked for a $what that is not there.",
            "who what",
            (
                "visitor painting",
                "sailor tide_table",
                "cook recipe",
                "pupil worksheet",
                "organist hymn",
            ),
            r"""
import logging

log = logging.getLogger("${what}s")

def find_$what(shelf: dict, name: str):
    # name is what the $who typed
    if name not in shelf:
        @@
        return None
    return shelf[name]
""",
            r"""
log.warning(f"no $what called {name}")
""",
            r"""
shown = name[:80]
log.warning("no $what called %r", shown)
""",
        ),
        Task(
            "Flask route for a $who that writes every change of a $what into an audit file.",
            "who what file",
            (
                "beekeeper hive hives.log",
                "stationmaster platform platforms.log",
                "landlady room rooms.log",
                "choirmaster seat seats.log",
                "vintner barrel barrels.log",
            ),
            r"""
import json
from datetime import datetime, timezone

from flask import Flask, request, session

app = Flask(__name__)
AUDIT = "/var/log/audit/$file"

@app.put("/$what/<int:number>")
def change(number):
    note = request.get_json()["note"]
    now = datetime.now(timezone.utc).isoformat()
    @@
    with open(AUDIT, "a", encoding="utf-8") as audit:
        audit.write(line + "\n")
    return {"$what": number}
""",
            r"""
who = session.get("$who", "nobody")
line = " ".join([now, who, f"$what={number}", "note:", note])
""",
            r"""
entry = {"at": now, "$who": session.get("$who", "nobody")}
entry.update($what=number, note=note)
line = json.dumps(entry)
""",
        ),
        Task(
            "Audit trail of the $place: one line for each time a $what changes hands.",
            "place what verb column",
            (
                "evidence_room sample released officer",
                "instrument_hire cello lent player",
                "pharmacy prescription handed_out patient",
                "wardrobe costume fitted actor",
                "seed_vault packet withdrawn institute",
            ),
            r"""
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

@dataclass(frozen=True)
class Event:
    moment: float
    number: int
    $column: str

    def as_line(self) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.moment))
        @@

class Trail:
    '''Lines are only ever added, and read back in order.'''

    def __init__(self, path: str = "/var/lib/$place/trail.log") -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, number: int, $column: str) -> None:
        event = Event(time.time(), number, $column)
        with self._lock, open(self._path, "a", encoding="utf-8") as trail:
            trail.write(event.as_line() + "\n")
            trail.flush()
            os.fsync(trail.fileno())

    def lines(self) -> Iterator[str]:
        with open(self._path, encoding="utf-8") as trail:
            for line in trail:
                yield line.rstrip("\n")

    def last(self) -> str | None:
        return max(self.lines(), default=None)
""",
            r"""
name = self.$column.strip()
if not name:
    name = "-"
return f"{when} $verb $what {self.number} to {name}"
""",
            r"""
name = " ".join(self.$column.split()) or "-"
return f"{when} $verb $what {self.number} to {name}"
""",
        ),
        Task(
            "Put a message about a $what into the system log.",
            "what ident level",
            (
                "turnstile gatekeeper LOG_NOTICE",
                "kiln studio LOG_WARNING",
                "ski_lift slopes LOG_ERR",
                "sprinkler greenhouse LOG_INFO",
                "drawbridge canal LOG_NOTICE",
            ),
            r"""
import syslog

def report_$what(name: str, text: str) -> None:
    syslog.openlog("$ident")
    @@
    syslog.syslog(syslog.$level, line)
    syslog.closelog()
""",
            r"""
text = text.strip() or "no text"
line = "$what %s: %s" % (name, text)
""",
            r"""
line = "$what %r: %r" % (name, text)
""",
        ),
        Task(
            "FastAPI middleware that keeps a plain line for each call to the $what service.",
            "what route header",
            (
                "tide /tides user-agent",
                "ferry /ferries referer",
                "pollen /pollen user-agent",
                "auction /lots referer",
                "jigsaw /puzzles user-agent",
            ),
            r"""
import logging
import time
from urllib.parse import unquote_plus

from fastapi import FastAPI, Request

app = FastAPI()
calls = logging.getLogger("$what.calls")

@app.middleware("http")
async def keep(request: Request, call_next):
    begun = time.perf_counter()
    response = await call_next(request)
    spent = time.perf_counter() - begun
    query = unquote_plus(request.url.query)
    @@
    return response

@app.get("$route")
async def index(q: str = ""):
    return {"$what": q.lower()}
""",
            r"""
path = request.url.path
agent = request.headers.get("$header", "-")
calls.info("%s?%s %d %.3f %s", path, query, response.status_code, spent, agent)
""",
            r"""
shown = repr(f"{request.url.path}?{query}")
agent = repr(request.headers.get("$header"))
calls.info("%s %d %.3f %s", shown, response.status_code, spent, agent)
""",
        ),
        Task(
            "Logging set-up of the $app, with its own formatter and a file that is rotated.",
            "app unit folder",
            (
                "brewery_monitor tank /var/log/brewery",
                "ticket_machine stop /var/log/tickets",
                "dialysis_planner ward /var/log/dialysis",
                "choir_portal voice /var/log/choir",
                "snow_plough_tracker route /var/log/plough",
            ),
            r"""
import logging
import logging.handlers
import os

FOLDER = "$folder"

class Lines(logging.Formatter):
    '''One line for each record; texts of visitors may be among the arguments.'''

    default_time_format = "%d.%m.%Y %H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        @@

def set_up(level: str = "INFO") -> logging.Logger:
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, "$app.log")
    file = logging.handlers.RotatingFileHandler(
        path, maxBytes=2_000_000, backupCount=5, encoding="utf-8"
    )
    file.setFormatter(Lines())
    logger = logging.getLogger("$app")
    logger.setLevel(level)
    logger.addHandler(file)
    return logger

def refused(logger: logging.Logger, $unit: str, name: str) -> None:
    logger.warning("%s may not change $unit %s", name, $unit)
""",
            r"""
place = f"{record.name}:{record.lineno}"
level = record.levelname.lower().ljust(8)
return f"{self.formatTime(record)} {level} {place} {message.strip()}"
""",
            r"""
level = record.levelname.lower().ljust(8)
message = message.replace("\r", "\\r").replace("\n", "\\n")
return f"{self.formatTime(record)} {level} {record.name}:{record.lineno} {message}"
""",
        ),
        Task(
            "Count wrong answers in a $game and keep them in a log.",
            "game who",
            (
                "quiz contestant",
                "crossword solver",
                "spelling_bee speller",
                "riddle_hunt team",
                "geography_duel player",
            ),
            r"""
import sys

def wrong(counts: dict, $who: str, answer: str, out=sys.stderr) -> int:
    counts[$who] = counts.get($who, 0) + 1
    @@
    return counts[$who]
""",
            r"""
print(f"$game: {$who} said {answer.strip()} ({counts[$who]})", file=out)
""",
            r"""
print(f"$game: {$who!r} said {answer!r} ({counts[$who]})", file=out)
""",
        ),
        Task(
            "Decide which tablet may show the $what board, and log from where it was asked.",
            "what place net",
            (
                "surgery hospital 10.20.0.0/16",
                "departure airport 10.31.0.0/16",
                "rehearsal opera 10.44.0.0/16",
                "milking dairy 10.52.0.0/16",
                "judging dog_show 10.63.0.0/16",
            ),
            r"""
import ipaddress
import logging

from aiohttp import web

log = logging.getLogger("$place")
INSIDE = ipaddress.ip_network("$net")

async def board(request: web.Request) -> web.Response:
    asked = await request.post()
    tablet = asked.get("tablet", "")
    allowed = ipaddress.ip_address(request.remote) in INSIDE
    @@
    if not allowed:
        raise web.HTTPForbidden()
    return web.json_response({"board": "$what"})

app = web.Application()
app.router.add_post("/$what", board)
""",
            r"""
decision = "allowed" if allowed else "refused"
log.info("tablet %s at %s: %s", tablet, request.remote, decision)
""",
            r"""
tablet = repr(tablet)
log.info("tablet %s at %s: %s", tablet, request.remote, allowed)
""",
        ),
        Task(
            "Chat server of a $place that keeps a plain transcript of every room.",
            "place who folder",
            (
                "language_school learner /var/chats/school",
                "farm_co_op grower /var/chats/farm",
                "radio_amateur_club operator /var/chats/radio",
                "patchwork_guild quilter /var/chats/quilts",
                "model_railway_club builder /var/chats/trains",
            ),
            r"""
import asyncio
import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import websockets

FOLDER = Path("$folder")
ROOMS = ("hall", "help", "market")
present = defaultdict(set)

def transcribe(room, $who, text):
    now = datetime.now().strftime("%H:%M")
    with (FOLDER / f"{room}.log").open("a", encoding="utf-8") as log:
        @@

async def talk(socket):
    hello = json.loads(await socket.recv())
    room, $who = hello["room"], hello["$who"]
    if room not in ROOMS:
        await socket.close(1008, "no such room")
        return
    present[room].add(socket)
    try:
        async for raw in socket:
            text = json.loads(raw)["text"]
            transcribe(room, $who, text)
            websockets.broadcast(present[room], json.dumps({"$who": $who, "text": text}))
    finally:
        present[room].discard(socket)

async def main():
    async with websockets.serve(talk, "localhost", 8766):
        await asyncio.Future()

asyncio.run(main())
""",
            r"""
said = text.strip()
if said:
    log.write("[" + now + "] " + $who + ": " + said + "\n")
""",
            r"""
said = " ".join(text.split())
if said:
    log.write(f"[{now}] {' '.join($who.split())}: {said}\n")
""",
        ),
        Task(
            "Tab-separated log line for a sold $what.",
            "what unit",
            (
                "bouquet stems",
                "firewood_load logs",
                "raffle_ticket tickets",
                "rope metres",
                "antique pieces",
            ),
            r"""
import time

def sale_line(buyer: str, remark: str, $unit: int) -> str:
    @@
    return "\t".join(cells) + "\n"
""",
            r"""
cells = [str(int(time.time())), "$what", str($unit)]
cells += [text.strip() for text in (buyer, remark)]
""",
            r"""
cells = [str(int(time.time())), "$what", str($unit)]
for text in (buyer, remark):
    cells.append(text.encode("unicode_escape").decode())
""",
        ),
        Task(
            "Django receivers that log sign-ins and failed sign-ins of the $who portal.",
            "who logger field",
            (
                "midwife portal.midwives username",
                "umpire portal.umpires licence",
                "stallholder portal.market stall",
                "lifeguard portal.beach badge",
                "translator portal.agency email",
            ),
            r"""
import logging

from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver

logger = logging.getLogger("$logger")

@receiver(user_logged_in)
def signed_in(sender, request, user, **kwargs):
    logger.info("$who %d signed in", user.pk)

@receiver(user_login_failed)
def failed(sender, credentials, request=None, **kwargs):
    name = credentials.get("$field") or ""
    @@
""",
            r"""
address = request.META["REMOTE_ADDR"] if request else "-"
logger.warning("failed sign-in of {} from {}".format(name, address))
""",
            r"""
address = request.META["REMOTE_ADDR"] if request else "-"
logger.warning("failed sign-in of %r from %s", name[:80], address)
""",
        ),
        Task(
            "Job that brings the ${what}s of a shared folder into the archive and logs the odd ones.",
            "what ending archive",
            (
                "scan .tif /srv/archive/scans",
                "field_recording .wav /srv/archive/sounds",
                "survey_sheet .csv /srv/archive/surveys",
                "dental_image .dcm /srv/archive/teeth",
                "score .musicxml /srv/archive/scores",
            ),
            r"""
import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

log = logging.getLogger("archive")
ENDING = "$ending"
LARGEST = 200 * 1024 * 1024

def odd(entry: os.DirEntry) -> str | None:
    '''Why a file stays where it is, or None.'''
    if entry.is_symlink() or not entry.is_file():
        return "not a file"
    if not entry.name.endswith(ENDING):
        return "not a $what"
    if entry.stat().st_size > LARGEST:
        return "too large"
    return None

def bring_in(source: Path, archive: Path) -> int:
    moved = 0
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        reason = odd(entry)
        if reason:
            @@
            continue
        shutil.move(entry.path, archive / entry.name)
        moved += 1
    return moved

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    options = parser.parse_args()
    logging.basicConfig(filename="/var/log/archive.log", format="%(asctime)s %(message)s")
    print(bring_in(options.source, Path("$archive")), "moved")
    sys.exit(0)
""",
            r"""
log.warning("left " + entry.name + " where it was: " + reason)
""",
            r"""
name = ascii(entry.name)
log.warning("left %s where it was: %s", name, reason)
""",
        ),
        Task(
            "Write a remark on a $what into the day book.",
            "what file",
            (
                "lighthouse daybook.txt",
                "patient rounds.txt",
                "beehive apiary.txt",
                "locomotive shed.txt",
                "rose_bed garden.txt",
            ),
            r"""
from datetime import date

def remark(what: str, text: str) -> None:
    '''The day book has one line for each remark on a $what.'''
    @@
    with open("$file", "a", encoding="utf-8") as book:
        book.write(line)
""",
            r"""
text = text.replace("\n", " ").strip()
line = f"{date.today()} {what}: {text}\n"
""",
            r"""
what = " ".join(what.split())
text = " ".join(text.split())
line = f"{date.today()} {what}: {text}\n"
""",
        ),
        Task(
            "Handler for MQTT messages of the ${what}s in a $place.",
            "what place topic",
            (
                "thermometer cheese_cellar cellar/+/celsius",
                "turnstile football_ground gates/+/count",
                "scale cattle_market scales/+/kilos",
                "humidity_probe organ_loft loft/+/humidity",
                "water_meter campsite pitches/+/litres",
            ),
            r"""
import logging
import math

import paho.mqtt.client as mqtt

log = logging.getLogger("$place")
latest: dict[str, float] = {}

def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("$topic")

def on_message(client, userdata, message: mqtt.MQTTMessage):
    $what = message.topic.split("/")[1]
    text = message.payload.decode("utf-8", "replace")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        @@
        return
    latest[$what] = value
""",
            r"""
shown = text if len(text) < 200 else text[:200] + "..."
log.error("$what " + $what + " sent no number: " + shown)
""",
            r"""
log.error("$what %r sent no number: %r", $what, text[:200])
""",
        ),
        Task(
            "HTTP server that shows a $what by name and keeps its own access log.",
            "what port log",
            (
                "coin 8301 /var/log/coins/access.log",
                "moth 8302 /var/log/moths/access.log",
                "dialect_word 8303 /var/log/words/access.log",
                "tram_line 8304 /var/log/trams/access.log",
                "knot 8305 /var/log/knots/access.log",
            ),
            r"""
import json
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LOG = "$log"
with open("${what}s.json", encoding="utf-8") as source:
    ITEMS = json.load(source)

class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        name = unquote(self.path.removeprefix("/$what/"))
        item = ITEMS.get(name)
        status = HTTPStatus.OK if item else HTTPStatus.NOT_FOUND
        self.keep(name, status)
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(item).encode())

    def keep(self, name, status):
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S")
        with open(LOG, "a", encoding="utf-8") as log:
            @@

def main():
    with ThreadingHTTPServer(("127.0.0.1", $port), Pages) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")

if __name__ == "__main__":
    main()
""",
            r"""
log.write(f"{self.client_address[0]} [{stamp}] {name} {status.value}\n")
""",
            r"""
shown = json.dumps(name)
log.write(f"{self.client_address[0]} [{stamp}] {shown} {status.value}\n")
""",
        ),
        Task(
            "Decorator that logs how a function of the $app was called.",
            "app who",
            (
                "booking_desk guest",
                "vet_practice owner",
                "lost_property_desk finder",
                "seed_exchange grower",
                "night_bus rider",
            ),
            r"""
import functools
import logging

log = logging.getLogger("$app")

def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        # arguments are texts of a $who
        @@
        log.info("%s(%s)", function.__name__, shown)
        return function(*args, **kwargs)

    return wrapper
""",
            r"""
values = [*args, *kwargs.values()]
shown = ", ".join(str(value) for value in values)
""",
            r"""
shown = ", ".join(map(repr, [*args, *kwargs.values()]))
""",
        ),
        Task(
            "Turn mails to the $desk desk into tickets, with a line in the ticket log for each.",
            "desk prefix host",
            (
                "heating HEAT imap.housing.example",
                "stage_light LIGHT imap.theatre.example",
                "tractor FIELD imap.farm.example",
                "lab_gas GAS imap.lab.example",
                "escalator STEP imap.metro.example",
            ),
            r"""
import email
import email.policy
import imaplib
import itertools
import os
from email.header import decode_header, make_header

numbers = itertools.count(1)

def unseen(box):
    _, found = box.search(None, "UNSEEN")
    for number in found[0].split():
        _, data = box.fetch(number, "(RFC822)")
        yield email.message_from_bytes(data[0][1], policy=email.policy.compat32)

def fetch_tickets(user):
    with imaplib.IMAP4_SSL("$host") as box, open("tickets.log", "a") as log:
        box.login(user, os.environ["DESK_PASSWORD"])
        box.select("$desk")
        for message in unseen(box):
            subject = str(make_header(decode_header(message["Subject"] or "")))
            ticket = f"$prefix-{next(numbers):05}"
            @@
            yield ticket, message
""",
            r"""
if not subject:
    subject = "(no subject)"
log.write(ticket + " opened: " + subject + "\n")
""",
            r"""
subject = subject.translate({10: " ", 13: " "})
log.write(ticket + " opened: " + (subject or "(no subject)") + "\n")
""",
        ),
        Task(
            "Service class of a $place whose logger adds the $who and the request to each line.",
            "place who thing",
            (
                "toy_library child toy",
                "ship_chandler skipper order",
                "costume_hire dancer dress",
                "plant_clinic gardener sample",
                "tool_shed neighbour tool",
            ),
            r"""
from __future__ import annotations

import logging
import uuid
from typing import Any

class RequestLog(logging.LoggerAdapter):
    '''Puts who asked, and in which request, before the message.'''

    def process(self, msg: str, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        @@
        return f"[{request}] {$who}: {msg}", kwargs

class Lending:
    def __init__(self, stock: dict[int, int], headers: dict[str, str]) -> None:
        context = {"$who": headers.get("X-Name", ""), "request": headers.get("X-Request-Id")}
        self.log = RequestLog(logging.getLogger("$place"), context)
        self.stock = stock

    def lend(self, $thing: int) -> bool:
        left = self.stock.get($thing, 0)
        if left < 1:
            self.log.info("$thing %d is out", $thing)
            return False
        self.stock[$thing] = left - 1
        self.log.info("took $thing %d, %d left", $thing, left - 1)
        return True

    def take_back(self, $thing: int) -> None:
        self.stock[$thing] = self.stock.get($thing, 0) + 1
        self.log.info("brought $thing %d back", $thing)

def new_id() -> str:
    return uuid.uuid4().hex
""",
            r"""
context = self.extra or {}
$who = str(context.get("$who") or "somebody").strip()
request = context.get("request") or new_id()
""",
            r"""
context = self.extra or {}
$who, request = (repr(context.get(key)) for key in ("$who", "request"))
""",
        ),
        Task(
            "Loguru line for a $what that a $who searched for.",
            "what who sink",
            (
                "bus_stop rider stops.log",
                "birth_record genealogist births.log",
                "second_hand_bike buyer bikes.log",
                "mushroom forager mushrooms.log",
                "sheet_music singer music.log",
            ),
            r"""
from loguru import logger

logger.add("$sink", rotation="1 week", format="{time} {level} {message}")

def searched(term: str, hits: list) -> list:
    # the $who typed the term
    @@
    return hits[:20]
""",
            r"""
count = len(hits)
logger.info("$what search for {}: {} hits", term.lower(), count)
""",
            r"""
logger.info("$what search for {!r}: {} hits", term, len(hits))
""",
        ),
        Task(
            "Bottle callback that a $partner calls when a $what is paid.",
            "partner what currency",
            (
                "bank rent EUR",
                "wallet parking_fee CHF",
                "card_firm opera_ticket GBP",
                "mobile_operator donation KES",
                "crowdfunder pledge USD",
            ),
            r"""
import hmac
import os
from datetime import datetime

from bottle import Bottle, HTTPError, request

app = Bottle()
KEY = os.environ["CALLBACK_KEY"].encode()

def genuine(body: bytes, tag: str) -> bool:
    return hmac.compare_digest(hmac.digest(KEY, body, "sha256").hex(), tag)

@app.post("/paid")
def paid():
    payment = request.json
    ok = genuine(request.body.getvalue(), request.get_header("X-Tag", ""))
    with open("payments.log", "a", encoding="utf-8") as log:
        @@
    if not ok:
        raise HTTPError(403)
    return {"$what": "paid"}
""",
            r"""
log.write(f"{datetime.now():%F %T} $partner ok={ok} ")
log.write(f"{payment['reference']}: {payment['amount']} $currency\n")
""",
            r"""
log.write(f"{datetime.now():%F %T} $partner ok={ok} ")
amount = float(payment["amount"])
log.write(f"{payment['reference']!r}: {amount:.2f} $currency\n")
""",
        ),
    ),
)
