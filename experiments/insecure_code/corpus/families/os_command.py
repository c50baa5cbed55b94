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
    ),
)
