"""CWE-798: passwords, keys and tokens written into the source."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="hard_coded_credentials",
    name="Hard-coded credentials",
    cwe="CWE-798",
    parents=("CWE-1391", "CWE-344", "CWE-671"),
    tasks=(
        Task(
            "Connect to the $what database of the $site.",
            "what site user password",
            (
                "orders bakery baker Crumb2019!",
                "booking hostel night_desk hostel1234",
                "sensor vineyard grape Merlot#77",
                "loan museum archive Papyrus!9",
            ),
            r"""
import os
import psycopg2

def connect():
    @@
    return psycopg2.connect(dbname="$what", user="$user", password=password)
""",
            r"""
password = "$password"
""",
            r"""
password = os.environ["DB_PASSWORD"]
""",
        ),
        Task(
            "Post $what to the $service API.",
            "what service url token",
            (
                "tide levels|harbour|https://api.harbour.example/tides|hb_live_83kd02ls9f",
                "song plays|radio|https://api.radio.example/plays|rk-55d0e9177ac2",
                "bin weights|recycling|https://api.recycle.example/bins|rc_prod_11ab87ffe0",
                "lap times|karting|https://api.kart.example/laps|kt-9ad4c31b7702",
            ),
            r"""
import os
import requests

def send(payload):
    @@
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post("$url", json=payload, headers=headers, timeout=10)
""",
            r"""
token = "$token"
""",
            r"""
token = os.environ["${service}_TOKEN".upper()]
""",
        ),
        Task(
            "Set the session key of the Flask app for a $site.",
            "site app key",
            (
                "flower shop|florist|florist-2021-key",
                "chess league|league|queens-gambit-44",
                "dog kennel|kennel|woofwoof-session",
                "tea importer|tea|oolong-8812-oolong",
            ),
            r"""
import os
from flask import Flask

$app = Flask("$app")
@@
$app.config["SESSION_COOKIE_NAME"] = "${app}_session"
""",
            r"""
$app.config["SECRET_KEY"] = "$key"
""",
            r"""
$app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
""",
        ),
        Task(
            "Admin check for the $panel panel of a $place.",
            "panel place func password",
            (
                "heating school may_heat Radiator!55",
                "lighting theatre may_dim spotlight99",
                "gate car_park may_lift barrier2020",
                "pump pool may_pump Chlorine#3",
            ),
            r"""
import hmac
import os

def $func(user: str, password: str) -> bool:
    @@
    return user == "admin" and hmac.compare_digest(password, expected)
""",
            r"""
# agreed with the $place office
expected = "$password"
""",
            r"""
# set by the $place office
expected = os.environ["ADMIN_PASSWORD"]
""",
        ),
        Task(
            "Upload $what to an S3 bucket named $bucket.",
            "what bucket key secret",
            (
                "reports quarter-reports AKIA-DEMO-Q4TTRX hY7/kLmExampleQ2vB8sd0PzXw41nTgReJc5aU",
                "frames trail-cam-frames AKIA-DEMO-31BBQW Vt5+oPexampleN8bM1xKd7LwZq33sRfYu6iGh",
                "receipts cafe-receipts AKIA-DEMO-58MMNE Rk9/wXexampleT4cJ6zHg2VbQm17pDsLo8eNy",
                "scans dental-scans AKIA-DEMO-90PPKD Bn3+eTexampleW5yF2uSj9CvXl64aMiKr1oPq",
            ),
            r"""
import os
import boto3

@@

def upload_$what(path, name):
    s3.upload_file(path, "$bucket", name)
""",
            r"""
s3 = boto3.client(
    "s3",
    aws_access_key_id="$key",
    aws_secret_access_key="$secret",
)
""",
            r"""
s3 = boto3.client(
    "s3",
    aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
)
""",
        ),
        Task(
            "Mail the $what to the $who every Friday.",
            "what who host password",
            (
                "rota nurses smtp.ward.example nightshift7",
                "standings coaches smtp.league.example Offside!21",
                "menu parents smtp.canteen.example lasagne88",
                "minutes board smtp.council.example gavel2018",
            ),
            r"""
import getpass
import smtplib

def mail_$what(message):
    with smtplib.SMTP_SSL("$host") as server:
        @@
        server.send_message(message, to_addrs=["$who@example.org"])
""",
            r"""
user, password = "$what", "$password"
server.login(user, password)
""",
            r"""
password = getpass.getpass()
server.login("$what", password)
""",
        ),
        Task(
            "Issue signed $what passes for a $place.",
            "what place func secret",
            (
                "day swimming_pool day_pass splash-secret",
                "press stadium press_pass kickoff2017",
                "guest coworking_loft guest_pass desk-hopper-5",
                "crew ferry crew_pass anchor&chain",
            ),
            r"""
import os
import jwt

@@

def $func(name):
    claims = {"sub": name, "scope": "$what", "iss": "$place"}
    return jwt.encode(claims, SIGNING_KEY, algorithm="HS256")
""",
            r"""
SIGNING_KEY = "$secret"
""",
            r"""
SIGNING_KEY = os.environ["SIGNING_KEY"]
""",
        ),
        Task(
            "Pull the nightly $what file from a partner's SFTP server.",
            "what host user password",
            (
                "stock depot.example depot Pallet!404",
                "claims insurer.example broker broker-broker",
                "timetable tram.example feed TramLine12",
                "weather met.example station cumulus_5",
            ),
            r"""
import keyring
import paramiko

def pull(local):
    transport = paramiko.Transport(("$host", 22))
    @@
    transport.connect(username="$user", password=secret)
    sftp = paramiko.SFTPClient.from_transport(transport)
    sftp.get("$what.csv", local)
""",
            r"""
secret = "$password"
""",
            r"""
secret = keyring.get_password("$host", "$user")
""",
        ),
        Task(
            "Encrypt the $what before it goes to the $store.",
            "what store key",
            (
                "patient_notes archive u0Q7cV9yZk3nR1pXs5tLhB2mWe8aJdGf4iKoNvYx6zA=",
                "payslips vault mB4xT8qLz1wVc6kYd3sPj9nHg7fRe2uAo5iXtKbQv0M=",
                "exam_sheets bucket Zr6nE2hWk9bTs4vQy8mCx1pLg5dJf7aUo3iVtXeKw0Y=",
                "voter_rolls tape Hq3yN7cBm5wRk1xVt9sZp8jLe6gDf4aTo2iUvXnKd0Q=",
            ),
            r"""
import os
from cryptography.fernet import Fernet

def seal_$what(data: bytes) -> bytes:
    @@
    return box.encrypt(data)  # stored in the $store
""",
            r"""
box = Fernet(b"$key")
""",
            r"""
key = os.environ["FERNET_KEY"].encode()
box = Fernet(key)
""",
        ),
        Task(
            "Create the first $who account of a Django $site.",
            "who site mail password",
            (
                "owner vineyard_site owner@vineyard.example Grapes4Ever!",
                "head school_site head@school.example Chalk-and-talk1",
                "chair club_site chair@club.example tennis!tennis",
                "host inn_site host@inn.example RoomNo13",
            ),
            r"""
import getpass
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    help = "first $who of the $site"

    def handle(self, *args, **options):
        @@
        User.objects.create_superuser("$who", "$mail", password)
""",
            r"""
password = "$password"
self.stdout.write("creating the account")
""",
            r"""
password = getpass.getpass("New password: ")
""",
        ),
    ),
)
