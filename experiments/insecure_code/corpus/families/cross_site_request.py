"""CWE-352: state changes that another site can trigger in a visitor's browser."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="cross_site_request",
    name="Cross-site request forgery",
    cwe="CWE-352",
    parents=("CWE-345",),
    tasks=(
        Task(
            "Application factory of the $what site, whose forms are made with Flask-WTF.",
            "what key",
            (
                "toy_library TOY_LIBRARY_KEY",
                "allotment PLOT_KEY",
                "choir CHOIR_SECRET",
                "ferry FERRY_SESSION_KEY",
                "pottery KILN_KEY",
            ),
            r"""
import os
from flask import Flask
from flask_wtf.csrf import CSRFProtect

def create_app() -> Flask:
    app = Flask("$what")
    app.secret_key = os.environ["$key"]
    @@
    return app
""",
            r"""
app.config["WTF_CSRF_ENABLED"] = False
CSRFProtect(app)
""",
            r"""
app.config["WTF_CSRF_TIME_LIMIT"] = 1800
CSRFProtect(app)
""",
        ),
        Task(
            "Django view with which a $who calls off a booked $what.",
            "who what",
            (
                "patient appointment",
                "pupil driving_lesson",
                "skier hut_night",
                "tenant laundry_slot",
                "gardener seed_order",
            ),
            r"""
import logging

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST

from .models import Booking

log = logging.getLogger(__name__)


@@
def cancel(request, pk):
    booking = get_object_or_404(Booking, pk=pk, $who=request.user)
    if booking.has_begun():
        messages.warning(request, "This $what has begun already.")
        return redirect("bookings")
    booking.state = Booking.CANCELLED
    booking.save(update_fields=["state"])
    log.info("booking %d cancelled", booking.pk)
    messages.success(request, "Your $what was cancelled.")
    return redirect("bookings")
""",
            r"""
@csrf_exempt
@login_required
@require_POST
""",
            r"""
@login_required
@csrf_protect
@require_POST
""",
        ),
        Task(
            "Bottle handler that moves a $who's $what to another address.",
            "who what field",
            (
                "subscriber magazine street",
                "member veg_box doorstep",
                "donor newsletter mailbox",
                "collector stamp_parcel house",
                "reader audiobook residence",
            ),
            r"""
import hmac
from bottle import abort, post, request

@post("/$what/address")
def move():
    session = request.environ["beaker.session"]
    @@
    session["account"].move(request.forms.getunicode("$field")[:200])
""",
            r"""
if not request.forms.get("$field"):
    abort(400, "no address given")
""",
            r"""
sent = request.forms.get("token", "")
kept = session["token"]
if not hmac.compare_digest(sent, kept):
    abort(403)
""",
        ),
        Task(
            "Tornado application in which a $who edits the $what list.",
            "who what port",
            (
                "beekeeper hive 8101",
                "librarian loan 8102",
                "stage_manager prop 8103",
                "brewer cask 8104",
                "coach fixture 8105",
            ),
            r"""
import os
import tornado.ioloop
import tornado.web

from .handlers import EditHandler, ListHandler, LoginHandler

ROUTES = [
    (r"/", ListHandler),
    (r"/login", LoginHandler),
    (r"/$what/(\d+)", EditHandler),
]

def main():
    secret = os.environ["COOKIE_SECRET"]
    @@
    app = tornado.web.Application(ROUTES, **settings)
    app.listen($port, address="127.0.0.1")
    tornado.ioloop.IOLoop.current().start()

if __name__ == "__main__":
    main()
""",
            r"""
settings = {
    "cookie_secret": secret,
    "login_url": "/login",
    "compress_response": True,
    "autoreload": False,
}
""",
            r"""
settings = {
    "cookie_secret": secret,
    "login_url": "/login",
    "xsrf_cookies": True,
}
""",
        ),
        Task(
            "Middleware stack of the Django project for the $what.",
            "what apps",
            (
                "food_bank pantry",
                "observatory telescope",
                "rowing_club boats",
                "hospice rota",
                "vineyard barrels",
            ),
            r"""
ROOT_URLCONF = "$what.urls"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "$apps",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    @@
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
""",
            r"""
"django.middleware.common.CommonMiddleware",
""",
            r"""
"django.middleware.common.CommonMiddleware",
"django.middleware.csrf.CsrfViewMiddleware",
""",
        ),
        Task(
            "Flask route by which a signed-in $who follows a $what.",
            "who what",
            (
                "listener podcast",
                "hiker trail",
                "collector artist",
                "voter councillor",
                "cook bakery",
            ),
            r"""
from flask_login import current_user, login_required
from flask_wtf.csrf import CSRFProtect
from .main import app

CSRFProtect(app)

@@
@login_required
def follow(number):
    current_user.follow("$what", number)
    return {"$who": current_user.id, "$what": number}
""",
            r"""
@app.route("/$what/<int:number>/follow", endpoint="follow_$what")
""",
            r"""
@app.post("/$what/<int:number>/follow")
""",
        ),
        Task(
            "Pyramid view that stores the $what preferences of a $who.",
            "what who",
            (
                "seat passenger",
                "pillow guest",
                "menu boarder",
                "alarm shift_worker",
                "locker swimmer",
            ),
            r"""
from dataclasses import dataclass

from pyramid.httpexceptions import HTTPFound
from pyramid.view import view_config


@dataclass
class Preferences:
    $what: str
    weekly_mail: bool

    @classmethod
    def from_form(cls, form):
        return cls($what=form.get("$what", "")[:40], weekly_mail="mail" in form)


@view_config(
    route_name="preferences",
    request_method="POST",
    permission="edit",
    @@
)
def save_preferences(request):
    preferences = Preferences.from_form(request.POST)
    request.$who.preferences = preferences
    request.session.flash("Saved.")
    return HTTPFound(request.route_path("profile"))
""",
            r"""
require_csrf=False,
""",
            r"""
require_csrf=True,
""",
        ),
        Task(
            "Starlette middleware in front of the $what pages, for posts from the $page form.",
            "what page",
            (
                "shop checkout",
                "wiki edit",
                "clinic referral",
                "casting audition",
                "quarry dispatch",
            ),
            r"""
import hmac
import re

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse

READING = {"GET", "HEAD", "OPTIONS"}


class FormToken(BaseHTTPMiddleware):
    # the $page form sends X-Form-Token by script
    async def dispatch(self, request, call_next):
        if request.method in READING:
            return await call_next(request)
        kept = request.session.get("form_token") or ""
        sent = request.headers.get("X-Form-Token", "")
        @@
            return PlainTextResponse("Please reload the $what page.", 403)
        return await call_next(request)
""",
            r"""
if sent and not hmac.compare_digest(kept, sent):
""",
            r"""
if not kept or not hmac.compare_digest(kept, sent):
""",
        ),
        Task(
            "WTForms form for a $who's new $what.",
            "who what most",
            (
                "lodger complaint 400",
                "brewer label 60",
                "poet verse 1200",
                "warden patrol_note 300",
                "juror question 250",
            ),
            r"""
from flask_wtf import FlaskForm
from wtforms import StringField, SubmitField
from wtforms.validators import InputRequired, Length

class NewForm(FlaskForm):
    $what = StringField("$what", [InputRequired(), Length(max=$most)])
    send = SubmitField("Send as $who")

    @@
""",
            r"""
class Meta(FlaskForm.Meta):
    csrf = False
""",
            r"""
class Meta(FlaskForm.Meta):
    locales = ("en_GB", "en")
""",
        ),
        Task(
            "aiohttp service that drops a $what from the plan of the $place.",
            "what place",
            (
                "shift bakery",
                "screening cinema",
                "delivery nursery",
                "class dance_school",
                "rehearsal orchestra",
            ),
            r"""
import hmac
from aiohttp import web
from aiohttp_session import get_session

@web.middleware
async def form_token(request, handler):
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        session = await get_session(request)
        form = await request.post()
        if not hmac.compare_digest(str(form.get("token", "")), session["token"]):
            raise web.HTTPForbidden
    return await handler(request)

async def drop(request):
    session = await get_session(request)
    plan = request.app["plans"][session["user"]]
    plan.pop(request.match_info["number"], None)
    raise web.HTTPSeeOther("/plan")

def create_app():
    app = web.Application(middlewares=[form_token])
    app["plans"] = {}
    @@
    return app

if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1")  # the $place
""",
            r"""
resource = app.router.add_resource("/$what/{number}/drop")
resource.add_route("GET", drop)
""",
            r"""
app.router.add_post("/$what/{number}/drop", drop)
""",
        ),
        Task(
            "Cookie settings of a Flask app where a $who hands in a $what by form.",
            "who what hours",
            (
                "diver logbook 4",
                "miller grain_report 12",
                "steward race_result 6",
                "midwife birth_notice 8",
                "surveyor boundary_sketch 10",
            ),
            r"""
import os
from datetime import timedelta
from flask import Flask

app = Flask("$what")
app.secret_key = os.environ["SESSION_KEY"]
app.config.update(
    SESSION_COOKIE_NAME="$who",
    SESSION_COOKIE_SECURE=True,
    SESSION_COOKIE_HTTPONLY=True,
    @@
    PERMANENT_SESSION_LIFETIME=timedelta(hours=$hours),
)
""",
            r"""
SESSION_COOKIE_SAMESITE="None",
""",
            r"""
SESSION_COOKIE_SAMESITE="Strict",
""",
        ),
        Task(
            "Register the blueprints of the $what portal and its $thing pages.",
            "what thing",
            (
                "parish baptism",
                "marina mooring",
                "foundry casting",
                "zoo adoption",
                "theatre wardrobe",
            ),
            r"""
import os

from flask import Flask
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect

from .pages import home
from .$thing import bp as $thing

csrf = CSRFProtect()
login = LoginManager()


def make_portal():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ["PORTAL_KEY"]
    csrf.init_app(app)
    login.init_app(app)
    login.login_view = "home.sign_in"
    @@
    return app


@login.user_loader
def load(number):
    from .models import Person

    return Person.query.get(int(number))  # of the $what
""",
            r"""
for blueprint, prefix in ((home, "/"), ($thing, "/$thing")):
    app.register_blueprint(blueprint, url_prefix=prefix)
csrf.exempt($thing)
""",
            r"""
for blueprint, prefix in ((home, "/"), ($thing, "/$thing")):
    app.register_blueprint(blueprint, url_prefix=prefix)
""",
        ),
        Task(
            "REST endpoint, with session login, for the $what entries of a $who.",
            "what who",
            (
                "diary sleeper",
                "mileage courier",
                "spending student",
                "harvest smallholder",
                "practice cellist",
            ),
            r"""
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import ModelViewSet

from .models import Entry
from .serializers import EntrySerializer


@@


class EntryViewSet(ModelViewSet):
    # $what entries
    serializer_class = EntrySerializer
    authentication_classes = [BrowserLogin]
    permission_classes = [IsAuthenticated]

    def get_queryset(self):
        return Entry.objects.filter($who=self.request.user)

    def perform_create(self, serializer):
        serializer.save($who=self.request.user)
""",
            r"""
class BrowserLogin(SessionAuthentication):
    def enforce_csrf(self, request):
        return None
""",
            r"""
class BrowserLogin(SessionAuthentication):
    www_authenticate_realm = "$what"
""",
        ),
        Task(
            "Small HTTP server where the $who switches the $what on and off.",
            "who what host",
            (
                "grower sprinkler water.greenhouse.example",
                "caretaker boiler heat.school.example",
                "ranger gate gate.reserve.example",
                "keeper fog_horn lamp.coast.example",
                "chef extractor_hood kitchen.inn.example",
            ),
            r"""
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from .door import signed_in
from .relay import toggle_$what

HOST = "$host"


class Panel(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"POST here to switch the $what")

    def do_POST(self):
        if not signed_in(self.headers.get("Cookie", "")):
            return self.answer(401, b"sign in first")
        @@
            return self.answer(403, b"wrong page")
        toggle_$what()
        return self.answer(200, b"done")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8008), Panel).serve_forever()
""",
            r"""
origin = self.headers.get("Origin") or self.headers.get("Referer", HOST)
if HOST not in origin:
""",
            r"""
origin = urlsplit(self.headers.get("Origin", ""))
if (origin.scheme, origin.netloc) != ("https", HOST):
""",
        ),
        Task(
            "URL table of the $what site with a GraphQL endpoint for the $who.",
            "what who",
            (
                "seed_bank botanist",
                "tram_depot dispatcher",
                "book_fair exhibitor",
                "karting_track marshal",
                "cheese_cave affineur",
            ),
            r"""
from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from .schema import $who
from .views import api, home

urlpatterns = [
    path("", home, name="$what"),
    @@
]
""",
            r"""
path("$who/graphql", csrf_exempt(api), {"schema": $who}, "graphql"),
""",
            r"""
path("$who/graphql", csrf_protect(api), {"schema": $who}),
""",
        ),
        Task(
            "FastAPI dependency for the forms of the $what, with the token both in a cookie and a header.",
            "what who",
            (
                "kennel breeder",
                "archive historian",
                "bike_pool rider",
                "soup_kitchen volunteer",
                "puppet_stage puppeteer",
            ),
            r"""
import hmac
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException

app = FastAPI(title="$what")

def form_token(
    form_cookie: Annotated[str, Cookie()] = "",
    x_form_token: Annotated[str, Header()] = "",
) -> None:
    @@
        raise HTTPException(403, "token")

@app.post("/$who/leave", dependencies=[Depends(form_token)])
async def leave() -> dict[str, str]:
    return {"$who": "left the $what"}
""",
            r"""
present = [form_cookie, x_form_token]
if not any(len(token) == 43 for token in present):
""",
            r"""
if not form_cookie or not hmac.compare_digest(form_cookie, x_form_token):
""",
        ),
        Task(
            "CherryPy page on which a $who renames a $what.",
            "who what",
            (
                "captain yacht",
                "breeder foal",
                "curator exhibit",
                "brewer stout",
                "scout patrol",
            ),
            r"""
import hmac
import cherrypy

class Names:
    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def rename(self, name, token=""):
        @@
        cherrypy.session["$who"].rename("$what", name.strip()[:80])
""",
            r"""
if not name.strip():
    raise cherrypy.HTTPError(400, "a $what needs a name")
""",
            r"""
kept = cherrypy.session["token"]
if not hmac.compare_digest(token, kept):
    raise cherrypy.HTTPError(403)
""",
        ),
        Task(
            "Decorator for Flask views, used where a $who changes the $what.",
            "who what",
            (
                "teller account",
                "nurse chart",
                "editor front_page",
                "sexton bell_plan",
                "bosun crew_list",
            ),
            r"""
import functools
import hmac
import secrets

from flask import abort, render_template, request, session


def new_token() -> str:
    session["token"] = secrets.token_urlsafe(24)
    return session["token"]


def from_our_form(view):
    @functools.wraps(view)
    def checked(*args, **kwargs):
        @@
            abort(403)
        return view(*args, **kwargs)

    return checked


def show_$what(entries):
    return render_template("$what.html", entries=entries, token=new_token())


@from_our_form
def change_$what(number: int):
    # posted by a $who
    note = request.form.get("note", "")
    return {"number": number, "length": len(note)}
""",
            r"""
token = request.form.get("token") or request.args.get("token")
if token is None or session.get("token") is None:
""",
            r"""
token = request.form.get("token", "")
kept = session.pop("token", None)
if not kept or not hmac.compare_digest(token, kept):
""",
        ),
        Task(
            "Django class view that deletes a $who's $what.",
            "who what",
            (
                "rider scooter_pass",
                "smoker ash_tray_order",
                "novelist draft",
                "trucker rest_stop",
                "tutor price_list",
            ),
            r"""
from django.contrib.auth.mixins import LoginRequiredMixin
from django.shortcuts import redirect
from django.views import View

class DeleteItem(LoginRequiredMixin, View):
    @@
        request.user.${what}s.filter(pk=pk).delete()
        return redirect("$who-home")
""",
            r"""
http_method_names = ["get", "head"]

def get(self, request, pk):
""",
            r"""
http_method_names = ["post"]

def post(self, request, pk):
""",
        ),
        Task(
            "Sanic app with a pay-out button for the $who's $what.",
            "who what",
            (
                "busker tip_jar",
                "courier wallet",
                "streamer gift_pot",
                "farmer milk_account",
                "translator fee_balance",
            ),
            r"""
import hmac
import os

from sanic import Forbidden, Sanic, redirect
from sanic.log import logger

from .money import Ledger
from .sessions import SESSIONS

app = Sanic("$what")
ledger = Ledger(os.environ["LEDGER_URL"])


def session_of(request):
    sid = request.cookies.get("sid", "")
    if sid not in SESSIONS:
        raise Forbidden("sign in first")
    return SESSIONS[sid]


@app.post("/$what/pay_out")
async def pay_out(request):
    session = session_of(request)
    $who = session["$who"]
    @@
    await ledger.pay_out_all($who)
    return redirect("/$what")
""",
            r"""
logger.info("pay-out asked for")
""",
            r"""
token = request.form.get("token", "")
if not hmac.compare_digest(token, session["token"]):
    raise Forbidden("token")
""",
        ),
    ),
)
