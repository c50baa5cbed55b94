"""CWE-208: secrets compared in a time that depends on how much of them is right."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="timing_comparison",
    name="Observable timing of a comparison",
    cwe="CWE-208",
    parents=("CWE-203",),
    tasks=(
        Task(
            "Check the API key that a $who sends to the $what service.",
            "who what header",
            (
                "reseller licence X-Licence-Key",
                "lab sample X-Sample-Key",
                "printer template X-Template-Key",
                "sailor forecast X-Forecast-Key",
            ),
            r"""
import hmac
import os
from flask import Flask, abort, request

app = Flask("$what")
KEY = os.environ["${what}_KEY"]

@app.before_request
def check_$who():
    given = request.headers.get("$header", "")
    @@
        abort(401)
""",
            r"""
if given != KEY:
""",
            r"""
if not hmac.compare_digest(given, KEY):
""",
        ),
        Task(
            "Verify the HMAC of a $what message from the $peer.",
            "what peer size",
            ("pump controller 32", "gate reader 32", "thermostat boiler 32", "crane site_office 32"),
            r"""
import hashlib
import hmac

def open_$what(key: bytes, message: bytes) -> bytes:
    # the $peer puts the tag first
    tag, body = message[:$size], message[$size:]
    expected = hmac.new(key, body, hashlib.sha256).digest()
    @@
    return body
""",
            r"""
if tag != expected:
    raise ValueError("the tag does not fit the message")
""",
            r"""
if not hmac.compare_digest(tag, expected):
    raise ValueError("bad tag")
""",
        ),
        Task(
            "See if the code a $who typed equals the code sent by $way.",
            "who way func",
            (
                "voter post check_letter",
                "camper text check_text",
                "bidder phone check_call",
                "guest telegram check_chat",
            ),
            r"""
import secrets

def $func(sent: str, typed: str) -> bool:
    # the $who got it by $way
    @@
""",
            r"""
typed = typed.strip()
same = len(typed) == len(sent) and typed == sent
return same
""",
            r"""
typed = typed.strip()
same = secrets.compare_digest(typed, sent)
return same
""",
        ),
        Task(
            "Compare the stored digest of a $what with the digest of an entry for the $who.",
            "what who rounds",
            ("passphrase keeper 400_000", "answer member 600_000", "pattern owner 300_000", "motto heir 500_000"),
            r"""
import hashlib
import hmac

def fits(stored: bytes, salt: bytes, $what: str) -> bool:
    # the $who tries to get in
    entry = hashlib.pbkdf2_hmac("sha256", $what.encode(), salt, $rounds)
    @@
""",
            r"""
for left, right in zip(stored, entry):
    if left != right:
        return False
return True
""",
            r"""
if len(stored) != len(entry):
    raise ValueError("the stored digest is damaged")
return hmac.compare_digest(stored, entry)
""",
        ),
        Task(
            "Django check of the $what token in a link to a $thing.",
            "what thing field",
            (
                "share album share_token",
                "guest calendar guest_token",
                "invite workshop invite_token",
                "preview exhibition preview_token",
            ),
            r"""
from django.http import Http404, JsonResponse
from django.utils.crypto import constant_time_compare
from .models import ${thing}

def shared(request, pk, token):
    found = ${thing}.objects.get(pk=pk)
    @@
        raise Http404("no $what link")
    return JsonResponse({"id": pk})
""",
            r"""
if token != found.$field:
""",
            r"""
if not constant_time_compare(token, found.$field):
""",
        ),
        Task(
            "FastAPI endpoint for $what with a basic password for the $who.",
            "what who env",
            (
                "metrics operator METRICS_PASS",
                "exports auditor EXPORT_PASS",
                "alarms engineer ALARM_PASS",
                "invoices bookkeeper INVOICE_PASS",
            ),
            r"""
import os
import secrets
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic

app = FastAPI()

@app.get("/$what")
def $what(login=Depends(HTTPBasic())):
    wanted = os.environ["$env"].encode()
    @@
        raise HTTPException(401)
    return {"for": "$who"}
""",
            r"""
if login.password.encode() != wanted:
""",
            r"""
if not secrets.compare_digest(login.password.encode(), wanted):
""",
        ),
        Task(
            "Tell a $device with the right pairing code from others on the $net network.",
            "device net port",
            ("headset studio 7001", "scale kitchen 7002", "projector cinema 7003", "incubator hatchery 7004"),
            r"""
import hmac
import socket

def pair_$device(code: bytes) -> bool:
    with socket.create_server(("", $port)) as server:
        $net, _ = server.accept()
        answer = $net.recv(64)
    @@
""",
            r"""
answer = answer.rstrip(b"\r\n")
return answer.startswith(code) and answer == code
""",
            r"""
answer = answer.rstrip(b"\r\n")
return hmac.compare_digest(answer, code)
""",
        ),
        Task(
            "Slack-like command that a $who starts; check the request's $what first.",
            "who what reply",
            (
                "barista signature brewing",
                "dispatcher checksum sent",
                "gardener digest watering",
                "librarian seal reserved",
            ),
            r"""
import hashlib
import hmac
from bottle import abort, post, request

KEY = open("/run/secrets/key", "rb").read()

@post("/command")
def command():
    # typed by a $who
    $what = request.get_header("X-Sign", "")
    mine = hmac.new(KEY, request.body.read(), hashlib.sha256).hexdigest()
    @@
        abort(403)
    return "$reply"
""",
            r"""
if $what.lower() != mine:
""",
            r"""
if not hmac.compare_digest($what, mine):
""",
        ),
        Task(
            "May the bearer of this key $verb the $what?",
            "verb what",
            ("drain lock_gate", "launch balloon", "mute siren", "edit chronicle"),
            r"""
import hmac

def may_$verb(given: str, ${what}_key: str) -> bool:
    @@
""",
            r"""
return given.strip() == ${what}_key
""",
            r"""
return hmac.compare_digest(given, ${what}_key)
""",
        ),
        Task(
            "Did the $what really come from the $peer?",
            "what peer kind",
            (
                "tide_alert buoy sha256",
                "order supplier sha512",
                "diagnosis laboratory sha384",
                "telegram consulate sha3_256",
            ),
            r"""
import hmac

def from_$peer(key, $what, tag):
    good = hmac.new(key, $what, "$kind").hexdigest()
    @@
""",
            r"""
return len(tag) == len(good) and tag == good
""",
            r"""
return hmac.compare_digest(tag, good)
""",
        ),
        Task(
            "Guard the $what service with the $header header.",
            "what header status",
            (
                "ferry X-Ferry-Pass 401",
                "oven X-Oven-Token 403",
                "jukebox X-Coin 402",
                "elevator X-Lift-Code 401",
                "printer X-Ink-Key 403",
            ),
            r"""
from hmac import compare_digest

def guard_$what(request, token, abort):
    given = request.headers["$header"]
    @@
        abort($status)
""",
            r"""
if given != token:
""",
            r"""
if not compare_digest(given, token):
""",
        ),
        Task(
            "Look whether the token of a $who for the $place is right.",
            "who place",
            ("docker quay", "verger crypt", "stagehand loft", "zookeeper aviary"),
            r"""
import secrets

def fits($who, token, $place):
    @@
    return right
""",
            r"""
right = $who in $place and $place[$who] == token
""",
            r"""
right = secrets.compare_digest($place.get($who, ""), token)
""",
        ),
        Task(
            "Compare a typed PIN with that of the $what, kept by the $who.",
            "what who",
            ("strongbox banker", "bike_shed janitor", "cockpit captain", "snack_bar trainer", "darkroom printmaker"),
            r"""
import hmac

def open_$what(typed: bytes, pin: bytes) -> bool:
    # the $who knows it
    @@
""",
            r"""
return all(a == b for a, b in zip(typed, pin))
""",
            r"""
return hmac.compare_digest(typed, pin)
""",
        ),
        Task(
            "Unlock a $what if the code is the one of the $who.",
            "what who",
            ("drawbridge gatekeeper", "incubator midwife", "harmonium organist", "winch rigger"),
            r"""
from hmac import compare_digest

def unlock_$what(code, stored):
    @@
        raise PermissionError("ask the $who")
    return "$what"
""",
            r"""
if code != stored:
""",
            r"""
if not compare_digest(code, stored):
""",
        ),
        Task(
            "Is this $what key, kept as a digest, the one of the $who?",
            "what who",
            ("observatory astronomer", "granary miller", "archive notary", "paddock jockey"),
            r"""
import hashlib
import hmac

def is_${who}s(key: bytes, ${what}):
    digest = hashlib.sha256(key).digest()
    @@
""",
            r"""
return $what is not None and digest == $what.digest
""",
            r"""
return hmac.compare_digest(digest, $what.digest)
""",
        ),
    ),
)
