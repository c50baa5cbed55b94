"""CWE-78: a shell command line built from outside values."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="os_command",
    name="OS command injection",
    cwe="CWE-78",
    parents=("CWE-77",),
    tasks=(
        Task(
            "Endpoint that runs $tool for a host named by the $who.",
            "tool who route flag args",
            (
                'ping|support agent|/ping|-c 2|"-c", "2"',
                'traceroute|network student|/route|-m 8|"-m", "8"',
                'nslookup|domain owner|/dns|-type=mx|"-type=mx"',
                'whois|registrar clerk|/owner|-H|"-H"',
            ),
            r"""
from flask import Flask, request
import subprocess

app = Flask(__name__)

@app.get("$route")
def probe():
    host = request.args["host"]
    @@
    return out.decode()
""",
            r"""
out = subprocess.check_output(f"$tool $flag {host}", shell=True)
""",
            r"""
out = subprocess.check_output(["$tool", $args, "--", host])
""",
        ),
        Task(
            "Turn a $src the user picks into $dst with $tool.",
            "src dst tool",
            ("photo a_thumbnail convert", "podcast an_mp3 ffmpeg", "drawing a_png inkscape", "manuscript a_pdf pandoc"),
            r"""
import subprocess

def make_$dst($src, target):
    @@
    return target
""",
            r"""
command = "$tool " + $src + " " + target
subprocess.run(command, shell=True, check=True)
""",
            r"""
command = ["$tool", $src, target]
subprocess.run(command, check=True)
""",
        ),
        Task(
            "Ask for a folder and $verb it.",
            "verb tool name args",
            (
                'show the disk usage of|du -sh|usage|"du", "-sh"',
                'count the files in|tree -L 1|census|"tree", "-L", "1"',
                'list the newest items of|ls -t|newest|"ls", "-t"',
                'compress|zip -r out.zip|pack|"zip", "-r", "out.zip"',
            ),
            r"""
import os
import subprocess

def $name():
    folder = input("Folder: ")
    @@

$name()
""",
            r"""
print("Working on", folder)
os.system("$tool " + folder)
""",
            r"""
subprocess.run([$args, folder], check=False)
""",
        ),
        Task(
            "A $bot command that restarts the $thing given in the message.",
            "bot thing cmd",
            (
                "Discord service systemctl_restart",
                "Matrix container docker_restart",
                "Slack job supervisorctl_restart",
                "Telegram process pm2_restart",
            ),
            r"""
import subprocess

PREFIX = "$cmd".split("_")

def on_${bot}_message(text):
    $thing = text.removeprefix("!restart ")
    @@
    return "$bot: restarted " + $thing
""",
            r"""
line = " ".join(PREFIX) + f" {$thing}"
subprocess.call(line, shell=True)
""",
            r"""
subprocess.call([*PREFIX, $thing])
""",
        ),
        Task(
            "Clone the $what repository at the URL in the form and report success.",
            "what field path",
            (
                "homework url /srv/homework",
                "plugin source /opt/plugins",
                "theme address /var/themes",
                "dataset origin /data/sets",
            ),
            r"""
import os
import subprocess
from fastapi import FastAPI, Form

app = FastAPI()

@app.post("/$what")
def clone($field: str = Form()):
    @@
    return {"ok": code == 0}
""",
            r"""
code = os.system(f"cd $path && git clone {$field}")
""",
            r"""
code = subprocess.call(["git", "clone", "--", $field], cwd="$path")
""",
        ),
        Task(
            "Find $what in the $log log that contain a word.",
            "what log word",
            ("logins auth user", "crashes kernel module", "refunds billing order", "downloads mirror package"),
            r"""
import shlex
import subprocess

def $what($word):
    @@
    return result.stdout.splitlines()
""",
            r"""
result = subprocess.run(
    f"grep {$word} /var/log/$log.log | tail -n 50",
    shell=True,
    capture_output=True,
    text=True,
)
""",
            r"""
result = subprocess.run(
    ["grep", "-F", "-m", "50", "-e", $word, "/var/log/$log.log"],
    capture_output=True,
    text=True,
)
""",
        ),
        Task(
            "Print a $doc on the office printer chosen by the $who.",
            "doc who queue",
            ("badge visitor lobby", "menu waiter kitchen", "ticket cashier counter", "map ranger station"),
            r"""
import asyncio

async def print_$doc(printer, path):
    @@
    await proc.wait()
    return f"$who: sent to {printer} ($queue)"
""",
            r"""
line = f"lp -d {printer} {path}"
proc = await asyncio.create_subprocess_shell(line)
""",
            r"""
proc = await asyncio.create_subprocess_exec("lp", "-d", printer, path)
""",
        ),
        Task(
            "Back up the $thing database a $who asks for.",
            "thing who dump",
            ("clinic nurse pg_dump", "league referee mysqldump", "choir conductor mongodump", "farm keeper pg_dumpall"),
            r"""
import subprocess
from datetime import date

def backup_$thing(name):
    target = f"/backups/{date.today()}.sql"
    @@
    return target
""",
            r"""
subprocess.Popen(f"$dump {name} > {target}", shell=True).wait()
""",
            r"""
with open(target, "wb") as out:
    subprocess.run(["$dump", "--", name], stdout=out, check=True)
""",
        ),
        Task(
            "Run a command with a $arg argument on the $host server over SSH.",
            "arg host cmd",
            ("username mail id", "unit render status", "package build dpkg", "volume storage lsblk"),
            r"""
import shlex
import paramiko

def remote_$cmd(client: paramiko.SSHClient, $arg):
    @@
    return out.read().decode()
""",
            r"""
command = "$cmd " + $arg
_, out, _ = client.exec_command(command)
""",
            r"""
command = shlex.join(["$cmd", $arg])
_, out, _ = client.exec_command(command)
""",
        ),
        Task(
            "Celery task that scans a $what file sent by a $who.",
            "what who tool flag",
            (
                "mail postmaster clamscan --infected",
                "book publisher aspell list",
                "model printer_shop slic3r --info",
                "track label sox --info",
            ),
            r"""
import subprocess
from celery import Celery

queue = Celery("$what")

@queue.task
def scan(path):
    # path is what the $who called the file
    @@
    return result.returncode, result.stdout
""",
            r"""
result = subprocess.run(f"$tool $flag '{path}'", shell=True, stdout=subprocess.PIPE)
""",
            r"""
result = subprocess.run(["$tool", "$flag", path], shell=False, stdout=subprocess.PIPE)
""",
        ),
        Task(
            "Ping a $device and say if it is up.",
            "device count",
            ("sensor 2", "turbine 4", "router 3", "beacon 5", "doorbell 1"),
            r"""
import subprocess

def ${device}_is_up(address):
    @@
    return done.returncode == 0  # $count packets
""",
            r"""
done = subprocess.run(f"ping -c $count {address}", shell=True)
""",
            r"""
done = subprocess.run(["ping", "-c", "$count", address])
""",
        ),
        Task(
            "Pack a $what before it goes to the $who.",
            "what who tool",
            ("diary biographer gzip", "mixtape listener xz", "logbook captain bzip2", "herbarium botanist zstd"),
            r"""
import subprocess

def pack_$what(name):
    # for the $who
    @@
    return code
""",
            r"""
code = subprocess.call("$tool " + name, shell=True)
""",
            r"""
code = subprocess.call(["$tool", "--", name])
""",
        ),
        Task(
            "Read the $info of a $what file.",
            "info what tool",
            (
                "tags song id3v2",
                "location photo exiftool",
                "fonts brochure pdffonts",
                "codec film mediainfo",
                "checksum backup sha256sum",
            ),
            r"""
import os
import subprocess

def ${what}_$info(path):
    @@
    return text.strip()
""",
            r"""
text = os.popen("$tool " + path).read()
""",
            r"""
text = subprocess.check_output(["$tool", path], text=True)
""",
        ),
        Task(
            "Look up the $what of a domain for a $who.",
            "what who kind",
            (
                "mail_server postmaster MX",
                "name_server registrar NS",
                "text_record auditor TXT",
                "address webmaster AAAA",
            ),
            r"""
import subprocess

def $what(domain):
    @@
    return found.splitlines()  # for the $who
""",
            r"""
found = subprocess.getoutput(f"dig +short $kind {domain}")
""",
            r"""
found = subprocess.check_output(["dig", "+short", "$kind", domain], text=True)
""",
        ),
        Task(
            "Ask for a $what and play it on the $place speakers.",
            "what place tool",
            ("jingle lobby mpg123", "hymn church aplay", "siren gym paplay", "lullaby nursery ogg123"),
            r"""
import os
import subprocess

$what = input("$what: ")
@@
print("played in the $place")
""",
            r"""
os.system("$tool '" + $what + "'")
""",
            r"""
subprocess.run(["$tool", $what])
""",
        ),
        Task(
            "Bottle route that draws the $chart of a week that the $who types.",
            "chart who script",
            (
                "tide_curve skipper plot-tides",
                "milk_yield dairyman plot-milk",
                "snow_depth lift_operator plot-snow",
                "pollen_count asthmatic plot-pollen",
                "ticket_sales promoter plot-sales",
            ),
            r"""
import subprocess

from bottle import HTTPError, get, request, static_file

FOLDER = "/srv/$chart"

@get("/$chart")
def chart():
    week = request.query.get("week", "")
    target = f"{FOLDER}/current.png"
    @@
    done = subprocess.run(command, cwd=FOLDER, timeout=30)
    if done.returncode:
        raise HTTPError(400, "no such week")
    return static_file("current.png", root=FOLDER)
""",
            r"""
command = ["bash", "-c", f"$script --week={week} > {target}"]
""",
            r"""
command = ["$script", f"--week={week}", f"--output={target}"]
""",
        ),
        Task(
            "Fetch a folder of ${what}s from the $host machine by its name.",
            "what host folder",
            (
                "scan microscope /data/scans",
                "recording studio /data/takes",
                "render farm /data/frames",
                "measurement wind_tunnel /data/runs",
                "backup cash_desk /data/nights",
            ),
            r"""
import argparse
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

REMOTE = ["ssh", "-o", "BatchMode=yes", "--", "$host"]
BASE = "$folder"

def remote_command(name: str) -> str:
    '''What the shell of the other machine runs.'''
    @@

def fetch(name: str, into: Path) -> int:
    into.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen([*REMOTE, remote_command(name)], stdout=subprocess.PIPE) as ssh:
        with tarfile.open(fileobj=ssh.stdout, mode="r|gz") as archive:
            archive.extractall(into, filter="data")
    return ssh.returncode

def main() -> int:
    parser = argparse.ArgumentParser(description="${what}s from the $host")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--into", type=Path, default=Path("."))
    options = parser.parse_args()
    failed = [name for name in options.names if fetch(name, options.into)]
    for name in failed:
        print("could not fetch", repr(name), file=sys.stderr)
    return len(failed)

if __name__ == "__main__":
    sys.exit(main())
""",
            r"""
source = name.strip().strip("/")
parts = ["tar", "-C", BASE, "-czf", "-", source]
return " ".join(parts)
""",
            r"""
source = name.strip().strip("/")
return shlex.join(["tar", "-C", BASE, "-czf", "-", "--", source])
""",
        ),
        Task(
            "Let a $who check a $what inside its container.",
            "who what image tool",
            (
                "teacher submission grader pylint",
                "typographer manuscript press vale",
                "chemist structure bench obabel",
                "composer score engraver lilypond",
                "surveyor point_cloud mapper pdal",
            ),
            r"""
import os

import docker
from flask import Flask, abort, jsonify, request

app = Flask(__name__)
engine = docker.from_env()
LIMIT = 20_000

def container():
    found = engine.containers.list(filters={"label": "role=$image"})
    return found[0] if found else abort(503)

@app.post("/$what/check")
def check():
    name = os.path.basename(request.get_json()["name"])
    @@
    text = done.output.decode("utf-8", "replace")
    # the $who sees the end of a long output
    return jsonify(ok=done.exit_code == 0, output=text[-LIMIT:])
""",
            r"""
line = f"cd /work && $tool {name} 2>&1"
done = container().exec_run(["sh", "-c", line], user="nobody")
""",
            r"""
line = ["$tool", f"./{name}"]
done = container().exec_run(line, user="nobody", workdir="/work")
""",
        ),
        Task(
            "Nightly report of the $place: pack a list of ${what}s and encrypt it for somebody.",
            "place what sender",
            (
                "customs_house container harbour",
                "casino jackpot cashier",
                "maternity_ward birth registry",
                "opera_house ticket box_office",
                "mine_shaft gas_reading safety_desk",
            ),
            r"""
import asyncio
import json
import logging
import subprocess
from datetime import date
from pathlib import Path

log = logging.getLogger("$sender")
FOLDER = Path("/var/reports/$place")

class Failed(RuntimeError):
    '''A report could not be encrypted.'''

def write(day: date, rows: list[dict]) -> Path:
    path = FOLDER / f"{day}.json"
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path

def encrypt(path: Path, recipient: str) -> Path:
    '''The ${what}s of one day, packed, then encrypted for the recipient.'''
    target = path.with_suffix(".json.gz.gpg")
    @@
    if code:
        raise Failed(f"gpg ended with {code}")
    return target

async def report(rows: list[dict], recipients: dict[str, str]) -> list[Path]:
    path = write(date.today(), rows)
    jobs = [asyncio.to_thread(encrypt, path, to) for to in recipients.values()]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    for problem in done:
        if isinstance(problem, Exception):
            log.error("report of the $place: %r", problem)
    return [result for result in done if isinstance(result, Path)]
""",
            r"""
pipeline = f"gzip -c {path} | gpg --batch --yes -r '{recipient}' -e -o {target}"
code = subprocess.call(pipeline, shell=True)
""",
            r"""
seal = ["gpg", "--batch", "--yes", "-r", recipient, "-e", "-o", str(target)]
with subprocess.Popen(["gzip", "-c", str(path)], stdout=subprocess.PIPE) as packed:
    code = subprocess.call(seal, stdin=packed.stdout)
""",
        ),
        Task(
            "Fabric task that puts a release of the $app on the $machine and links it.",
            "app machine folder",
            (
                "menu_board kitchen /opt/menus",
                "seat_map box_office /opt/seats",
                "tram_display depot /opt/trams",
                "bee_counter apiary /opt/bees",
                "quiz_buzzer studio /opt/quiz",
            ),
            r"""
import shlex

from fabric import Connection, task

FOLDER = "$folder"

@task
def release(c, version):
    '''Unpack a version of the $app that was uploaded before.'''
    with Connection("$machine") as machine:
        @@
        machine.run(f"ln -sfn {place} {FOLDER}/current")
        machine.run("systemctl --user restart $app")
    print("released")
""",
            r"""
place = FOLDER + "/" + version.strip()
machine.run("mkdir -p " + place)
machine.run(f"tar -xf {place}.tar -C {place}")
""",
            r"""
place = shlex.quote(f"{FOLDER}/{version}")
machine.run(f"mkdir -p {place} && tar -xf {place}.tar -C {place}")
""",
        ),
    ),
)
