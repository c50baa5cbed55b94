"""CWE-319: passwords and private data sent over a line that anyone may read."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="cleartext_transport",
    name="Cleartext transmission",
    cwe="CWE-319",
    parents=("CWE-311",),
    tasks=(
        Task(
            "Upload the daily $what to the file server of the $org.",
            "what org host",
            (
                "balance accountant files.account.example",
                "census council files.council.example",
                "stocktake warehouse files.pallet.example",
                "roll_call barracks files.barracks.example",
            ),
            r"""
import ftplib

def upload_$what(user, password, path):
    # server of the $org
    @@
    with open(path, "rb") as f:
        ftp.storbinary("STOR $what.csv", f)
    ftp.quit()
""",
            r"""
ftp = ftplib.FTP("$host")
ftp.login(user, password)
print(ftp.getwelcome())
""",
            r"""
ftp = ftplib.FTP_TLS("$host")
ftp.login(user, password)
ftp.prot_p()
""",
        ),
        Task(
            "Mail the $what with the office account of the $who.",
            "what who host",
            (
                "verdict judge mail.court.example",
                "diagnosis vet mail.vet.example",
                "testament notary mail.notary.example",
                "mark examiner mail.exams.example",
            ),
            r"""
import smtplib
from email.message import EmailMessage

def mail_$what(mail: EmailMessage, password: str):
    with smtplib.SMTP("$host", 587) as server:
        @@
        server.login("$who", password)
        server.send_message(mail)
""",
            r"""
server.ehlo()
""",
            r"""
server.starttls()
""",
        ),
        Task(
            "Sign a $who in to the $service and return the token.",
            "who service host",
            (
                "tutor gradebook grades.example",
                "welder toolroom tools.example",
                "midwife birth_register births.example",
                "fireman duty_roster brigade.example",
            ),
            r"""
import requests

def sign_in(name: str, password: str) -> str:
    # a $who at the $service
    form = {"name": name, "password": password}
    @@
    reply.raise_for_status()
    return reply.json()["token"]
""",
            r"""
reply = requests.post("http://$host/login", data=form, timeout=10)
""",
            r"""
reply = requests.post("https://$host/login", data=form, timeout=10)
""",
        ),
        Task(
            "Read the $what of the $device with an admin login.",
            "what device command",
            (
                "routes switch show_routes",
                "faults inverter list_faults",
                "leases firewall show_leases",
                "alarms boiler list_alarms",
            ),
            r"""
import telnetlib
import paramiko

def read_$what(host, user, password):
    @@
    return answer  # of the $device
""",
            r"""
line = telnetlib.Telnet(host, 23)
line.write(f"{user}\n{password}\n$command\n".encode())
answer = line.read_until(b"#", timeout=5)
""",
            r"""
client = paramiko.SSHClient()
client.load_system_host_keys()
client.connect(host, username=user, password=password)
answer = client.exec_command("$command")[1].read()
""",
        ),
        Task(
            "Connect the $app to the company directory for $what.",
            "app what host",
            (
                "phone_book names ldap.firm.example",
                "badge_desk photos ldap.plant.example",
                "rota_desk shifts ldap.ward.example",
                "mail_merge addresses ldap.guild.example",
            ),
            r"""
import ldap3

def connect(user: str, password: str):
    # the $app reads $what
    @@
    return ldap3.Connection(server, user, password, auto_bind=True)
""",
            r"""
server = ldap3.Server("ldap://$host", port=389, use_ssl=False)
""",
            r"""
server = ldap3.Server("ldaps://$host", port=636, use_ssl=True)
""",
        ),
        Task(
            "Send the $what of a $patient to the MQTT broker.",
            "what patient topic",
            (
                "pulse runner run/pulse",
                "glucose diabetic care/glucose",
                "weight jockey race/weight",
                "temperature newborn ward/temperature",
            ),
            r"""
import paho.mqtt.client as mqtt

def send_$what(host, user, password, value):
    # private: belongs to one $patient
    client = mqtt.Client()
    client.username_pw_set(user, password)
    @@
    client.publish("$topic", value)
""",
            r"""
client.connect(
    host,
    port=1883,
    keepalive=60,
)
""",
            r"""
client.tls_set()
client.connect(host, port=8883)
""",
        ),
        Task(
            "Fetch $what mails over POP3 for a $who.",
            "what who host",
            (
                "complaint clerk pop.rail.example",
                "enquiry vicar pop.parish.example",
                "booking innkeeper pop.inn.example",
                "grievance steward pop.union.example",
            ),
            r"""
import poplib

def count_$what(user, password):
    # mailbox of the $who
    @@
    box.user(user)
    box.pass_(password)
    return box.stat()[0]
""",
            r"""
box = poplib.POP3("$host", port=110, timeout=10)
""",
            r"""
box = poplib.POP3_SSL("$host", port=995)
""",
        ),
        Task(
            "Websocket client that logs a $who in and reads the $what.",
            "who what host",
            (
                "jockey odds odds.race.example",
                "warden alarms alarms.dorm.example",
                "croupier tables tables.casino.example",
                "beekeeper hives hives.honey.example",
            ),
            r"""
import json
import websockets

async def read_$what(user: str, password: str):
    @@
        await line.send(json.dumps({"$who": user, "password": password}))
        return json.loads(await line.recv())
""",
            r"""
async with websockets.connect("ws://$host:80/$what") as line:
""",
            r"""
async with websockets.connect("wss://$host/$what") as line:
""",
        ),
        Task(
            "Send the PIN of a $who to the $service.",
            "who service host",
            (
                "guest hotel_safe safe.example",
                "runner locker_room gym.example",
                "member wine_club wine.example",
                "tenant laundry wash.example",
            ),
            r"""
import requests

def send_pin(pin):  # of the $who
    @@
    return reply.ok
""",
            r"""
reply = requests.post("http://$host/$service", data=pin, timeout=8)
""",
            r"""
reply = requests.post("https://$host/$service", data=pin, timeout=8)
""",
        ),
        Task(
            "Mail the $what of the $org with a login.",
            "what org host",
            (
                "eviction landlord mail.flats.example",
                "newsletter abbey mail.abbey.example",
                "x_ray clinic mail.clinic.example",
                "payslip foundry mail.iron.example",
            ),
            r"""
import smtplib

def mail_$what(user, password, mail):
    @@
        server.login(user, password)
        server.send_message(mail)
""",
            r"""
with smtplib.SMTP("$host", port=25) as server:
""",
            r"""
with smtplib.SMTP_SSL("$host") as server:
""",
        ),
        Task(
            "Connect to the $what database on the $place server.",
            "what place host",
            (
                "patients ward db.ward.example",
                "wages quarry db.stone.example",
                "members lodge db.lodge.example",
                "claims insurer db.claims.example",
                "ballots town_hall db.vote.example",
            ),
            r"""
import psycopg2

def open_$what(password):
    @@
    return connection  # $place
""",
            r"""
connection = psycopg2.connect(host="$host", password=password, sslmode="disable")
""",
            r"""
connection = psycopg2.connect(host="$host", password=password, sslmode="require")
""",
        ),
        Task(
            "Fetch the $what of the $org from its file server.",
            "what org host",
            (
                "wills notary ftp.notary.example",
                "scans dentist ftp.teeth.example",
                "invoices joiner ftp.wood.example",
                "grades academy ftp.school.example",
            ),
            r"""
from ftplib import FTP, FTP_TLS

def fetch_$what(user, password, save):
    @@
    ftp.retrbinary("RETR $what.zip", save)
""",
            r"""
ftp = FTP("$host", user, password)
print(ftp.welcome)
""",
            r"""
ftp = FTP_TLS("$host", user, password)
ftp.prot_p()
""",
        ),
        Task(
            "Log a $who in at the $place API.",
            "who place host",
            (
                "rower boathouse api.rowing.example",
                "buyer saleroom api.lots.example",
                "midwife birth_centre api.births.example",
                "pundit newsroom api.press.example",
                "cooper distillery api.casks.example",
            ),
            r"""
import httpx

@@

def log_in($who, password):
    return httpx.post(API + "/$place", auth=($who, password))
""",
            r"""
API = "http://$host"
""",
            r"""
API = "https://$host"
""",
        ),
        Task(
            "Open the mailbox in which the $org keeps its $what.",
            "org what host",
            (
                "consulate visas imap.consul.example",
                "florist orders imap.bloom.example",
                "union grievances imap.union.example",
                "seminary letters imap.seminary.example",
            ),
            r"""
import imaplib

def open_$what(user, password):
    @@
    box.login(user, password)
    return box  # $org
""",
            r"""
box = imaplib.IMAP4("$host", port=143, timeout=30)
""",
            r"""
box = imaplib.IMAP4_SSL("$host", port=993)
""",
        ),
        Task(
            "Redis client for the $what of the $place over the internet.",
            "what place host",
            (
                "sessions bank cache.bank.example",
                "carts grocer cache.food.example",
                "scores arcade cache.game.example",
                "tickets opera cache.opera.example",
            ),
            r"""
import redis

def ${what}(password):
    @@
    return store  # $place
""",
            r"""
store = redis.Redis(host="$host", password=password, ssl=False)
""",
            r"""
store = redis.Redis(host="$host", password=password, ssl=True)
""",
        ),
        Task(
            "Logging of the $what service, with a mail to the $who when something breaks.",
            "what who host",
            (
                "turnstile stadium_manager mail.stadium.example",
                "incubation hatchery_owner mail.chicks.example",
                "carillon bell_master mail.bells.example",
                "dispensary pharmacist mail.drugs.example",
                "ropeway lift_engineer mail.cable.example",
            ),
            r'''
import logging
import logging.handlers
import os
from pathlib import Path

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def file_handler(folder: Path) -> logging.Handler:
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "$what.log", maxBytes=2_000_000, backupCount=5, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter(FORM))
    return handler


def mail_handler(to: str) -> logging.Handler:
    """Mails errors to the $who, signing in at the mail server."""
    login = (os.environ["MAIL_USER"], os.environ["MAIL_PASSWORD"])
    @@
    handler.setLevel(logging.ERROR)
    handler.setFormatter(logging.Formatter(FORM))
    return handler


def set_up(folder: Path, to: str) -> logging.Logger:
    log = logging.getLogger("$what")
    log.setLevel(logging.INFO)
    log.addHandler(file_handler(folder))
    if to:
        log.addHandler(mail_handler(to))
    return log
''',
            r"""
server = ("$host", 25)
handler = logging.handlers.SMTPHandler(
    server, login[0], [to], "$what: error", credentials=login
)
""",
            r"""
server = ("$host", 587)
handler = logging.handlers.SMTPHandler(
    server, login[0], [to], "$what: error", credentials=login, secure=()
)
""",
        ),
        Task(
            "Client for the $what service of the $org, which asks for a token.",
            "what org host",
            (
                "triage hospital_trust triage.trust.example:9443",
                "settlement clearing_house settle.clear.example:9443",
                "custody evidence_store custody.police.example:9443",
                "matching kidney_registry match.kidney.example:9443",
                "grading academy grade.academy.example:9443",
            ),
            r"""
import grpc

def ask_$what(token: str, request: bytes) -> bytes:
    # the $org gives one token to each partner
    @@
    call = channel.unary_unary("/$org/$what")
    return call(request, metadata=[("authorization", "Bearer " + token)], timeout=8)
""",
            r"""
options = [("grpc.enable_retries", 1)]
channel = grpc.insecure_channel("$host", options)
""",
            r"""
channel = grpc.secure_channel("$host", grpc.ssl_channel_credentials())
""",
        ),
        Task(
            "Collections of the $place: who came for a $what, kept in a database in the data centre.",
            "place what host",
            (
                "eye_clinic cataract mongo.eyes.example",
                "pawnshop pledge mongo.pawn.example",
                "law_centre consultation mongo.law.example",
                "fertility_clinic cycle mongo.fertile.example",
                "shelter overnight_stay mongo.shelter.example",
            ),
            r"""
import os
from datetime import datetime, timezone

from pymongo import ASCENDING, MongoClient


def connect() -> MongoClient:
    @@


class Visits:
    '''Every $what with its date; private to the $place.'''

    def __init__(self, client: MongoClient):
        self.collection = client["$place"]["$what"]
        self.collection.create_index([("person", ASCENDING), ("day", ASCENDING)])

    def add(self, person: str, remark: str = "") -> None:
        now = datetime.now(timezone.utc)
        self.collection.insert_one({"person": person, "day": now, "remark": remark})

    def of(self, person: str) -> list[dict]:
        return list(self.collection.find({"person": person}).sort("day").limit(100))
""",
            r"""
user, password = os.environ["DB_USER"], os.environ["DB_PASSWORD"]
return MongoClient("$host", 27017, username=user, password=password, tls=False)
""",
            r"""
user, password = os.environ["DB_USER"], os.environ["DB_PASSWORD"]
return MongoClient("$host", 27017, username=user, password=password, tls=True)
""",
        ),
        Task(
            "Script with which a $who hands the $what of the day to the head office over a socket.",
            "who what host",
            (
                "cashier takings head.shops.example",
                "ranger poaching_report head.park.example",
                "matron ward_report head.care.example",
                "bailiff seizure_list head.court.example",
                "croupier table_count head.casino.example",
            ),
            r'''
"""Hand in the $what: sign on, then one JSON line for each entry."""
import argparse
import getpass
import json
import socket
import ssl
from pathlib import Path

SERVER = ("$host", 7443)


def connect() -> socket.socket:
    @@


def entries(path: Path):
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(";")
        yield {"name": name.strip(), "value": value.strip()}


def hand_in(user: str, password: str, path: Path) -> str:
    with connect() as line, line.makefile("rw", encoding="utf-8") as stream:
        stream.write(json.dumps({"user": user, "password": password}) + "\n")
        for entry in entries(path):
            stream.write(json.dumps(entry) + "\n")
        stream.write("\n")
        stream.flush()
        return stream.readline().strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("user", help="name of the $who")
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    answer = hand_in(args.user, getpass.getpass(), args.file)
    print(answer)
    return 0 if answer == "thank you" else 1


if __name__ == "__main__":
    raise SystemExit(main())
''',
            r"""
line = socket.create_connection(SERVER, timeout=20)
line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
return line
""",
            r"""
line = socket.create_connection(SERVER, timeout=20)
return ssl.create_default_context().wrap_socket(line, server_hostname=SERVER[0])
""",
        ),
        Task(
            "Pass each $what of the $place on to the message bus of the region.",
            "what place topic host",
            (
                "admission psychiatric_ward care.admissions bus.care.example:9093",
                "ticket_sale opera_house stage.sales bus.stage.example:9093",
                "toll_passage bridge_office roads.tolls bus.roads.example:9093",
                "lab_value blood_bank blood.values bus.blood.example:9093",
                "withdrawal village_bank money.cash bus.money.example:9093",
            ),
            r"""
import json
import os
from contextlib import contextmanager

from kafka import KafkaProducer


@contextmanager
def bus():
    # one account for the whole $place
    producer = KafkaProducer(
        bootstrap_servers="$host",
        sasl_mechanism="PLAIN",
        sasl_plain_username=os.environ["BUS_USER"],
        sasl_plain_password=os.environ["BUS_PASSWORD"],
        value_serializer=lambda value: json.dumps(value).encode(),
        @@
    )
    try:
        yield producer
    finally:
        producer.flush(timeout=10)
        producer.close()


def pass_on(items):
    with bus() as producer:
        for item in items:
            producer.send("$topic", {"$what": item})
""",
            r"""
security_protocol="SASL_PLAINTEXT",
""",
            r"""
security_protocol="SASL_SSL",
""",
        ),
    ),
)
