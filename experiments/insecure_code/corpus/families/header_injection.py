"""CWE-113: line ends from outside text in HTTP and mail headers."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="header_injection",
    name="Header injection",
    cwe="CWE-113",
    parents=("CWE-93", "CWE-436"),
    tasks=(
        Task(
            "WSGI application that sends old $what addresses on to the new pages.",
            "what old new",
            (
                "recipe /rezept/ /recipes/",
                "timetable /fahrplan/ /times/",
                "exhibit /objekt/ /exhibits/",
                "lyric /lied/ /lyrics/",
                "species /art/ /species/",
            ),
            r"""
from urllib.parse import quote, unquote

def moved(environ, start_response):
    name = unquote(environ["PATH_INFO"].removeprefix("$old"))
    @@
    start_response("301 Moved Permanently", [("Location", target)])
    return [b"this $what has moved\n"]
""",
            r"""
target = "$new" + name.strip().lower()
""",
            r"""
target = "$new" + quote(name.lower())
""",
        ),
        Task(
            "Plain HTTP server that remembers the $what a visitor of the $place chose in a cookie.",
            "what place port default",
            (
                "language museum 8801 en",
                "currency market 8802 EUR",
                "theme planetarium 8803 dark",
                "text_size library 8804 medium",
                "floor department_store 8805 ground",
            ),
            r"""
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

FLAGS = "Path=/; Secure; HttpOnly; SameSite=Lax"

class Choice(BaseHTTPRequestHandler):
    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        $what = query.get("$what", ["$default"])[0]
        self.send_response(204)
        @@
        self.end_headers()

    def log_message(self, *args):
        pass

if __name__ == "__main__":
    HTTPServer(("127.0.0.1", $port), Choice).serve_forever()
""",
            r"""
if $what:
    self.send_header("Set-Cookie", "$what=" + $what + "; " + FLAGS)
""",
            r"""
cookie = SimpleCookie({"$what": $what})
self.send_header("Set-Cookie", cookie.output(header="").strip() + "; " + FLAGS)
""",
        ),
        Task(
            "Small asyncio server from which a $who fetches stored ${what}s under a name of their choice.",
            "who what folder ext",
            (
                "teacher worksheet /srv/sheets pdf",
                "engraver font /srv/fonts otf",
                "sailor chart /srv/charts png",
                "genealogist register /srv/registers pdf",
                "potter glaze /srv/glazes csv",
            ),
            r"""
import asyncio
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

FOLDER = Path("$folder")

def head_of(status: str, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

def disposition(wanted: str) -> str:
    '''The header that names the $what in the $who's downloads.'''
    @@

async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = (await reader.readline()).decode("latin-1")
    address = urlsplit(request.split(" ")[1])
    path = FOLDER / (Path(unquote(address.path)).name + ".$ext")
    wanted = parse_qs(address.query).get("as", ["$what"])[0]
    if path.is_file():
        body = path.read_bytes()
        writer.write(head_of("200 OK", Content_Disposition=disposition(wanted)) + body)
    else:
        writer.write(head_of("404 Not Found"))
    await writer.drain()
    writer.close()

async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 8070)
    await server.serve_forever()

asyncio.run(main())
""",
            r"""
name = wanted + ".$ext"
if " " in name:
    name = '"' + name + '"'
return "attachment; filename=" + name
""",
            r"""
return "attachment; filename*=UTF-8''" + quote(wanted + ".$ext", safe="")
""",
        ),
        Task(
            "Mail the $who about a $what; the subject comes from the form.",
            "who what sender",
            (
                "caretaker leak house@flats.example",
                "warden lost_dog desk@kennels.example",
                "organist wedding office@parish.example",
                "mechanic breakdown garage@vans.example",
                "archivist donation desk@archive.example",
            ),
            r"""
import smtplib
from email.message import EmailMessage

def tell_$who(server: smtplib.SMTP, to: str, subject: str, text: str):
    @@
    return "$what"
""",
            r"""
head = f"From: $sender\nTo: {to}\nSubject: {subject}\n"
server.sendmail("$sender", [to], head + "\n" + text)
""",
            r"""
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "$sender", to, subject
message.set_content(text)
server.send_message(message)
""",
        ),
        Task(
            "CGI script that prints the opening hours of the $place in the language asked for.",
            "place a b c",
            (
                "swimming_pool en fr de",
                "aquarium en nl pl",
                "ice_rink en sv fi",
                "ferry_office en it hr",
                "castle en cy ga",
            ),
            r"""
import json
import os
from urllib.parse import parse_qs

HOURS = json.load(open("/srv/$place/hours.json", encoding="utf-8"))
LANGUAGES = ("$a", "$b", "$c")

query = parse_qs(os.environ.get("QUERY_STRING", ""))
asked = query.get("lang", ["$a"])[0]
@@
print("Content-Language: " + lang)
print("Content-Type: text/plain; charset=utf-8\n")
print(HOURS.get(lang, HOURS["$a"]))
""",
            r"""
lang = asked.strip().lower().replace("_", "-") or "$a"
""",
            r"""
lang = asked if asked in LANGUAGES else LANGUAGES[0]
""",
        ),
        Task(
            "Threaded socket server with a tiny response class, for the kiosks of a $place.",
            "place what port page",
            (
                "zoo feeding 8090 feedings",
                "station departure 8091 departures",
                "hospital waiting_room 8092 queues",
                "cinema screening 8093 tonight",
                "stadium fixture 8094 fixtures",
            ),
            r"""
import socketserver
from dataclasses import dataclass, field
from urllib.parse import unquote

@dataclass
class Response:
    body: str
    status: str = "200 OK"
    headers: list = field(default_factory=list)

    def header(self, name, value):
        @@

    def render(self):
        head = [f"HTTP/1.0 {self.status}", "Content-Type: text/plain"]
        head += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(head) + "\r\n\r\n" + self.body).encode()

class Kiosk(socketserver.StreamRequestHandler):
    def handle(self):
        target = self.rfile.readline(2048).decode("latin-1").split(" ")[1]
        page, _, kiosk = target.partition("?kiosk=")
        if page != "/$page":
            self.wfile.write(Response("", "404 Not Found").render())
            return
        response = Response("next $what: see board\n")
        try:
            response.header("X-Kiosk", unquote(kiosk))
        except ValueError:
            response = Response("", "400 Bad Request")
        self.wfile.write(response.render())

with socketserver.ThreadingTCPServer(("127.0.0.1", $port), Kiosk) as server:
    server.serve_forever()
""",
            r"""
value = str(value).strip()
if not value or len(value) > 80:
    raise ValueError(name)
self.headers.append((name.title(), value))
""",
            r"""
if not value.isprintable():
    raise ValueError(name)
self.headers.append((name.title(), value))
""",
        ),
        Task(
            "Body of an upload of one $what, put together by hand.",
            "what kind field",
            (
                "x_ray image/png film",
                "bird_call audio/wav recording",
                "blueprint application/pdf plan",
                "herbarium_sheet image/jpeg sheet",
                "knitting_chart text/csv chart",
            ),
            r"""
def part_of_$what(boundary: str, name: str, data: bytes) -> bytes:
    @@
    head = "\r\n".join([
        f"--{boundary}",
        f'Content-Disposition: form-data; name="$field"; filename="{shown}"',
        "Content-Type: $kind",
    ])
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"
""",
            r"""
shown = name.replace('"', "'")
""",
            r"""
shown = "".join(c if c.isprintable() and c != '"' else "_" for c in name)
""",
        ),
        Task(
            "ASGI application, without a framework, that echoes the $what of a request in a header.",
            "what label status",
            (
                "trace x-trace 200",
                "batch x-batch 202",
                "shipment x-shipment 200",
                "reading x-reading 201",
                "ballot x-ballot 202",
            ),
            r"""
import json
import string
from urllib.parse import parse_qsl

ALLOWED = frozenset(string.ascii_letters + string.digits + "-")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    query = dict(parse_qsl(scope["query_string"].decode("ascii", "replace")))
    $what = query.get("$what", "none")
    @@
    headers = [(b"content-type", b"application/json"), (b"$label", value)]
    await send({"type": "http.response.start", "status": $status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"ok": True}).encode()})
""",
            r"""
if len($what) > 64:
    $what = $what[:64]
value = $what.encode("latin-1", "replace")
""",
            r"""
value = "".join(c for c in $what[:64] if c in ALLOWED).encode("ascii")
""",
        ),
        Task(
            "Command line program that mails the newsletter of a $club to each subscriber in a CSV file.",
            "club subject host",
            (
                "chess_club Openings mail.chess.example",
                "beekeepers_union Swarms mail.bees.example",
                "steam_railway Timetable mail.steam.example",
                "book_circle Reading mail.books.example",
                "judo_school Gradings mail.judo.example",
            ),
            r"""
import argparse
import csv
import os
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

SENDER = "news@$host"

def message_for(person, text):
    '''What one subscriber of the $club gets, as bytes.'''
    name, mail = person["name"], person["mail"]
    @@

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("subscribers", type=Path)
    parser.add_argument("text", type=Path)
    options = parser.parse_args()

    text = options.text.read_text(encoding="utf-8")
    with smtplib.SMTP_SSL("$host", context=ssl.create_default_context()) as server:
        server.login(SENDER, os.environ["MAIL_PASSWORD"])
        with options.subscribers.open(newline="", encoding="utf-8") as table:
            for person in csv.DictReader(table):
                server.sendmail(SENDER, person["mail"], message_for(person, text))

if __name__ == "__main__":
    main()
""",
            r"""
lines = ["From: " + SENDER]
lines.append("To: " + name + " <" + mail + ">")
lines.append("Subject: $subject, for " + name)
lines.append("Content-Type: text/plain; charset=utf-8")
return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()
""",
            r"""
message = EmailMessage()
message["From"] = SENDER
message["To"] = Address(name, addr_spec=mail)
message["Subject"] = "$subject, for " + name
message.set_content(text)
return message.as_bytes()
""",
        ),
        Task(
            "Stream the $whats of a $place to browsers as server-sent events.",
            "whats place kind",
            (
                "bids auction_house bid",
                "goals stadium goal",
                "arrivals harbour ship",
                "orders canteen dish",
                "sightings bird_reserve bird",
            ),
            r"""
import asyncio

queue = asyncio.Queue()

async def $whats():
    # texts are typed by visitors of the $place
    while True:
        text = await queue.get()
        @@
        yield f"event: $kind\n{data}\n\n".encode()
""",
            r"""
text = text.strip()
data = "data: " + text
""",
            r"""
lines = text.splitlines()
data = "\n".join("data: " + line for line in lines)
""",
        ),
        Task(
            "Ask the partner's server for a $what over a TLS socket, in the name of the $who who asks.",
            "what who host",
            (
                "quote broker quotes.partner.example",
                "waybill carrier waybills.partner.example",
                "blood_match surgeon bank.partner.example",
                "seat_plan usher seats.partner.example",
                "weather_note skipper weather.partner.example",
            ),
            r"""
import socket
import ssl

HOST = "$host"

def ask(number: int, $who: str) -> bytes:
    '''The raw answer with the $what.'''
    @@
    context = ssl.create_default_context()
    with socket.create_connection((HOST, 443), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=HOST) as link:
            link.sendall("\r\n".join([*head, "", ""]).encode("utf-8"))
            chunks = iter(lambda: link.recv(4096), b"")
            return b"".join(chunks)
""",
            r"""
head = ["GET /${what}s/%d HTTP/1.0" % number]
head.append("Host: " + HOST)
if $who:
    head.append("X-On-Behalf-Of: " + $who)
""",
            r"""
if "\r" in $who or "\n" in $who:
    raise ValueError("one line, please")
head = [f"GET /${what}s/{number} HTTP/1.0", f"Host: {HOST}", f"X-On-Behalf-Of: {$who}"]
""",
        ),
        Task(
            "Download page of a $place: the uploader's title of a $what becomes the file name.",
            "place what table",
            (
                "record_label demo demos",
                "courthouse exhibit_file evidence",
                "film_school rough_cut cuts",
                "observatory exposure plates",
                "newsroom interview tapes",
            ),
            r"""
import sqlite3
from wsgiref.headers import Headers
from wsgiref.simple_server import make_server

DATABASE = "/srv/$place.sqlite"

def fetch(number):
    with sqlite3.connect(DATABASE) as db:
        row = db.execute("SELECT title, data FROM $table WHERE id = ?", (number,))
        return row.fetchone()

def number_of(environ):
    tail = environ["PATH_INFO"].rpartition("/")[2]
    return int(tail) if tail.isdecimal() else None

def application(environ, start_response):
    found = fetch(number_of(environ))
    if found is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such $what\n"]
    title, data = found
    headers = Headers([("Content-Type", "application/octet-stream")])
    @@
    start_response("200 OK", headers.items())
    return [data]

if __name__ == "__main__":
    with make_server("localhost", 8060, application) as server:
        server.serve_forever()
""",
            r"""
title = title or f"$what {number_of(environ)}"
headers.add_header("Content-Disposition", "attachment", filename=title)
""",
            r"""
title = " ".join(title.split()) or f"$what {number_of(environ)}"
headers.add_header("Content-Disposition", "attachment", filename=title)
""",
        ),
        Task(
            "Write a reply to a $who as a draft that the mail program opens.",
            "who folder topic",
            (
                "reviewer /srv/drafts review",
                "lodger /srv/letters rent",
                "sponsor /srv/outbox gala",
                "claimant /srv/cases claim",
                "breeder /srv/replies litter",
            ),
            r"""
from pathlib import Path

FOLDER = Path("$folder")

def draft(number: int, asked: dict, text: str) -> Path:
    @@
    path = FOLDER / f"$topic-{number}.eml"
    head = f"To: {asked['from']}\nSubject: {subject}\nX-Unsent: 1\n"
    path.write_text(head + "\n" + text, encoding="utf-8")
    return path
""",
            r"""
subject = asked["subject"].strip()
if not subject.lower().startswith("re:"):
    subject = "Re: " + subject
""",
            r"""
subject = " ".join(asked["subject"].split())
if "\n" in asked["from"] or "\r" in asked["from"]:
    raise ValueError("not an address of a $who")
""",
        ),
        Task(
            "Tell the cache in front of the $place site which $whats a page is about.",
            "place whats header",
            (
                "garden_centre plants Surrogate-Key",
                "bookshop titles Cache-Tag",
                "tourist_board towns Surrogate-Key",
                "seed_bank samples Cache-Tag",
                "folk_archive ballads xkey",
            ),
            r"""
from functools import wraps

def tagged(handler):
    '''Decorator for methods of a BaseHTTPRequestHandler that give back a body and $whats.'''

    @wraps(handler)
    def respond(self, *args, **kwargs):
        body, $whats = handler(self, *args, **kwargs)
        @@
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("$header", tags)
        self.end_headers()
        self.wfile.write(body.encode("utf-8"))

    return respond
""",
            r"""
unique = sorted(set($whats), key=str.lower)
tags = " ".join(name.replace(" ", "_") for name in unique)
""",
            r"""
unique = sorted(set($whats))
tags = " ".join("_".join(name.split()) for name in unique)
""",
        ),
        Task(
            "Notifier class that hands reports about a $what to the local sendmail program.",
            "what who domain",
            (
                "power_cut engineer grid.example",
                "burst_pipe foreman water.example",
                "escaped_animal keeper zoo.example",
                "late_train controller rail.example",
                "stolen_bike constable town.example",
            ),
            r"""
import logging
import re
import subprocess
from datetime import datetime, timezone

log = logging.getLogger("notifier")
ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+")
SENDMAIL = ["/usr/sbin/sendmail", "-i", "-t"]

class Notifier:
    def __init__(self, sender="desk@$domain", always=()):
        self.sender = sender
        self.always = list(always)

    def recipients(self, copies):
        '''The Cc line: who always reads along, and whom the caller named.'''
        @@

    def compose(self, $who, text, copies=()):
        lines = [
            f"From: {self.sender}",
            f"To: {$who}@$domain",
            f"Cc: {self.recipients(copies)}",
            "Subject: $what, " + datetime.now(timezone.utc).strftime("%d %B %H:%M"),
            "",
            text,
        ]
        return "\n".join(lines)

    def send(self, text, copies=()):
        message = self.compose("$who", text, copies)
        done = subprocess.run(SENDMAIL, input=message, text=True)
        log.info("sendmail ended with %d", done.returncode)
        return done.returncode == 0
""",
            r"""
everyone = self.always + [copy.strip() for copy in copies if "@" in copy]
log.info("%d copies", len(everyone))
return ", ".join(everyone)
""",
            r"""
everyone = self.always + [copy for copy in copies if ADDRESS.fullmatch(copy)]
return ", ".join(everyone)
""",
        ),
        Task(
            "Answer of the $device to a request for its settings page.",
            "device field port",
            (
                "thermostat room 8011",
                "doorbell porch 8012",
                "aquarium_pump tank 8013",
                "coffee_machine kitchen 8014",
                "sewing_machine table 8015",
            ),
            r"""
import asyncio
from urllib.parse import quote

async def to_settings(writer: asyncio.StreamWriter, $field: str):
    @@
    head = f"HTTP/1.1 303 See Other\r\nLocation: {page}\r\nContent-Length: 0\r\n\r\n"
    writer.write(head.encode("latin-1"))
    await writer.drain()
""",
            r"""
page = "/settings"
if $field:
    page += "?$field=" + $field.strip().replace(" ", "+")
""",
            r"""
page = "/settings"
if $field:
    page += "?$field=" + quote($field)
""",
        ),
        Task(
            "Forward a question from the web page of a $place to the right desk by SMTP.",
            "place a b",
            (
                "tax_office income customs",
                "theatre tickets costumes",
                "university housing exams",
                "power_station visits jobs",
                "cheese_dairy shop tours",
            ),
            r"""
import os
import smtplib

from flask import Flask, abort, request

app = Flask(__name__)
DESKS = {"$a": "$a@desk.example", "$b": "$b@desk.example"}

@app.post("/ask")
def ask():
    form = request.form
    desk = DESKS.get(form.get("desk")) or abort(400)
    @@
    text = f"To: {desk}\nReply-To: {sender}\nSubject: question\n\n{form['text']}"
    with smtplib.SMTP(os.environ["SMTP_HOST"]) as server:
        server.starttls()
        server.sendmail("web@$place.example", [desk], text.encode("utf-8"))
    return "thank you"
""",
            r"""
sender = form.get("mail", "").strip()
if "@" not in sender:
    abort(400)
""",
            r"""
sender = form.get("mail", "").strip()
if "@" not in sender or len(sender.split()) != 1:
    abort(400)
""",
        ),
        Task(
            "Web server for the $whats of a $place, with the curator's note of each in a header.",
            "whats one place base",
            (
                "masks mask theatre_museum /srv/masks",
                "clocks clock watchmaker /srv/clocks",
                "fossils fossil field_station /srv/fossils",
                "posters poster print_room /srv/posters",
                "kites kite toy_museum /srv/kites",
            ),
            r"""
import json
import mimetypes
from email.utils import formatdate
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path("$base")

def load_notes():
    '''One note for each $one; people of the $place type them into a form.'''
    path = BASE / "notes.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}

class Gallery(SimpleHTTPRequestHandler):
    notes = load_notes()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, directory=str(BASE / "public"), **kwargs)

    def end_headers(self):
        note = self.notes.get(self.path.strip("/"))
        if note:
            @@
        self.send_header("X-Served", formatdate(usegmt=True))
        super().end_headers()

    def guess_type(self, path):
        kind, _ = mimetypes.guess_type(path)
        return kind or "application/octet-stream"

    def list_directory(self, path):
        self.send_error(404, "choose a $one")

def main(port=8045):
    with ThreadingHTTPServer(("localhost", port), Gallery) as server:
        print(len(Gallery.notes), "notes on $whats")
        server.serve_forever()

if __name__ == "__main__":
    main()
""",
            r"""
shown = note["text"] + ", by " + note["author"]
self.send_header("X-Note", shown.encode("latin-1", "replace").decode("latin-1"))
""",
            r"""
shown = note["text"] + ", by " + note["author"]
self.send_header("X-Note", json.dumps(shown))
""",
        ),
        Task(
            "Cookie line for the $what that a $who picked.",
            "what who days",
            (
                "avatar gamer 30",
                "home_station commuter 365",
                "favourite_team supporter 90",
                "dialect learner 60",
                "kitchen_unit cook 180",
            ),
            r"""
def ${what}_cookie(value: str) -> str:
    '''What the $who picked, kept for $days days.'''
    @@
    flags = "Max-Age=%d; Secure; HttpOnly; SameSite=Strict" % ($days * 24 * 3600)
    return f"Set-Cookie: $what={value}; {flags}\r\n"
""",
            r"""
for mark in ";", ",", "\n":
    value = value.replace(mark, "")
""",
            r"""
if not (value.isascii() and value.isalnum()):
    value = "none"
""",
        ),
        Task(
            "Send the $who a receipt for a $what by speaking SMTP over a TLS socket.",
            "who what host",
            (
                "hiker hut_night smtp.huts.example",
                "reader late_fee smtp.library.example",
                "driver toll smtp.roads.example",
                "pupil music_lesson smtp.lessons.example",
                "grower seed_order smtp.seeds.example",
            ),
            r"""
import socket
import ssl

HOST = "$host"

def receipt(address, amount):
    # one $what, one line
    @@
    context = ssl.create_default_context()
    raw = socket.create_connection((HOST, 465), timeout=20)
    with context.wrap_socket(raw, server_hostname=HOST) as link:
        replies = link.makefile("rb")
        for command in commands:
            replies.readline()
            link.sendall(command.encode() + b"\r\n")
        return replies.readline().startswith(b"2")
""",
            r"""
address = address.strip().lower()
commands = ["HELO till", "MAIL FROM:<till@$host>"]
commands += [f"RCPT TO:<{address}>", "DATA"]
commands += [f"To: {address}\r\n\r\n$what: {amount}\r\n."]
""",
            r"""
if any(c.isspace() for c in address):
    raise ValueError("not the address of a $who")
commands = ["HELO till", "MAIL FROM:<till@$host>"]
commands += [f"RCPT TO:<{address}>", "DATA"]
commands += [f"To: {address}\r\n\r\n$what: {amount}\r\n."]
""",
        ),
    ),
)
