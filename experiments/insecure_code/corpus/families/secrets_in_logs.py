"""CWE-532: passwords, tokens and card numbers written to a log."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="secrets_in_logs",
    name="Secrets in log files",
    cwe="CWE-532",
    parents=("CWE-538",),
    tasks=(
        Task(
            "Log every sign-in attempt at the $place for the $who.",
            "place who table",
            ("clinic nurse nurses", "depot driver drivers", "harbour pilot pilots", "museum guard guards"),
            r"""
import logging

log = logging.getLogger("$place")

def sign_in($who: str, password: str, check) -> bool:
    ok = check("$table", $who, password)
    @@
    return ok
""",
            r"""
log.info("$who %s signed in with %s: %s", $who, password, ok)
""",
            r"""
log.info("$who %s tried to sign in, result: %s", $who, ok)
""",
        ),
        Task(
            "Charge a card for the $item and log what happened.",
            "item currency gateway",
            (
                "subscription EUR stripe_like",
                "deposit CHF paygate",
                "membership NOK cardhub",
                "excursion PLN paybridge",
            ),
            r"""
import logging

def charge_$item(card: dict, amount: int, $gateway):
    result = $gateway.charge(card, amount, "$currency")
    @@
    return result
""",
            r"""
logging.info("charged %s, card %s, cvc %s", amount, card["number"], card["cvc"])
""",
            r"""
logging.info("charged %s, card ending in %s", amount, card["number"][-4:])
""",
        ),
        Task(
            "Call the $api API and keep a debug line per call.",
            "api path header",
            (
                "parcel /track X-Parcel-Key",
                "genome /reads X-Genome-Key",
                "tide /gauges X-Tide-Key",
                "auction /lots X-Auction-Key",
            ),
            r"""
import logging
import os
import requests

def call(number: int):
    headers = {"$header": os.environ["API_KEY"]}
    url = f"https://$api.example$path/{number}"
    @@
    return requests.get(url, headers=headers, timeout=10)
""",
            r"""
logging.debug("GET %s with %s", url, headers)
""",
            r"""
logging.debug("GET %s with %d header", url, len(headers))
""",
        ),
        Task(
            "Middleware that logs each request to the $site of the $org.",
            "site org view",
            (
                "portal town_hall permits",
                "shop winery bottles",
                "wiki observatory telescopes",
                "bookings ice_rink lanes",
            ),
            r"""
import logging

log = logging.getLogger("$org.$site")

class LogRequests:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        @@
        return self.get_response(request)
""",
            r"""
log.info("%s %s %s", request.path, request.POST.dict(), request.COOKIES)
""",
            r"""
log.info("%s %s for $view", request.method, request.path)
""",
        ),
        Task(
            "Start-up script of the $app that records its settings.",
            "app first second",
            (
                "mail_relay SMTP_PASSWORD SMTP_HOST",
                "backup_job S3_SECRET S3_BUCKET",
                "sms_gateway SMS_TOKEN SMS_SENDER",
                "feed_reader PROXY_PASSWORD PROXY_HOST",
            ),
            r"""
import logging
import os

logging.basicConfig(filename="$app.log", level=logging.INFO)
secret = os.environ["$first"]
place = os.environ["$second"]
@@
""",
            r"""
logging.info("$app starts: $second=%s $first=%s", place, secret)
""",
            r"""
logging.info("$app starts: $second=%s, $first is set", place)
""",
        ),
        Task(
            "Create the $what reset link for a $who and log the request.",
            "what who base",
            (
                "password florist https://bloom.example/reset",
                "PIN cardholder https://card.example/pin",
                "voicemail subscriber https://voice.example/new",
                "locker swimmer https://pool.example/locker",
            ),
            r"""
import logging
import secrets

def reset($who, mailer):
    token = secrets.token_urlsafe(32)
    link = f"$base?t={token}"
    mailer.send($who, link)
    @@
""",
            r"""
logging.warning("$what reset for %s via %s", $who, link)
""",
            r"""
logging.warning("$what reset for %s was mailed", $who)
""",
        ),
        Task(
            "Connect the $service to its database and print what it uses.",
            "service db user",
            (
                "ledger accounts book",
                "scheduler slots clock",
                "dispatcher lorries freight",
                "catalogue minerals geologist",
            ),
            r"""
import os
from sqlalchemy import create_engine

def connect():
    dsn = f"postgresql://$user:{os.environ['DB_PASSWORD']}@db/$db"
    engine = create_engine(dsn)
    @@
    return engine  # for the $service
""",
            r"""
print("connected to", dsn)
""",
            r"""
print("connected to", engine.url.database)
""",
        ),
        Task(
            "Class that stores the $what of a $who and logs the change.",
            "what who note",
            (
                "passport_number traveller visa",
                "bank_pin saver card",
                "licence_key composer studio",
                "alarm_code shopkeeper premises",
            ),
            r"""
import logging

class Vault:
    def __init__(self):
        self.log = logging.getLogger("$note")
        self.items: dict[str, str] = {}

    def store(self, $who: str, $what: str) -> None:
        self.items[$who] = $what
        @@
""",
            r"""
self.log.info("stored $what %s of %s", $what, $who)
""",
            r"""
self.log.info("stored the $what of %s for $note", $who)
""",
        ),
        Task(
            "Change the password of a $who and note it in the $place log.",
            "who place",
            ("porter hotel", "bursar college", "sexton parish", "croupier casino"),
            r"""
import logging

def change($who, password):
    @@
    $who.set_password(password)  # $place
""",
            r"""
logging.info("password of %s is now %s", $who, password)
""",
            r"""
logging.info("the password of %s was changed", $who)
""",
        ),
        Task(
            "Fetch a token from the $what server for the $who.",
            "what who host",
            (
                "weather glider sky.example",
                "freight forwarder cargo.example",
                "library reader books.example",
                "grid engineer power.example",
            ),
            r"""
import requests

def ${what}_token(form):
    token = requests.post("https://$host", form).text
    @@
    return token
""",
            r"""
print("token of the $who:", token)
""",
            r"""
print("the $who has a new token")
""",
        ),
        Task(
            "Start the $app and log its environment.",
            "app key",
            (
                "sorter SORTER_TOKEN",
                "greenhouse PUMP_SECRET",
                "kiosk TILL_PIN",
                "crawler PROXY_PASS",
                "mailer SMTP_PASS",
            ),
            r"""
import logging
import os

def start_$app():
    @@
    return os.environ["$key"]
""",
            r"""
logging.info("$app runs with %s", dict(os.environ))
""",
            r"""
logging.info("$app runs as process %d", os.getpid())
""",
        ),
        Task(
            "Pay a $what by card and log the $unit.",
            "what unit",
            ("ransom doubloons", "fine euros", "ticket crowns", "dowry ducats"),
            r"""
import logging

def pay_$what($unit, number, cvc):
    @@
    return {"$unit": $unit, "card": number[-4:]}
""",
            r"""
logging.info("%s $unit, card %s, cvc %s", $unit, number, cvc)
""",
            r"""
logging.info("%s $unit, card ends in %s", $unit, number[-4:])
""",
        ),
        Task(
            "Log each form that reaches the $app of a $place.",
            "app place",
            ("login bank", "checkout bookshop", "triage hospital", "enrolment academy", "tipline newspaper"),
            r"""
from flask import Flask, request

$app = Flask("$place")

@$app.before_request
def note():
    @@
""",
            r"""
$app.logger.info("form: %s", request.form.to_dict())
""",
            r"""
$app.logger.info("form for %s", request.path)
""",
        ),
        Task(
            "Log a failed sign-in of a $who at the $door.",
            "who door",
            ("smith forge", "usher balcony", "keeper lighthouse", "chemist store_room"),
            r"""
import logging

def sign_in($who, password, is_right):
    if not is_right($who, password):
        @@
    return "$door"
""",
            r"""
logging.warning("%s tried %r", $who, password)
""",
            r"""
logging.warning("%s was turned away", $who)
""",
        ),
        Task(
            "Connect to the $what of the $place; log when that fails.",
            "what place",
            ("archive abbey", "turbine dam", "ledger guildhall", "planner airline"),
            r"""
import logging

def open_$what(driver, user, password):
    try:
        return driver.connect(user, password)
    except OSError:
        @@
""",
            r"""
logging.error("$place: %s/%s failed", user, password)
""",
            r"""
logging.error("$place: no connection for %s", user)
""",
        ),
        Task(
            "Client for the $what service of the $place that logs each request it makes.",
            "what place host",
            (
                "tariff power_grid grid.example",
                "vaccine health_office jabs.example",
                "freight canal_board barges.example",
                "royalty song_society tunes.example",
                "parking city_council lots.example",
            ),
            r"""
import logging
import os

import httpx

log = logging.getLogger("$place")
BASE = "https://$host/api"
QUIET = {"authorization", "cookie", "x-api-key"}


class Client:
    def __init__(self):
        headers = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"}
        hooks = {"request": [self.on_request], "response": [self.on_response]}
        self.http = httpx.Client(base_url=BASE, headers=headers, event_hooks=hooks, timeout=20)

    def on_request(self, request: httpx.Request) -> None:
        @@
        log.info("%s %s %s", request.method, request.url.path, shown)

    def on_response(self, response: httpx.Response) -> None:
        log.info("answered with %d", response.status_code)

    def ${what}s(self, page: int = 1) -> list[dict]:
        answer = self.http.get("/${what}s", params={"page": page})
        answer.raise_for_status()
        return answer.json()

    def close(self) -> None:
        self.http.close()
""",
            r"""
shown = dict(request.headers)
""",
            r"""
shown = {k: v for k, v in request.headers.items() if k.lower() not in QUIET}
""",
        ),
        Task(
            "Decorator that logs the calls of the account functions for each $who of the $place.",
            "who place",
            (
                "oarsman rowing_club",
                "lodger boarding_house",
                "novice convent_school",
                "drover stockyard",
                "gambler bingo_hall",
            ),
            r"""
import functools
import logging

import bcrypt

log = logging.getLogger("$place")


def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        @@
        return function(*args, **kwargs)

    return inner


@logged
def change_password(accounts: dict, *, $who: str, password: str) -> None:
    accounts[$who] = bcrypt.hashpw(password.encode(), bcrypt.gensalt())


@logged
def close(accounts: dict, *, $who: str) -> None:
    accounts.pop($who, None)
""",
            r"""
log.info("%s called with %s", function.__name__, kwargs)
""",
            r"""
names = ", ".join(sorted(kwargs))
log.info("%s called with values for %s", function.__name__, names)
""",
        ),
        Task(
            "Settings of the $what job of the $place, written to the log when it starts.",
            "what place host",
            (
                "feeding fish_farm db.fish.example",
                "bidding stamp_auction db.stamps.example",
                "grading tea_importer db.tea.example",
                "rostering fire_brigade db.fire.example",
                "scoring darts_league db.darts.example",
            ),
            r"""
import logging
import os
from dataclasses import dataclass, field

log = logging.getLogger("$place")


@dataclass
class Settings:
    host: str = "$host"
    user: str = "$what"
    @@


def start() -> Settings:
    settings = Settings(password=os.environ["DB_PASSWORD"])
    log.info("$what starts with %s", settings)
    return settings
""",
            r"""
password: str = field(default="", compare=False, kw_only=True)
""",
            r"""
password: str = field(default="", repr=False, kw_only=True)
""",
        ),
        Task(
            "Webhook of the payment provider: book a paid $what for the $who and log the event.",
            "what who place",
            (
                "moorage skipper boat_harbour",
                "costume_hire reveller carnival_store",
                "evening_class learner adult_college",
                "hive_share patron bee_garden",
                "grave_care widow cemetery_office",
            ),
            r"""
import hashlib
import hmac
import logging
import os

from flask import Flask, abort, request

app = Flask("$place")
log = logging.getLogger("$place")
KEY = os.environb[b"WEBHOOK_KEY"]
booked: dict[str, int] = {}


def genuine(body: bytes, signature: str) -> bool:
    expected = hmac.new(KEY, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def book(event: dict) -> None:
    order = event["order"]
    booked[order] = booked.get(order, 0) + int(event["amount"])


@app.post("/paid/$what")
def paid():
    if not genuine(request.get_data(), request.headers.get("X-Signature", "")):
        abort(403)
    event = request.get_json()
    # card, holder and order of the $who
    @@
    book(event)
    return "", 204
""",
            r"""
log.info("$what paid: %s", event)
""",
            r"""
last = str(event["card"]["number"])[-4:]
log.info("$what paid: order %s, card ending in %s", event["order"], last)
""",
        ),
        Task(
            "Send a sign-in code to the phone of a $who of the $place.",
            "who place digits",
            (
                "teller rural_bank 6",
                "surgeon night_clinic 8",
                "captain ferry_company 7",
                "valuer auction_rooms 6",
                "chemist dye_works 9",
            ),
            r"""
import logging
import secrets
import time

log = logging.getLogger("$place.codes")
LIFETIME = 300


class Codes:
    def __init__(self, gateway):
        self.gateway = gateway
        self.open: dict[str, tuple[str, float]] = {}

    def make(self) -> str:
        return "".join(secrets.choice("0123456789") for _ in range($digits))

    def send(self, $who: str, phone: str) -> None:
        code = self.make()
        self.open[$who] = (code, time.monotonic() + LIFETIME)
        receipt = self.gateway.text(phone, f"$place code: {code}")
        @@

    def take(self, $who: str, given: str) -> bool:
        code, until = self.open.pop($who, ("", 0.0))
        in_time = time.monotonic() < until
        return in_time and secrets.compare_digest(code.encode(), given.encode())
""",
            r"""
log.info("text %s to $who %s: %s", receipt, $who, code)
""",
            r"""
log.info("text %s to $who %s, good for %d s", receipt, $who, LIFETIME)
""",
        ),
    ),
)
