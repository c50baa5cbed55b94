"""CWE-89: SQL text built from outside values."""

from experiments.insecure_code.corpus.source import Family, Task

FAMILY = Family(
    slug="sql_injection",
    name="SQL injection",
    cwe="CWE-89",
    parents=("CWE-943",),
    tasks=(
        Task(
            "Fetch every $thing with a given $col from the local database.",
            "thing table col",
            (
                "parcel parcels postcode",
                "boat moorings harbour",
                "recipe recipes cuisine",
                "tenant leases building",
                "orchid plants greenhouse",
            ),
            r"""
import sqlite3

def ${thing}s_by_$col(conn, $col):
    cur = conn.cursor()
    @@
    return cur.fetchall()
""",
            r"""
query = f"SELECT * FROM $table WHERE $col = '{$col}'"
cur.execute(query)
""",
            r"""
query = "SELECT * FROM $table WHERE $col = ?"
cur.execute(query, ($col,))
""",
        ),
        Task(
            "A web endpoint that looks up $what by its $key.",
            "what key route table",
            (
                "a library book|isbn|book|catalogue",
                "a train ticket|code|ticket|tickets",
                "a museum exhibit|tag|exhibit|exhibits",
                "a pet passport|chip|pet|passports",
            ),
            r"""
from flask import Flask, request, jsonify
import psycopg2

app = Flask(__name__)

@app.route("/$route")
def show():
    cur = psycopg2.connect("dbname=$table").cursor()
    $key = request.args["$key"]
    @@
    return jsonify(cur.fetchone())
""",
            r"""
cur.execute("SELECT * FROM $table WHERE $key = '" + $key + "'")
""",
            r"""
cur.execute("SELECT * FROM $table WHERE $key = %s", ($key,))
""",
        ),
        Task(
            "Delete $what that belong to one $owner in MySQL.",
            "what owner table",
            (
                "old invoices|customer|invoices",
                "bookmarks|reader|bookmarks",
                "sensor alarms|device|alarms",
                "draft posts|author|drafts",
            ),
            r"""
import pymysql

def purge(db, $owner):
    with db.cursor() as cur:
        @@
    db.commit()
""",
            r"""
sql = "DELETE FROM $table WHERE $owner = '%s'" % $owner
removed = cur.execute(sql)
print("removed", removed)
""",
            r"""
sql = "DELETE FROM $table WHERE $owner = %s"
cur.execute(sql, ($owner,))
""",
        ),
        Task(
            "Check the sign-in of a $who against the $table table.",
            "who table name",
            (
                "volunteer|volunteers|nick",
                "franchise manager|managers|login",
                "school parent|parents|email",
                "warehouse picker|pickers|badge",
            ),
            r"""
import sqlite3

def sign_in($name, password_hash):
    db = sqlite3.connect("$table.db")
    @@
    return row is not None
""",
            r"""
row = db.execute(
    "SELECT 1 FROM $table WHERE $name = '{}' AND hash = '{}'".format($name, password_hash)
).fetchone()
""",
            r"""
row = db.execute(
    "SELECT 1 FROM $table WHERE $name = ? AND hash = ?", ($name, password_hash)
).fetchone()
""",
        ),
        Task(
            "Search $what by part of the $field with SQLAlchemy.",
            "what table field",
            (
                "wine bottles|wines|label",
                "song lyrics|songs|title",
                "job adverts|jobs|headline",
                "bird sightings|sightings|species",
            ),
            r"""
from sqlalchemy import create_engine, text

engine = create_engine("sqlite:///$table.db")

def search(term):
    with engine.connect() as conn:
        @@
        return rows.all()
""",
            r"""
rows = conn.execute(text(f"SELECT * FROM $table WHERE $field LIKE '%{term}%'"))
""",
            r"""
stmt = text("SELECT * FROM $table WHERE $field LIKE :term")
rows = conn.execute(stmt, {"term": f"%{term}%"})
""",
        ),
        Task(
            "A Django view listing $what for the $arg in the query string.",
            "what model arg",
            (
                "gym classes|GymClass|coach",
                "car rentals|Rental|depot",
                "field trips|Trip|teacher",
                "stage props|Prop|play",
            ),
            r"""
from django.http import JsonResponse
from .models import $model

def listing(request):
    $arg = request.GET.get("$arg", "")
    @@
    return JsonResponse({"items": [r.pk for r in rows]})
""",
            r"""
table = $model._meta.db_table
sql = f"SELECT * FROM {table} WHERE $arg = '{$arg}'"
rows = $model.objects.raw(sql)
""",
            r"""
rows = $model.objects.filter($arg=$arg)
""",
        ),
        Task(
            "Load the $what of one $unit into a data frame.",
            "what table unit",
            (
                "monthly sales|sales|region",
                "rainfall records|rainfall|station",
                "race results|results|runner",
                "energy readings|readings|meter",
            ),
            r"""
import pandas as pd

def load(conn, $unit):
    @@
    return frame.dropna()
""",
            r"""
frame = pd.read_sql("SELECT * FROM $table WHERE $unit = '" + $unit + "'", conn)
""",
            r"""
frame = pd.read_sql("SELECT * FROM $table WHERE $unit = ?", conn, params=[$unit])
""",
        ),
        Task(
            "Store the $thing a $who sends in, asynchronously.",
            "thing who table col",
            (
                "feedback|guest|feedback|message",
                "score|player|scores|points",
                "address|courier|stops|street",
                "nickname|member|members|nickname",
            ),
            r"""
import aiosqlite

async def store($who, $col):
    async with aiosqlite.connect("app.db") as db:
        @@
        await db.commit()
""",
            r"""
await db.execute(f"INSERT INTO $table VALUES ('{$who}', '{$col}')")
""",
            r"""
await db.execute("INSERT INTO $table VALUES (?, ?)", ($who, $col))
""",
        ),
        Task(
            "Command line tool that renames a $thing in the inventory.",
            "thing table field",
            ("shelf|shelves|label", "camera|cameras|alias", "team|teams|title", "playlist|playlists|caption"),
            r"""
import sqlite3
import sys

def main():
    old, new = sys.argv[1:3]
    con = sqlite3.connect("$table.db")
    @@
    con.commit()

main()
""",
            r"""
statement = "UPDATE $table SET $field = '" + new + "' WHERE $field = '" + old + "'"
con.executescript(statement)
""",
            r"""
statement = "UPDATE $table SET $field = ? WHERE $field = ?"
con.execute(statement, (new, old))
""",
        ),
        Task(
            "Repository class of a $org that keeps $what by $key.",
            "org what key one",
            (
                "zoo animals species animal",
                "guild workshops craft workshop",
                "fleet lorries depot lorry",
                "orchestra pieces composer piece",
            ),
            r"""
import sqlite3

class Repository:
    def __init__(self, path="$org.db"):
        self.con = sqlite3.connect(path)
        self.con.row_factory = sqlite3.Row

    def add(self, name, $key):
        with self.con:
            self.con.execute("INSERT INTO $what VALUES (?, ?)", (name, $key))

    def count(self):
        return self.con.execute("SELECT count(*) FROM $what").fetchone()[0]

    def by_$key(self, $key):
        @@
        return [dict(row) for row in rows]

def first_$one(repository, $key):
    found = repository.by_$key($key)
    return found[0] if found else None
""",
            r"""
sql = f"SELECT * FROM $what WHERE $key = '{$key}' ORDER BY rowid"
rows = self.con.execute(sql)
""",
            r"""
sql = "SELECT * FROM $what WHERE $key = ? ORDER BY rowid"
rows = self.con.execute(sql, ($key,))
""",
        ),
        Task(
            "Count the $things of one $col.",
            "things col",
            ("visits city", "refunds shop", "ballots ward", "calls region", "births hospital"),
            r"""
def count_$things(db, $col):
    @@
    return row[0]
""",
            r"""
row = db.execute("SELECT count(*) FROM $things WHERE $col = '%s'" % $col).fetchone()
""",
            r"""
row = db.execute("SELECT count(*) FROM $things WHERE $col = ?", [$col]).fetchone()
""",
        ),
        Task(
            "Add a $thing with its $field in MySQL.",
            "thing table field",
            ("hive apiary honey", "violin instruments maker", "canoe boats length", "stamp album country"),
            r"""
def add_$thing(cur, name, $field):
    @@
    return cur.lastrowid
""",
            r"""
sql = "INSERT INTO $table VALUES ('{}', '{}')"
cur.execute(sql.format(name, $field))
""",
            r"""
sql = "INSERT INTO $table VALUES (%s, %s)"
cur.execute(sql, (name, $field))
""",
        ),
        Task(
            "Change the $field of a $thing.",
            "field thing table",
            (
                "colour scooter fleet",
                "owner dog kennel",
                "price lamp lamps",
                "deadline chore chores",
                "captain yacht harbour",
            ),
            r"""
def set_$field(con, $thing, value):
    cur = con.cursor()
    @@
    con.commit()
""",
            r"""
cur.execute(f"UPDATE $table SET $field = '{value}' WHERE id = {$thing}")
""",
            r"""
cur.execute("UPDATE $table SET $field = ? WHERE id = ?", (value, $thing))
""",
        ),
        Task(
            "Find the $thing for the $field in the request.",
            "thing table field",
            ("chapel parishes saint", "meteor impacts crater", "poem anthology author", "bakery bakeries street"),
            r"""
from flask import request

def find_$thing(db):
    $field = request.args["$field"]
    @@
    return rows.fetchall()
""",
            r"""
rows = db.execute("SELECT * FROM $table WHERE $field = '" + $field + "'")
""",
            r"""
rows = db.execute("SELECT * FROM $table WHERE $field = :f", {"f": $field})
""",
        ),
        Task(
            "Names of all $things that belong to a $who, with asyncpg.",
            "things who",
            ("pigeons breeder", "sculptures gallery", "tractors farmer", "sonnets poet"),
            r"""
async def ${things}_of(conn, $who):
    @@
    return [r["name"] for r in rows]
""",
            r"""
rows = await conn.fetch(f"SELECT name FROM $things WHERE $who = '{$who}'")
""",
            r"""
rows = await conn.fetch("SELECT name FROM $things WHERE $who = $$1", $who)
""",
        ),
        Task(
            "Page of the $things, ordered by the column that the visitor clicked.",
            "things a b table",
            (
                "lighthouses height built towers",
                "cheeses ripeness weight cellar",
                "volcanoes elevation eruption mountains",
                "sonatas opus length works",
                "greyhounds age wins kennels",
            ),
            r"""
from bottle import request, route
from sqlalchemy import MetaData, Table, create_engine, select, text

engine = create_engine("sqlite:///$table.db")
$things = Table("$table", MetaData(), autoload_with=engine)

@route("/$things")
def page():
    asked = request.query.get("order", "name")
    with engine.connect() as conn:
        @@
        rows = conn.execute(query.limit(50)).mappings()
        return {"$things": [dict(row) for row in rows]}
""",
            r"""
order = text(asked.replace(";", ""))
query = select($things).order_by(order)
""",
            r"""
order = asked if asked in ("$a", "$b") else "name"
query = select($things).order_by($things.c[order])
""",
        ),
        Task(
            "Shop counter class that looks up the ${what}s on a handwritten list of codes.",
            "what table code extra",
            (
                "seed_packet seeds sku germination",
                "yarn_ball yarns shade weight",
                "spare_part parts number machine",
                "vinyl_record records barcode label",
                "eyepiece eyepieces mount aperture",
            ),
            r"""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

@dataclass(frozen=True)
class Found:
    $code: str
    $extra: str
    cents: int

class Counter:
    '''Prices of one shop; every ${what} has one $code.'''

    def __init__(self, url: str | None = None) -> None:
        self._conn = psycopg.connect(url or os.environ["SHOP_DATABASE"], autocommit=True)

    def close(self) -> None:
        self._conn.close()

    def look_up(self, codes: Sequence[str]) -> list[Found]:
        if not codes:
            return []
        with self._conn.cursor(row_factory=class_row(Found)) as cur:
            @@
            return cur.fetchall()

    def total(self, codes: Sequence[str]) -> int:
        cents = {found.$code: found.cents for found in self.look_up(codes)}
        return sum(cents.get(code, 0) for code in codes)

    def missing(self, codes: Sequence[str]) -> list[str]:
        known = {found.$code for found in self.look_up(codes)}
        return [code for code in codes if code not in known]
""",
            r"""
listed = ", ".join("'" + code.strip() + "'" for code in codes)
query = "SELECT $code, $extra, cents FROM $table"
cur.execute(query + f" WHERE $code IN ({listed})")
""",
            r"""
query = "SELECT $code, $extra, cents FROM $table"
cur.execute(query + " WHERE $code = ANY(%s)", [list(codes)])
""",
        ),
        Task(
            "Tornado handler that books a $what for a $who in MariaDB.",
            "what who table note",
            (
                "ferry_berth trucker berths plate",
                "sauna_hour guest saunas wish",
                "darkroom photographer darkrooms film",
                "bowling_lane team lanes shoes",
                "organ_practice student organs piece",
            ),
            r"""
import os

import aiomysql
import tornado.web

async def connect():
    return await aiomysql.connect(
        host=os.environ["DB_HOST"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        db="bookings",
    )

class Book(tornado.web.RequestHandler):
    @tornado.web.authenticated
    async def post(self):
        $note = self.get_body_argument("$note")
        conn = await connect()
        async with conn.cursor() as cur:
            @@
            await conn.commit()
        conn.close()
        self.write({"$what": cur.lastrowid, "$who": self.current_user["id"]})
""",
            r"""
$note = $note.replace("'", "''")
values = "(%d, '%s')" % (self.current_user["id"], $note)
await cur.execute("INSERT INTO $table ($who, $note) VALUES " + values)
""",
            r"""
values = (self.current_user["id"], $note)
statement = "INSERT INTO $table ($who, $note) VALUES (%s, %s)"
await cur.execute(statement, values)
""",
        ),
        Task(
            "Command line export of one table of the $place database, with an optional $filter.",
            "place filter prog",
            (
                "weather_station day export-weather",
                "parish_register surname export-register",
                "toll_bridge plate export-tolls",
                "blood_bank group export-bags",
                "film_archive director export-films",
            ),
            r"""
import argparse
import csv
import os
import sys

import psycopg
from psycopg import sql

def select(table, $filter=None):
    '''The statement for a whole table of the $place, or for a part of it.'''
    query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
    if $filter is not None:
        @@
    return query

def write(cur, out):
    writer = csv.writer(out)
    writer.writerow(column.name for column in cur.description)
    count = 0
    for row in cur:
        writer.writerow(row)
        count += 1
    return count

def main(argv=None):
    parser = argparse.ArgumentParser(prog="$prog")
    parser.add_argument("table")
    parser.add_argument("--$filter")
    options = parser.parse_args(argv)
    with psycopg.connect(os.environ["DATABASE_URL"]) as conn, conn.cursor() as cur:
        try:
            cur.execute(select(options.table, options.$filter))
        except psycopg.errors.UndefinedTable:
            parser.error(f"no table {options.table!r}")
        count = write(cur, sys.stdout)
    print(count, "rows", file=sys.stderr)

if __name__ == "__main__":
    main()
""",
            r"""
condition = " WHERE $filter = '{}'".format($filter.strip())
query += sql.SQL(condition)
""",
            r"""
condition = sql.SQL(" WHERE $filter = {}")
query += condition.format(sql.Literal($filter.strip()))
""",
        ),
        Task(
            "Django manager with a search of ${what}s near a $place typed by the visitor.",
            "what model place far",
            (
                "campsite Campsite lake 40",
                "charging_point ChargingPoint village 15",
                "choir_rehearsal Rehearsal suburb 10",
                "farm_shop FarmShop town 25",
                "climbing_rock Rock valley 60",
            ),
            r"""
from django.db import models
from django.db.models import F, Func, Value

FLOAT = models.FloatField()

class ${model}Query(models.QuerySet):
    def open(self):
        return self.filter(closed=False)

    def near(self, $place: str, kilometres: int = $far):
        '''Open ones within some kilometres of a $place.'''
        @@

class $model(models.Model):
    name = models.CharField(max_length=80)
    place = models.CharField(max_length=80)
    closed = models.BooleanField(default=False)

    objects = ${model}Query.as_manager()
""",
            r"""
wanted = $place.strip().title()
inside = f"distance_km(place, '{wanted}') < {kilometres}"
return self.open().extra(where=[inside])
""",
            r"""
wanted = Value($place.strip().title())
away = Func(F("place"), wanted, function="distance_km", output_field=FLOAT)
return self.open().annotate(away=away).filter(away__lt=kilometres)
""",
        ),
    ),
)
