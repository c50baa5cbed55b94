"""CWE-470: classes, functions, attributes and modules chosen by a text from outside."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="unsafe_reflection",
    name="Externally chosen classes and functions",
    cwe="CWE-470",
    parents=("CWE-913", "CWE-610"),
    tasks=(
        Task(
            "Draw the kind of $what chart that a $who asks for in the address.",
            "what who other",
            (
                "pie lobbyist bar",
                "radar trainer line",
                "violin psychologist box",
                "candle stockbroker area",
            ),
            r"""
from flask import abort, request
from . import charts

def ${what}_chart(rows):
    # "$what" or "$other", as the $who likes
    kind = request.args["kind"]
    @@
    return draw(rows)
""",
            r"""
if not hasattr(charts, kind):
    abort(404)
draw = getattr(charts, kind)
""",
            r"""
draw = {"$what": charts.$what, "$other": charts.$other}.get(kind)
if draw is None:
    abort(404)
""",
        ),
        Task(
            "Worker of the $place that runs the step named in each queue message, for instance $first or $second.",
            "place first second",
            (
                "cheese_dairy skim churn",
                "photo_lab crop sharpen",
                "recycling_yard shred sort",
                "tea_blender roast grind",
            ),
            r"""
import importlib
import json
import os

import redis

from steps import $first, $second

QUEUE = "$place:jobs"
STEPS = {"$first": $first, "$second": $second}


def run(message: dict) -> None:
    @@
    module.run(message["batch"], **message.get("options", {}))


def main() -> None:
    connection = redis.Redis.from_url(os.environ["REDIS_URL"])
    while True:
        _, raw = connection.blpop(QUEUE)
        run(json.loads(raw))
        print("batch done")


if __name__ == "__main__":
    main()
""",
            r"""
name = message["step"]
module = importlib.import_module(name if "." in name else f"steps.{name}")
print("loaded", module.__name__)
""",
            r"""
module = STEPS[message["step"]]
""",
        ),
        Task(
            "Websocket console of the $place: a $who types a word such as $first and some arguments.",
            "place who first second",
            (
                "railway_club signaller points lamps",
                "planetarium presenter stars dome",
                "greenhouse gardener vents misting",
                "stage_crew fly_man curtain fog",
            ),
            r"""
import asyncio
import json
import logging
import os

import websockets

log = logging.getLogger("$place")
state = {"$first": 0, "$second": 0}


def $first(value: str = "0") -> dict:
    state["$first"] = min(100, max(0, int(value)))
    return state


def $second(value: str = "0") -> dict:
    state["$second"] = min(100, max(0, int(value)))
    return state


def show() -> dict:
    return {**state, "host": os.uname().nodename}


COMMANDS = {"$first": $first, "$second": $second, "show": show}


async def console(socket):
    # one line from the $who, one answer
    async for line in socket:
        word, *arguments = line.split()
        @@
        await socket.send(json.dumps(answer))


async def main():
    async with websockets.serve(console, "localhost", 8777, max_size=2_000):
        await asyncio.Future()


asyncio.run(main())
""",
            r"""
command = globals().get(word)
answer = command(*arguments) if callable(command) else {"unknown": word}
""",
            r"""
if word not in COMMANDS:
    log.info("no command %r", word)
    continue
answer = COMMANDS[word](*arguments)
""",
        ),
        Task(
            "A $who of the $place writes a word and a number to the bot that steers a $what.",
            "who place what first second",
            (
                "lighting_hand theatre spotlight dim tilt",
                "brewer beer_hall kettle heat stir",
                "zookeeper reptile_house terrarium warm mist",
                "bargee canal lock_gate lift lower",
            ),
            r"""
from operator import methodcaller

def steer_$what($what, text):  # from a $who
    word, _, number = text.partition(" ")
    @@
    return f"$place: {$what.state}"
""",
            r"""
order = methodcaller(word.strip().lower(), int(number or 1))
order($what)
""",
            r"""
orders = {"$first": $what.$first, "$second": $what.$second}
orders[word](int(number or 1))
""",
        ),
        Task(
            "Export the $what of the $place in a format that a $who picks by class name.",
            "what place who",
            (
                "herd cattle_market vet",
                "programme film_festival critic",
                "inventory wine_cellar steward",
                "roster lifeguard_tower captain",
            ),
            r"""
import csv
import io
import json
import logging
import pydoc

log = logging.getLogger("$place")


class JsonExport:
    def write(self, rows) -> str:
        return json.dumps(rows)


class CsvExport:
    def write(self, rows) -> str:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        return out.getvalue()


EXPORTS = {"JsonExport": JsonExport, "CsvExport": CsvExport}


def export_$what(rows, chosen: str) -> str:
    # the $who chose it in the browser
    @@
    return exporter.write(rows)
""",
            r"""
path = chosen if "." in chosen else f"{__name__}.{chosen}"
exporter = pydoc.locate(path)()
log.info("$what exported with %s", path)
""",
            r"""
exporter = EXPORTS[chosen]()
log.info("$what exported with %s", chosen)
""",
        ),
        Task(
            "A $who of the $place picks how to be told about news: view in Django REST framework.",
            "who place first second",
            (
                "parent kindergarten mail sms",
                "passenger ferry_line push sms",
                "patron opera_house letter mail",
                "tenant housing_office mail push",
            ),
            r"""
from django.utils.module_loading import import_string
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Preference
from .notify import $first, $second

CHANNELS = {"$first": $first.Channel, "$second": $second.Channel}


class Choice(serializers.Serializer):
    channel = serializers.CharField(max_length=100)
    text = serializers.CharField(max_length=500, default="Hello from the $place")


class ${who}_news(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request):
        form = Choice(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data["channel"]
        @@
        channel.send(request.user, form.validated_data["text"])
        Preference.objects.update_or_create(person=request.user, defaults={"channel": wanted})
        return Response({"channel": wanted})

    def get(self, request):
        found = Preference.objects.filter(person=request.user).first()
        return Response({"channel": found.channel if found else "$first"})
""",
            r"""
try:
    channel = import_string(wanted)()
except ImportError:
    return Response({"channel": "There is no such channel."}, status=400)
""",
            r"""
try:
    channel = CHANNELS[wanted]()
except KeyError:
    return Response({"channel": f"Choose one of {', '.join(CHANNELS)}."}, status=400)
""",
        ),
        Task(
            "Field of a $what that a visitor of the $place wants to see.",
            "what place first second",
            (
                "puppy shelter name weight",
                "violin auction maker year",
                "cottage lettings rooms price",
                "mushroom fungarium genus season",
            ),
            r"""
FIELDS = ("$first", "$second")

def ${what}_field($what, request):
    name = request.query_params.get("field", "$first")
    @@
    return {"$place": str(value)}
""",
            r"""
value = $what
for step in name.split("."):
    value = getattr(value, step)
""",
            r"""
if name not in FIELDS:
    raise KeyError(name)
value = getattr($what, name)
""",
        ),
        Task(
            "Tornado handler with which a $who steers the $what of the $place.",
            "who what place",
            (
                "miller sluice water_mill",
                "astronomer dome observatory",
                "keeper lamp lighthouse",
                "grower blind glasshouse",
            ),
            r"""
import hmac
import json
import os

import tornado.web

TOKEN = os.environb[b"MOTOR_TOKEN"]


class $what(tornado.web.RequestHandler):
    def initialize(self, motor):
        self.motor = motor

    def get_current_user(self):
        given = self.request.headers.get("X-Token", "").encode()
        return "$who" if hmac.compare_digest(given, TOKEN) else None

    @tornado.web.authenticated
    def post(self):
        order = json.loads(self.request.body)
        @@
        self.write({"place": "$place", "position": self.motor.position})
""",
            r"""
action = str(order["action"]).strip().lower()
getattr(self.motor, action)(*order.get("values", []))
""",
            r"""
actions = {"open": self.motor.open, "close": self.motor.close, "stop": self.motor.stop}
if order["action"] not in actions:
    raise tornado.web.HTTPError(400)
actions[order["action"]]()
""",
        ),
        Task(
            "XML-RPC service of the $place through which a $who asks for the $what.",
            "place who what",
            (
                "harbour_office pilot draught",
                "seed_exchange farmer germination",
                "organ_workshop tuner temperament",
                "bridge_authority bargee clearance",
            ),
            r"""
import os
import sqlite3
import threading
from xmlrpc.server import SimpleXMLRPCServer


class Book:
    def __init__(self, path: str):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(path, check_same_thread=False)

    def names(self) -> list[str]:
        with self.lock:
            rows = self.database.execute("SELECT name FROM book ORDER BY name LIMIT 500")
            return [name for (name,) in rows]

    def $what(self, name: str) -> float:
        with self.lock:
            query = "SELECT $what FROM book WHERE name = ?"
            row = self.database.execute(query, (name,)).fetchone()
        return row[0] if row else -1.0


def serve(port: int = 8099) -> None:
    book = Book(os.environ["BOOK"])
    with SimpleXMLRPCServer(("127.0.0.1", port), allow_none=False) as server:
        @@
        server.serve_forever()


if __name__ == "__main__":
    serve()  # the $place, for each $who
""",
            r"""
server.register_introspection_functions()
server.register_instance(book, allow_dotted_names=True)
""",
            r"""
server.register_function(book.names, "names")
server.register_function(book.$what, "$what")
""",
        ),
        Task(
            "Summary of the $what table: a $who sends the column and the figure that is wanted.",
            "what who column",
            (
                "rainfall hydrologist millimetres",
                "wage trade_unionist euros",
                "sprint coach seconds",
                "honey apiarist kilograms",
            ),
            r"""
import pandas as pd
from fastapi import FastAPI, HTTPException

app = FastAPI()
frame = pd.read_csv("/srv/data/$what.csv")
FIGURES = {"mean": pd.Series.mean, "max": pd.Series.max, "count": pd.Series.count}


@app.get("/$what/{figure}")
def summary(figure: str, column: str = "$column"):
    # the $who may leave the column out
    if column not in frame.columns:
        raise HTTPException(status_code=404)
    @@
    return {column: float(value)}
""",
            r"""
method = getattr(frame[column].dropna(), figure, None)
if not callable(method):
    raise HTTPException(status_code=400, detail=f"no figure called {figure}")
value = method()
""",
            r"""
if figure not in FIGURES:
    raise HTTPException(status_code=400)
value = FIGURES[figure](frame[column].dropna())
""",
        ),
        Task(
            "Build the widgets of the $what screen that a $who of the $place describes in a JSON file.",
            "what who place",
            (
                "ticket designer tram_company",
                "triage nurse emergency_ward",
                "jukebox publican village_pub",
                "loan librarian reading_room",
            ),
            r"""
import json
import sys
import tkinter as tk
from pathlib import Path
from tkinter import messagebox, ttk

WIDGETS = {"Label": ttk.Label, "Button": ttk.Button, "Entry": ttk.Entry}
MOST = 40


def describe(path: Path) -> list[dict]:
    parts = json.loads(path.read_text(encoding="utf-8"))
    return parts[:MOST]


class Screen(tk.Tk):
    def __init__(self, parts: list[dict]):
        super().__init__()
        self.title("$what - $place")
        for row, part in enumerate(parts):
            self.build(part).grid(row=row, column=0, sticky="ew", padx=4, pady=2)

    def build(self, part: dict) -> tk.Widget:
        @@
        return widget(self, **part.get("options", {}))

    def about(self) -> None:
        messagebox.showinfo("$what", "Drawn by a $who")


if __name__ == "__main__":
    Screen(describe(Path(sys.argv[1]))).mainloop()
""",
            r"""
name = part.get("kind", "Label")
module = __import__(part.get("module", "tkinter.ttk"), fromlist=[name])
widget = getattr(module, name)
""",
            r"""
name = part.get("kind", "Label")
if name not in WIDGETS:
    raise SystemExit(f"{name} is none of {', '.join(WIDGETS)}")
widget = WIDGETS[name]
""",
        ),
        Task(
            "Price a $what by the rule whose name the $who of the $place sends.",
            "what who place",
            (
                "berth yachtsman marina",
                "haircut customer salon",
                "pallet haulier cold_store",
                "lesson rider stable",
            ),
            r"""
class Rule:
    factor = 1.0

class Weekday(Rule):
    factor = 0.8

def ${what}_price(base: float, name: str) -> float:  # by the $who of the $place
    @@
    return base * rule().factor
""",
            r"""
rule = globals()[name.strip().title()] if name.strip() else Rule
""",
            r"""
rule = {"Rule": Rule, "Weekday": Weekday}.get(name, Rule)
""",
        ),
    ),
)
