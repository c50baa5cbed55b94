"""CWE-915: attributes of an object that the sender of a request may choose freely."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="mass_assignment",
    name="Mass assignment",
    cwe="CWE-915",
    parents=("CWE-913",),
    tasks=(
        Task(
            "Flask route with which a $who edits their own profile.",
            "who a b right",
            (
                "breeder kennel phone is_judge",
                "reader nickname city is_moderator",
                "cook diet motto is_inspector",
                "pilot callsign airfield is_examiner",
            ),
            r"""
from flask import Flask, request
from flask_login import current_user, login_required

from .models import db

app = Flask(__name__)

@app.patch("/profile")
@login_required
def edit_profile():
    # a $who also has a column $right, set by the office
    body = request.get_json()
    @@
    db.session.commit()
    return {"ok": True}
""",
            r"""
for name, value in body.items():
    if hasattr(current_user, name):
        setattr(current_user, name, value)
""",
            r"""
for name in ("$a", "$b"):
    if name in body:
        setattr(current_user, name, str(body[name]))
""",
        ),
        Task(
            "Sign-up of a $who with SQLAlchemy.",
            "who table a b right",
            (
                "forager foragers name region is_expert",
                "cellist cellists name orchestra is_leader",
                "skater skaters name rink is_coach",
                "potter potters name studio is_treasurer",
            ),
            r"""
from fastapi import APIRouter, Depends, Request
from sqlalchemy import Boolean, String
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .database import session

router = APIRouter()

class Base(DeclarativeBase):
    pass

class Member(Base):
    __tablename__ = "$table"
    id: Mapped[int] = mapped_column(primary_key=True)
    $a: Mapped[str] = mapped_column(String(80))
    $b: Mapped[str] = mapped_column(String(80))
    $right: Mapped[bool] = mapped_column(Boolean, default=False)

@router.post("/$table")
async def sign_up(request: Request, db: Session = Depends(session)):
    '''A new $who.'''
    body = await request.json()
    @@
    db.add(member)
    db.commit()
    return {"id": member.id}
""",
            r"""
known = {column.key for column in Member.__table__.columns}
member = Member(**{key: value for key, value in body.items() if key in known})
""",
            r"""
member = Member($a=str(body["$a"]), $b=str(body["$b"]))
""",
        ),
        Task(
            "Account class of a $place whose owner may change some of it through a web form.",
            "place who a b money",
            (
                "arcade gamer nickname colour tokens",
                "laundrette customer name detergent credit",
                "bike_hire rider name saddle balance",
                "canteen pupil name allergies meals",
            ),
            r"""
import json
import sqlite3
from contextlib import closing
from urllib.parse import parse_qsl

PATH = "/srv/$place/accounts.sqlite"

class Account:
    '''What the $place knows about one $who; $money changes at the till only.'''

    def __init__(self, number):
        self.number = number
        self.$a = ""
        self.$b = ""
        self.$money = 0

    @classmethod
    def load(cls, number):
        account = cls(number)
        with closing(sqlite3.connect(PATH)) as db:
            row = db.execute("SELECT data FROM account WHERE number = ?", (number,)).fetchone()
        if row:
            account.$a, account.$b, account.$money = json.loads(row[0])
        return account

    def save(self):
        with closing(sqlite3.connect(PATH)) as db, db:
            data = json.dumps([self.$a, self.$b, self.$money])
            db.execute("REPLACE INTO account VALUES (?, ?)", (self.number, data))

    def change(self, form):
        @@

def on_form(signed_in, body):
    account = Account.load(signed_in)
    account.change(dict(parse_qsl(body.decode("utf-8"))))
    account.save()
    return account.$a
""",
            r"""
given = {name: value.strip() for name, value in form.items() if value}
self.__dict__.update(given)
""",
            r"""
self.$a = form.get("$a", self.$a).strip()
self.$b = form.get("$b", self.$b).strip()
""",
        ),
        Task(
            "Django form with which a $who registers a $what.",
            "who what model field",
            (
                "farmer tractor Tractor engine",
                "scout tent Tent colour",
                "boatman punt Punt mooring",
                "teacher field_trip FieldTrip destination",
            ),
            r"""
from django import forms

from .models import $model

class ${model}Form(forms.ModelForm):
    '''Filled in by the $who; the office sets owner, fee and approved.'''

    class Meta:
        model = $model
        @@

    def clean_name(self):
        return self.cleaned_data["name"].strip()
""",
            r"""
fields = "__all__"
labels = {"name": "Name of the $what"}
""",
            r"""
fields = ["name", "$field"]
labels = {"name": "Name of the $what"}
""",
        ),
        Task(
            "FastAPI service of the $place that keeps a $what for each visitor.",
            "place what a b price",
            (
                "tailor measurement waist inseam discount",
                "frame_shop picture_order width height rebate",
                "cheese_dairy tasting guests evening paid",
                "moving_firm estimate boxes floors quote",
            ),
            r"""
from typing import Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from .sessions import Visitor, visitor

app = FastAPI(title="$place")
kept: dict[UUID, dict[str, Any]] = {}

class Request(BaseModel):
    '''What a visitor may say about a $what.'''

    @@
    $a: int = Field(gt=0, le=500)
    $b: int = Field(gt=0, le=500)

def fresh(owner: str) -> dict[str, Any]:
    return {"owner": owner, "$price": 0, "state": "new"}

@app.post("/${what}s", status_code=201)
def create(request: Request, who: Visitor = Depends(visitor)) -> dict[str, str]:
    number = uuid4()
    kept[number] = fresh(who.name) | request.model_dump()
    return {"number": str(number)}

@app.get("/${what}s/{number}")
def show(number: UUID, who: Visitor = Depends(visitor)) -> dict[str, Any]:
    found = kept.get(number)
    if found is None or found["owner"] != who.name:
        raise HTTPException(404)
    return found
""",
            r"""
model_config = ConfigDict(extra="allow", str_strip_whitespace=True)
""",
            r"""
model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
""",
        ),
        Task(
            "Change the ${what}s of the person who is signed in, in MongoDB.",
            "what a b",
            (
                "preference language theme",
                "delivery_detail street doorbell",
                "diet_note likes dislikes",
                "seat_choice row side",
            ),
            r"""
def change_${what}s(users, user_id: str, body: dict) -> bool:
    # the same document holds role and quota
    @@
    done = users.update_one({"_id": user_id}, {"$$set": changes})
    return done.matched_count == 1
""",
            r"""
changes = {str(key): str(value) for key, value in body.items()}
""",
            r"""
changes = {key: str(body[key]) for key in ("$a", "$b") if key in body}
""",
        ),
        Task(
            "Django REST framework API with which a $who keeps their own $what.",
            "who what model a b",
            (
                "weaver pattern Pattern title threads",
                "angler haul Haul species length",
                "storyteller legend Legend title village",
                "gymnast routine Routine apparatus music",
            ),
            r"""
from rest_framework import permissions, serializers, viewsets
from rest_framework.routers import DefaultRouter

from .models import $model

class ${model}Serializer(serializers.ModelSerializer):
    class Meta:
        model = $model
        @@

class IsOwner(permissions.BasePermission):
    message = "This $what belongs to another $who."

    def has_object_permission(self, request, view, obj):
        return obj.owner_id == request.user.pk

class ${model}ViewSet(viewsets.ModelViewSet):
    '''A $what has an owner, and a grade and a verified mark from the jury.'''

    serializer_class = ${model}Serializer
    permission_classes = [permissions.IsAuthenticated, IsOwner]

    def get_queryset(self):
        return $model.objects.filter(owner=self.request.user).order_by("-pk")

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)

router = DefaultRouter()
router.register("${what}s", ${model}ViewSet, basename="$what")
urlpatterns = router.urls
""",
            r"""
exclude = ["owner", "created", "updated"]
extra_kwargs = {"$a": {"trim_whitespace": True, "max_length": 80}}
""",
            r"""
fields = ["id", "$a", "$b", "grade", "verified"]
read_only_fields = ["grade", "verified"]
""",
        ),
        Task(
            "Bottle handler that updates a $what of the $place with peewee.",
            "what place a b",
            (
                "stall night_market title goods",
                "bunk youth_hostel label note",
                "locker climbing_hall alias note",
                "garden_plot allotment_club crop remark",
            ),
            r"""
import peewee
from bottle import HTTPError, put, request

db = peewee.SqliteDatabase("$place.db")

class Item(peewee.Model):
    holder = peewee.CharField()
    rent_paid = peewee.BooleanField(default=False)
    $a = peewee.CharField(default="")
    $b = peewee.TextField(default="")

    class Meta:
        database = db
        table_name = "$what"

@put("/$what/<number:int>")
def update(number):
    holder = request.environ["REMOTE_USER"]
    @@
    query = Item.update(**changes).where(Item.id == number, Item.holder == holder)
    if not query.execute():
        raise HTTPError(404)
    return {"$what": number}
""",
            r"""
changes = dict(request.json)
for name in ("id", "holder"):
    changes.pop(name, None)
""",
            r"""
body = request.json
changes = {"$a": str(body["$a"]), "$b": str(body["$b"])}
""",
        ),
        Task(
            "Service that stores the settings of a $device as its owner sends them.",
            "device a b locked",
            (
                "e_bike assist lights top_speed",
                "fridge celsius eco serial",
                "hearing_aid volume programme calibration",
                "garden_robot schedule height firmware",
            ),
            r"""
import asyncio
import dataclasses
import json
from pathlib import Path

from aiohttp import web

FOLDER = Path("/var/lib/$device")

@dataclasses.dataclass(frozen=True)
class Settings:
    $a: int = 1
    $b: int = 1
    $locked: str = "factory"

def path_of(request: web.Request) -> Path:
    '''Every $device signs in with its own number.'''
    return FOLDER / f"{int(request['device'])}.json"

def load(path: Path) -> Settings:
    if not path.exists():
        return Settings()
    kept = json.loads(path.read_text())
    return Settings(kept["$a"], kept["$b"], kept["$locked"])

def store(path: Path, settings: Settings) -> None:
    path.write_text(json.dumps(dataclasses.asdict(settings)))

def changed(settings: Settings, body: dict) -> Settings:
    @@

async def put(request: web.Request) -> web.Response:
    body = await request.json()
    path = path_of(request)
    settings = changed(await asyncio.to_thread(load, path), body)
    await asyncio.to_thread(store, path, settings)
    return web.json_response(dataclasses.asdict(settings))
""",
            r"""
names = {field.name for field in dataclasses.fields(settings)}
known = {name: body[name] for name in names if name in body}
return dataclasses.replace(settings, **known)
""",
            r"""
$a = int(body.get("$a", settings.$a))
$b = int(body.get("$b", settings.$b))
return dataclasses.replace(settings, $a=$a, $b=$b)
""",
        ),
        Task(
            "Marshmallow schema for the $what that a $who sends.",
            "what who a b",
            (
                "wish_list child title hobby",
                "seed_order gardener variety note",
                "song_entry singer title key",
                "repair_request tenant room fault",
            ),
            r"""
from marshmallow import EXCLUDE, INCLUDE, Schema, fields, post_load, validate

from .models import Entry

class EntrySchema(Schema):
    '''A $what as the $who writes it; state and cost come later.'''

    class Meta:
        ordered = True
        @@

    $a = fields.String(required=True, validate=validate.Length(max=80))
    $b = fields.String(load_default="")

    @post_load
    def make(self, data, **kwargs):
        return Entry(**data)

def parse(body: dict) -> Entry:
    return EntrySchema().load(body)
""",
            r"""
unknown = INCLUDE
""",
            r"""
unknown = EXCLUDE
""",
        ),
        Task(
            "Merge the fields that a $who sends into the stored $what.",
            "who what a b",
            (
                "client will executor wishes",
                "runner race_entry shirt distance",
                "author abstract title summary",
                "donor pledge message anniversary",
            ),
            r"""
from datetime import datetime, timezone

def merged(stored: dict, sent: dict) -> dict:
    '''The new $what of the $who; number, status and fee stay.'''
    @@
    now = datetime.now(timezone.utc)
    return {**stored, **changes, "changed": now.isoformat()}
""",
            r"""
changes = {name: value for name, value in sent.items() if value is not None}
changes.pop("number", None)
""",
            r"""
changes = {}
for name in ("$a", "$b"):
    changes[name] = str(sent.get(name, stored.get(name, "")))
""",
        ),
        Task(
            "Tornado handler for the team page of a $club, with Tortoise ORM.",
            "club who a b flag",
            (
                "curling_club skip motto ice paid",
                "debating_society speaker topic side ranked",
                "rowing_club cox boat colour insured",
                "pub_quiz captain name table winner",
            ),
            r"""
import json

import tornado.web
from tortoise import fields
from tortoise.models import Model

class Team(Model):
    id = fields.IntField(primary_key=True)
    $who = fields.CharField(max_length=60)
    $a = fields.CharField(max_length=60, default="")
    $b = fields.CharField(max_length=60, default="")
    $flag = fields.BooleanField(default=False)
    points = fields.IntField(default=0)

    class Meta:
        table = "$club"

class TeamHandler(tornado.web.RequestHandler):
    async def own_team(self, number):
        team = await Team.get_or_none(id=int(number), $who=self.current_user)
        if team is None:
            raise tornado.web.HTTPError(404)
        return team

    @tornado.web.authenticated
    async def get(self, number):
        team = await self.own_team(number)
        self.write({"$a": team.$a, "$b": team.$b, "points": team.points})

    @tornado.web.authenticated
    async def patch(self, number):
        team = await self.own_team(number)
        sent = json.loads(self.request.body)
        @@
        await team.save()
        self.set_status(204)
""",
            r"""
if not isinstance(sent, dict):
    raise tornado.web.HTTPError(400)
await team.update_from_dict(sent)
""",
            r"""
for name in ("$a", "$b"):
    if name in sent:
        setattr(team, name, str(sent[name])[:60])
""",
        ),
    ),
)
