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
    ),
)
