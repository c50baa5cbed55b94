"""CWE-377: temporary files with guessable names or made in two steps."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="temporary_file",
    name="Insecure temporary file",
    cwe="CWE-377",
    parents=("CWE-668",),
    tasks=(
        Task(
            "Keep the $what in a scratch file until the $who confirms.",
            "what who ext",
            ("order buyer .json", "draft editor .txt", "sketch painter .svg", "score composer .mid"),
            r"""
import os
import tempfile

def park_$what(text: str) -> str:
    @@
        f.write(text)
    return path  # the $who confirms later
""",
            r"""
path = tempfile.mktemp(suffix="$ext")
with open(path, "w") as f:
""",
            r"""
fd, path = tempfile.mkstemp(suffix="$ext")
with os.fdopen(fd, "w") as f:
""",
        ),
        Task(
            "Convert an uploaded $src by way of a temporary file with $lib.",
            "src lib func",
            ("photo PIL shrink", "scan pytesseract read_scan", "clip moviepy trim", "song pydub fade"),
            r"""
import os
import tempfile
import $lib

def $func(data: bytes, convert):
    # convert uses $lib on a $src
    @@
    return convert(name)
""",
            r"""
name = f"/tmp/$func-{os.getpid()}.bin"
with open(name, "wb") as f:
    f.write(data)
""",
            r"""
with tempfile.NamedTemporaryFile(delete=False) as f:
    f.write(data)
    name = f.name
""",
        ),
        Task(
            "Make a work folder for a $job build of the $project.",
            "job project prefix",
            ("nightly compiler nb", "docs website site", "wheel parser whl", "firmware thermostat fw"),
            r"""
import os
import subprocess
import tempfile

def build(target="$job"):
    @@
    subprocess.run(["make", "-C", "$project", f"OUT={folder}", target], check=True)
""",
            r"""
folder = os.path.join("/tmp", "$prefix-" + target)
os.makedirs(folder, exist_ok=True)
""",
            r"""
folder = tempfile.mkdtemp(prefix="$prefix-")
""",
        ),
        Task(
            "Edit a $what in the $who's own editor and read it back.",
            "what who default",
            (
                "commit_message developer nano",
                "release_note maintainer vim",
                "shift_report guard ed",
                "case_note nurse micro",
            ),
            r"""
import os
import subprocess
import tempfile

def edit_$what(text):
    @@
    subprocess.call([os.environ.get("EDITOR", "$default"), path])
    with open(path) as f:
        return f.read()
""",
            r"""
path = tempfile.mktemp()
with open(path, "w") as f:
    f.write(text)
""",
            r"""
fd, path = tempfile.mkstemp()
with os.fdopen(fd, "w") as f:
    f.write(text)
""",
        ),
        Task(
            "Cache the $what token of the $tool between two runs.",
            "what tool name",
            (
                "login uploader .uploader",
                "refresh calendar_sync .calsync",
                "session backup_tool .bkp",
                "access photo_sync .photos",
            ),
            r"""
import os
import tempfile
from pathlib import Path

def save(token: str) -> Path:
    @@
    return path  # $tool reads its $what token here
""",
            r"""
path = Path("/tmp/$name")
path.write_text(token)
print("saved to", path)
""",
            r"""
fd, name = tempfile.mkstemp(prefix="$name")
os.write(fd, token.encode())
path = Path(name)
""",
        ),
        Task(
            "Sort a $what file that does not fit in memory in chunks.",
            "what key func",
            (
                "census surname sort_census",
                "click time sort_clicks",
                "genome position sort_reads",
                "invoice amount sort_invoices",
            ),
            r"""
import tempfile
import time

def ${func}_chunk(rows):
    rows.sort(key=lambda r: r["$key"])
    @@
    chunk.writelines(str(r) + "\n" for r in rows)
    chunk.seek(0)
    return chunk
""",
            r"""
stamp = int(time.time())
chunk = open(f"/tmp/$what-{stamp}.part", "w+")
""",
            r"""
chunk = tempfile.TemporaryFile("w+", prefix="$what")
""",
        ),
        Task(
            "Render a $doc to PDF and send it to a $who.",
            "doc who tool",
            (
                "contract notary wkhtmltopdf",
                "bill guest weasyprint",
                "permit builder prince",
                "transcript student pandoc",
            ),
            r"""
import subprocess
import tempfile

def render_$doc(html_path, send):
    @@
    subprocess.run(["$tool", html_path, pdf], check=True)
    send(pdf, "$who")
""",
            r"""
pdf = tempfile.mktemp(suffix=".pdf", prefix="$doc")
""",
            r"""
pdf = tempfile.mkdtemp(prefix="$doc") + "/out.pdf"
""",
        ),
        Task(
            "Lock so that only one $what runs on the $host at a time.",
            "what host lock",
            (
                "import ledger import.lock",
                "crawler indexer crawl.lock",
                "migration registry migrate.lock",
                "mailing newsletter mail.lock",
            ),
            r"""
import os

def take_lock():
    # one $what per $host
    @@
    return True
""",
            r"""
if os.path.exists("/tmp/$lock"):
    return False
with open("/tmp/$lock", "w") as f:
    f.write(str(os.getpid()))
""",
            r"""
try:
    os.close(os.open("/run/$host/$lock", os.O_CREAT | os.O_EXCL, 0o600))
except FileExistsError:
    return False
""",
        ),
        Task(
            "Download $what and check it before it is moved to the $place.",
            "what place url",
            (
                "subtitles player https://subs.example/latest",
                "fonts printer https://fonts.example/pack",
                "wordlists game https://words.example/list",
                "postcodes atlas https://codes.example/all",
            ),
            r"""
import shutil
import tempfile
import urllib.request

def download_$what(check):
    @@
    if check(path):
        shutil.move(path, "$place/$what")
""",
            r"""
path = "/tmp/$what.download"
urllib.request.urlretrieve("$url", path)
""",
            r"""
folder = tempfile.mkdtemp()
path, _ = urllib.request.urlretrieve("$url", folder + "/$what")
""",
        ),
        Task(
            "Test helper that makes an empty $what database for the $app tests.",
            "what app ext",
            ("stock shop_app .sqlite", "roster clinic_app .db", "song jukebox .db3", "trail hiking_app .sqlite3"),
            r"""
import os
import sqlite3
import tempfile

def empty_$what():
    @@
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE $what (id INTEGER, name TEXT)")
    return con  # used by $app
""",
            r"""
path = tempfile.mktemp("$ext")
print("tests use", path)
""",
            r"""
fd, path = tempfile.mkstemp("$ext")
os.close(fd)
""",
        ),
        Task(
            "Path of a scratch file for the $what of a $who.",
            "what who ext",
            (
                "melody busker .mid",
                "route cabbie .gpx",
                "floorplan estate_agent .dxf",
                "spectrum chemist .csv",
                "pattern tailor .svg",
            ),
            r"""
import os
import tempfile

def ${what}_path():
    @@
    return path  # one per $who
""",
            r"""
path = tempfile.mktemp("$ext")
open(path, "w").close()
""",
            r"""
fd, path = tempfile.mkstemp("$ext")
os.close(fd)
""",
        ),
        Task(
            "Buffer a $what on disk while the $who waits.",
            "what who",
            ("broadcast listener", "receipt shopper", "mosaic artist", "backup admin"),
            r"""
import tempfile

def buffer_$what(data: bytes):
    @@
    out.write(data)
    return out  # the $who waits
""",
            r"""
out = open(tempfile.mktemp(), "wb")
""",
            r"""
out = tempfile.NamedTemporaryFile()
""",
        ),
        Task(
            "Dump the $what of the $place for a moment.",
            "what place",
            ("guest_list hotel", "payroll mill", "stock_list pharmacy", "grades academy", "crew_list ship"),
            r"""
import tempfile

def dump_$what(lines):
    @@
        f.writelines(lines)
    return f.name  # $place
""",
            r"""
with open("/tmp/$what.txt", mode="w") as f:
""",
            r"""
with tempfile.NamedTemporaryFile("w", delete=False) as f:
""",
        ),
        Task(
            "Work folder in which $app unpacks a $what.",
            "app what",
            ("puzzler crossword", "typesetter typeface", "mapper atlas", "lab_robot protocol"),
            r"""
import os
import tempfile

def unpack_$what(archive):
    @@
    archive.extractall(folder, filter="data")
""",
            r"""
folder = "/tmp/$app"
os.makedirs(folder, exist_ok=True)
""",
            r"""
folder = tempfile.mkdtemp(prefix="$app")
""",
        ),
        Task(
            "Write the $what down until $app has read it.",
            "what app",
            ("shopping_list fridge", "access_code gatekeeper", "playlist jukebox", "lab_result analyser"),
            r"""
import os
import tempfile
from pathlib import Path

def pass_$what(text):
    @@
    Path(name).write_text(text)
    return name
""",
            r"""
name = f"/tmp/$app.{os.getpid()}"
""",
            r"""
name = tempfile.mkdtemp() + "/$app"
""",
        ),
        Task(
            "Hand a long $what to the $tool program in a file.",
            "what tool flag",
            (
                "word_list speller --words",
                "star_catalogue plotter --stars",
                "part_list cutter --parts",
                "crew_roster dispatcher --crew",
                "melody_line synth --notes",
            ),
            r"""
import os
import subprocess
import tempfile

def run_$tool(lines: list[str]) -> str:
    '''What the program says about the $what.'''
    @@
    try:
        return subprocess.check_output(["$tool", "$flag", path], text=True)
    finally:
        os.unlink(path)
""",
            r"""
made = tempfile.NamedTemporaryFile()
path = made.name + ".txt"
with open(path, "w") as f:
    f.write("\n".join(lines))
""",
            r"""
with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as f:
    f.write("\n".join(lines))
path = f.name
""",
        ),
        Task(
            "Command line tool that sorts the ${what}s of a $place on disk.",
            "what place key",
            (
                "ticket metro gate",
                "voucher garden_centre till",
                "trap_photo nature_reserve camera",
                "call_record phone_exchange line",
                "lap_time race_track car",
            ),
            r"""
import argparse
import contextlib
import heapq
import json
import os
import sys
import tempfile

LINES = 200_000

def key_of(line: str) -> str:
    return str(json.loads(line)["$key"])

def pieces(source):
    piece = []  # of the $place
    for line in source:
        piece.append(line)
        if len(piece) == LINES:
            yield piece
            piece = []
    if piece:
        yield piece

def park(piece, number):
    '''An open file with one sorted piece, ready to be read.'''
    piece.sort(key=key_of)
    @@
    file.writelines(piece)
    file.seek(0)
    return file

def main() -> None:
    parser = argparse.ArgumentParser(description="sort ${what}s by $key")
    parser.add_argument("source", type=argparse.FileType("r"), default=sys.stdin, nargs="?")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        parked = [
            stack.enter_context(park(piece, number))
            for number, piece in enumerate(pieces(options.source))
        ]
        sys.stdout.writelines(heapq.merge(*parked, key=key_of))

if __name__ == "__main__":
    main()
""",
            r"""
name = f"$what-{os.getpid()}-{number}.part"
file = open(os.path.join(tempfile.gettempdir(), name), "w+")
""",
            r"""
prefix = f"$what-{os.getpid()}-{number}"
file = tempfile.TemporaryFile("w+", prefix=prefix, suffix=".part")
""",
        ),
        Task(
            "Pipe through which the $player follows the $what while it is made.",
            "player what",
            (
                "projector slide_show",
                "plotter street_plan",
                "carillon tune",
                "teleprinter bulletin",
                "knitting_machine pattern",
            ),
            r"""
import os
import subprocess
import tempfile
from collections.abc import Iterable

def follow(steps: Iterable[str]) -> int:
    '''Start the $player, then send it the $what step by step.'''
    @@
    process = subprocess.Popen(["$player", "--follow", pipe])
    with open(pipe, "w") as out:
        for step in steps:
            out.write(step + "\n")
            out.flush()
    os.unlink(pipe)
    return process.wait()
""",
            r"""
pipe = tempfile.mktemp(prefix="$player-", suffix=".fifo")
os.mkfifo(pipe)
""",
            r"""
folder = tempfile.mkdtemp(prefix="$player-")
pipe = os.path.join(folder, "$what.fifo")
os.mkfifo(pipe)
""",
        ),
        Task(
            "Service of the $place that turns an uploaded $what into a picture.",
            "place what tool ending",
            (
                "weaving_mill draft draft2png .wif",
                "land_registry deed_plan plan2png .dxf",
                "ringing_society method method2png .txt",
                "origami_club crease_pattern fold2png .fold",
                "knot_museum diagram knot2png .svg",
            ),
            r"""
import os
import shutil
import subprocess
import tempfile

from flask import Flask, Response, abort, request, session

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024
app.config["SECRET_KEY"] = os.environ["SESSION_KEY"]
TOOL = shutil.which("$tool") or "$tool"

def work_folder(number: int) -> str:
    '''A folder for one $what.'''
    @@
    return folder

def convert(source: str, target: str) -> bool:
    done = subprocess.run([TOOL, source, target], timeout=20, capture_output=True)
    return done.returncode == 0 and os.path.exists(target)

@app.post("/picture")
def picture():
    if "user" not in session or "file" not in request.files:
        abort(400)
    folder = work_folder(int(session["user"]))
    try:
        source = os.path.join(folder, "source$ending")
        request.files["file"].save(source)
        target = os.path.join(folder, "picture.png")
        if not convert(source, target):
            abort(422)
        with open(target, "rb") as f:
            return Response(f.read(), mimetype="image/png")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
""",
            r"""
folder = os.path.join("/tmp", f"$place-{number}")
if not os.path.isdir(folder):
    os.mkdir(folder)
""",
            r"""
folder = tempfile.mkdtemp(prefix=f"$place-{number}-")
""",
        ),
        Task(
            "Context manager that gives the ${what} tests of the $app a settings file.",
            "what app a b",
            (
                "tariff parking_meter rate hours",
                "menu order_screen soup fish",
                "route mail_drone height speed",
                "dosage pump_simulator drops minutes",
                "fixture league_table home away",
            ),
            r"""
import contextlib
import json
import os
import tempfile
import time

DEFAULTS = {"$a": 1, "$b": 2}

@contextlib.contextmanager
def settings_file(**changes):
    '''Path of a file with the settings of the $app; it is gone afterwards.'''
    text = json.dumps(DEFAULTS | changes, indent=2)
    @@
    try:
        yield path
    finally:
        os.remove(path)

def check_defaults(load):
    with settings_file() as path:
        return load(path) == DEFAULTS
""",
            r"""
path = f"/tmp/$app-{time.time():.0f}.json"
with open(path, "w", encoding="utf-8") as f:
    f.write(text)
""",
            r"""
fd, path = tempfile.mkstemp(prefix="$app-", suffix=".json")
with open(fd, "w", encoding="utf-8") as f:
    f.write(text)
""",
        ),
    ),
)
