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
    ),
)
