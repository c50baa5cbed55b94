"""What else stands in a file: blocks without any bearing on security that surround a task, so that variants are real files of different make.

A companion's text may use the slots ``$what`` (a thing, as an identifier), ``$What`` (the same as a class name) and ``$who`` (a person).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from string import Template


@dataclass(frozen=True)
class Companion:
    """Import lines and a block of code that needs them."""

    imports: tuple[str, ...]
    code: str

    def render(self, what: str, who: str) -> str:
        """The block for a thing and a person."""
        camel = "".join(part.capitalize() for part in what.split("_"))
        return Template(self.code).substitute(what=what, What=camel, who=who)

    @property
    def names(self) -> frozenset[str]:
        """Every identifier in the block, slots left as they are."""
        return frozenset(re.findall(r"\$?[A-Za-z_]\w*", self.code))


@cache
def companions() -> tuple[Companion, ...]:
    """All companions, in the order in which they are written below."""
    found = []
    for block in BLOCKS.strip("\n").split("\n#---\n"):
        lines = block.strip("\n").split("\n")
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        body = "\n".join(line for line in lines if line not in imports).strip("\n")
        found.append(Companion(tuple(imports), body))
    return tuple(found)


BLOCKS = r'''
from dataclasses import dataclass


@dataclass
class $What:
    label: str
    amount: int = 1
    note: str = ""

    def total(self, price: float) -> float:
        return round(self.amount * price, 2)
#---
def plural(count: int, word: str = "$what") -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
#---
def in_pages(rows, size=20):
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
#---
from datetime import date, timedelta

def week_of(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)
#---
from enum import Enum


class ${What}State(Enum):
    NEW = "new"
    WAITING = "waiting"
    DONE = "done"

    @property
    def open(self):
        return self is not ${What}State.DONE
#---
from collections import Counter

def busiest(entries, top=3):
    """The most frequent $what labels, with their counts."""
    counts = Counter(entry.strip().lower() for entry in entries if entry.strip())
    return counts.most_common(top)
#---
def mean_and_spread(values):
    if not values:
        return 0.0, 0.0
    middle = sum(values) / len(values)
    spread = (sum((v - middle) ** 2 for v in values) / len(values)) ** 0.5
    return middle, spread
#---
import time


class Stopwatch:
    def __init__(self):
        self.begun = time.monotonic()
        self.laps = []

    def lap(self, name):
        now = time.monotonic()
        self.laps.append((name, now - self.begun))
        self.begun = now

    def report(self):
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.laps)
#---
def as_columns(rows, widths):
    lines = []
    for row in rows:
        cells = [str(cell)[:width].ljust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
#---
from functools import lru_cache

@lru_cache(maxsize=256)
def season(month: int) -> str:
    names = ("winter", "spring", "summer", "autumn")
    return names[(month % 12) // 3]
#---
class ${What}Queue:
    """First come, first served; a $who may step back once."""

    def __init__(self):
        self._waiting = []
        self._stepped_back = set()

    def join(self, name):
        if name not in self._waiting:
            self._waiting.append(name)
        return len(self._waiting)

    def step_back(self, name):
        if name in self._stepped_back or name not in self._waiting:
            return False
        place = self._waiting.index(name)
        if place + 1 < len(self._waiting):
            self._waiting[place], self._waiting[place + 1] = self._waiting[place + 1], name
        self._stepped_back.add(name)
        return True

    def next(self):
        return self._waiting.pop(0) if self._waiting else None
#---
UNITS = {"g": 1, "dag": 10, "kg": 1000}

def to_grams(amount: float, unit: str) -> float:
    if unit not in UNITS:
        known = ", ".join(UNITS)
        raise ValueError(f"unit {unit!r} is not one of {known}")
    return amount * UNITS[unit]
#---
def merge_spans(spans):
    """Join opening hours that touch or overlap."""
    merged = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
#---
from typing import NamedTuple


class Place(NamedTuple):
    street: str
    number: int
    town: str

    def one_line(self) -> str:
        return f"{self.street} {self.number}, {self.town}"
#---
def initials(full_name: str) -> str:
    parts = [part for part in full_name.replace("-", " ").split() if part]
    return "".join(part[0].upper() for part in parts)
#---
def moving_average(series, window=7):
    out = []
    for index in range(len(series)):
        part = series[max(0, index - window + 1) : index + 1]
        out.append(sum(part) / len(part))
    return out
#---
import json
from pathlib import Path


class ${What}Settings:
    defaults = {"columns": 3, "currency": "EUR", "greeting": "Welcome"}

    def __init__(self, path: Path):
        self.path = path
        self.values = dict(self.defaults)

    def load(self):
        if self.path.exists():
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            self.values.update({k: v for k, v in stored.items() if k in self.defaults})
        return self.values

    def __getitem__(self, key):
        return self.values[key]
#---
def roman(number: int) -> str:
    table = [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    text = ""
    for value, sign in table:
        while number >= value:
            text += sign
            number -= value
    return text
#---
from itertools import groupby

def by_first_letter(names):
    ordered = sorted(names, key=str.casefold)
    return {letter: list(group) for letter, group in groupby(ordered, key=lambda n: n[0].upper())}
#---
def shares(amounts: dict[str, float]) -> dict[str, float]:
    whole = sum(amounts.values())
    if not whole:
        return dict.fromkeys(amounts, 0.0)
    return {name: round(100 * part / whole, 1) for name, part in amounts.items()}
#---
class Rota:
    def __init__(self, people, first=0):
        self.people = list(people)
        self.turn = first

    def __iter__(self):
        return self

    def __next__(self):
        if not self.people:
            raise StopIteration
        person = self.people[self.turn % len(self.people)]
        self.turn += 1
        return person

    def swap(self, one, other):
        i, j = self.people.index(one), self.people.index(other)
        self.people[i], self.people[j] = self.people[j], self.people[i]
#---
def clamp(value, low, high):
    return max(low, min(high, value))
#---
def price_with_discount(price: float, quantity: int) -> float:
    """One in ten $what is free, the second hundred costs three quarters."""
    paid = quantity - quantity // 10
    if paid <= 100:
        return round(paid * price, 2)
    return round(100 * price + (paid - 100) * price * 0.75, 2)
#---
import calendar

def working_days(year: int, month: int, closed=()) -> list[int]:
    days = []
    for day, weekday in calendar.Calendar().itermonthdays2(year, month):
        if day and weekday < 5 and day not in closed:
            days.append(day)
    return days
#---
class ${What}Error(Exception):
    def __init__(self, number, detail="not found"):
        super().__init__(f"$what {number}: {detail}")
        self.number = number
#---
def wrap_words(text: str, width: int = 60) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        lines.append(line)
    return lines
#---
STOPS = ("Harbour", "Market", "Mill Lane", "Old Station", "Woods")

def stops_between(start: str, end: str) -> list[str]:
    a, b = STOPS.index(start), STOPS.index(end)
    return list(STOPS[a : b + 1]) if a <= b else list(reversed(STOPS[b : a + 1]))
#---
def levenshtein(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        current = [i]
        for j, right in enumerate(b, 1):
            cost = 0 if left == right else 1
            current.append(min(current[-1] + 1, previous[j] + 1, previous[j - 1] + cost))
        previous = current
    return previous[-1]

def closest(word: str, words: list[str]) -> str | None:
    ranked = sorted(words, key=lambda candidate: levenshtein(word.lower(), candidate.lower()))
    return ranked[0] if ranked else None
#---
class Ledger:
    """Money in and out of one $what account, in cents."""

    def __init__(self, opening=0):
        self.entries = [("opening", opening)]

    @property
    def balance(self):
        return sum(amount for _, amount in self.entries)

    def book(self, text, amount):
        if amount == 0:
            raise ValueError("an entry of nothing")
        self.entries.append((text, amount))
        return self.balance

    def statement(self):
        running, lines = 0, []
        for text, amount in self.entries:
            running += amount
            lines.append(f"{text:<30}{amount / 100:>10.2f}{running / 100:>10.2f}")
        return "\n".join(lines)
#---
def celsius(fahrenheit: float) -> float:
    return round((fahrenheit - 32) * 5 / 9, 1)

def feels_like(celsius_degrees: float, wind_kmh: float) -> float:
    if celsius_degrees > 10 or wind_kmh < 5:
        return celsius_degrees
    chill = wind_kmh**0.16
    return round(13.12 + 0.6215 * celsius_degrees - 11.37 * chill + 0.3965 * celsius_degrees * chill, 1)
#---
import logging

log = logging.getLogger(__name__)

def timed_step(name, seconds):
    level = logging.WARNING if seconds > 5 else logging.INFO
    log.log(level, "%s took %.2f s", name, seconds)
#---
class Observable:
    def __init__(self):
        self._listeners = []

    def subscribe(self, listener):
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def notify(self, *args):
        for listener in list(self._listeners):
            listener(*args)
#---
def first_free(taken: set[int], start: int = 1) -> int:
    number = start
    while number in taken:
        number += 1
    return number
#---
from dataclasses import dataclass, field


@dataclass
class Shelf:
    code: str
    room: int = 40
    held: list[str] = field(default_factory=list)

    def put(self, item: str) -> bool:
        if len(self.held) >= self.room:
            return False
        self.held.append(item)
        return True

    def take(self, item: str) -> str | None:
        if item in self.held:
            self.held.remove(item)
            return item
        return None

    @property
    def free(self) -> int:
        return self.room - len(self.held)
#---
def human_size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
#---
def tournament(players):
    """Who meets whom in each round; everybody meets everybody once."""
    field = list(players)
    if len(field) % 2:
        field.append(None)
    half = len(field) // 2
    rounds = []
    for _ in range(len(field) - 1):
        pairs = [(field[i], field[-1 - i]) for i in range(half)]
        rounds.append([pair for pair in pairs if None not in pair])
        field.insert(1, field.pop())
    return rounds
#---
from decimal import ROUND_HALF_UP, Decimal

def add_tax(net: Decimal, percent: int = 20) -> Decimal:
    gross = net * (100 + percent) / 100
    return gross.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
#---
def interleave(*lists):
    result = []
    for index in range(max((len(one) for one in lists), default=0)):
        result.extend(one[index] for one in lists if index < len(one))
    return result
#---
class RecentlyUsed:
    def __init__(self, room=50):
        self.room = room
        self.items = {}

    def __contains__(self, key):
        return key in self.items

    def get(self, key, default=None):
        if key not in self.items:
            return default
        self.items[key] = self.items.pop(key)
        return self.items[key]

    def put(self, key, value):
        self.items.pop(key, None)
        self.items[key] = value
        while len(self.items) > self.room:
            self.items.pop(next(iter(self.items)))
#---
def progress_bar(done: int, total: int, width: int = 30) -> str:
    filled = width * done // max(1, total)
    return "[" + "#" * filled + "." * (width - filled) + f"] {done}/{total}"
#---
import statistics

def outliers(values, times=3):
    if len(values) < 4:
        return []
    middle = statistics.median(values)
    distance = statistics.median(abs(v - middle) for v in values) or 1
    return [v for v in values if abs(v - middle) / distance > times]
#---
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

def short_date(year, month, day):
    return f"{day} {MONTHS[month - 1]} {year}"
#---
class Grid:
    def __init__(self, width, height, fill="."):
        self.width, self.height = width, height
        self.cells = [[fill] * width for _ in range(height)]

    def neighbours(self, x, y):
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                inside = 0 <= x + dx < self.width and 0 <= y + dy < self.height
                if (dx or dy) and inside:
                    yield x + dx, y + dy

    def draw(self):
        return "\n".join("".join(row) for row in self.cells)
#---
def tally_votes(ballots, seats=2):
    points = {}
    for ballot in ballots:
        for rank, name in enumerate(ballot):
            points[name] = points.get(name, 0) + max(0, 5 - rank)
    order = sorted(points, key=lambda name: (-points[name], name))
    return order[:seats]
#---
from collections import defaultdict

def index_by(records, key):
    index = defaultdict(list)
    for record in records:
        index[record.get(key)].append(record)
    return dict(index)
#---
def duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest:02d} min" if rest else f"{hours} h"
#---
class Thermostat:
    low, high = 17.0, 22.5

    def __init__(self, room):
        self.room = room
        self.heating = False

    def read(self, degrees):
        if degrees < self.low:
            self.heating = True
        elif degrees > self.high:
            self.heating = False
        return self.heating
#---
def stars(score: float, out_of: int = 5) -> str:
    full = round(score)
    return "*" * full + "-" * (out_of - full)
#---
def apply_moves(position, moves):
    x, y = position
    steps = {"n": (0, 1), "s": (0, -1), "e": (1, 0), "w": (-1, 0)}
    for move in moves:
        dx, dy = steps[move]
        x, y = x + dx, y + dy
    return x, y
#---
from abc import ABC, abstractmethod


class Renderer(ABC):
    @abstractmethod
    def line(self, text: str) -> str: ...

    def page(self, lines: list[str]) -> str:
        return "\n".join(self.line(text) for text in lines)


class Indented(Renderer):
    def __init__(self, depth: int = 2):
        self.depth = depth

    def line(self, text: str) -> str:
        return " " * self.depth + text


class Numbered(Renderer):
    def __init__(self):
        self.count = 0

    def line(self, text: str) -> str:
        self.count += 1
        return f"{self.count:>3}  {text}"
#---
def schedule(jobs, capacity):
    """Put jobs into days of equal capacity, longest first."""
    days = []
    for name, hours in sorted(jobs.items(), key=lambda job: -job[1]):
        for day in days:
            if sum(jobs[other] for other in day) + hours <= capacity:
                day.append(name)
                break
        else:
            days.append([name])
    return days
#---
def diff_lists(before, after):
    added = [item for item in after if item not in before]
    gone = [item for item in before if item not in after]
    return added, gone
#---
class Recipe:
    def __init__(self, title, serves, parts):
        self.title, self.serves, self.parts = title, serves, parts

    def scaled(self, guests):
        factor = guests / self.serves
        return {name: round(amount * factor, 1) for name, amount in self.parts.items()}

    def shopping(self, pantry, guests):
        wanted = self.scaled(guests)
        return {n: a - pantry.get(n, 0) for n, a in wanted.items() if a > pantry.get(n, 0)}
#---
def distance_km(a, b):
    from math import asin, cos, radians, sin, sqrt

    (lat1, lon1), (lat2, lon2) = (map(radians, a), map(radians, b))
    inner = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 12742 * asin(sqrt(inner))
#---
def parse_range(text: str) -> list[int]:
    pages = []
    for part in text.replace(" ", "").split(","):
        if "-" in part:
            low, high = part.split("-", 1)
            pages.extend(range(int(low), int(high) + 1))
        elif part:
            pages.append(int(part))
    return pages
#---
import unicodedata

def sort_key(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name)
    return "".join(ch for ch in plain if not unicodedata.combining(ch)).casefold()
#---
class Undo:
    def __init__(self):
        self.past, self.future = [], []

    def do(self, change, revert):
        change()
        self.past.append((change, revert))
        self.future.clear()

    def undo(self):
        if self.past:
            change, revert = self.past.pop()
            revert()
            self.future.append((change, revert))

    def redo(self):
        if self.future:
            change, revert = self.future.pop()
            change()
            self.past.append((change, revert))
#---
def running_total(numbers):
    total = 0
    for number in numbers:
        total += number
        yield total
#---
def fits(items, boxes):
    remaining = sorted(boxes, reverse=True)
    for item in sorted(items, reverse=True):
        place = next((i for i, room in enumerate(remaining) if room >= item), None)
        if place is None:
            return False
        remaining[place] -= item
    return True
#---
class ${What}Log:
    def __init__(self, limit=500):
        self.limit = limit
        self.lines = []

    def add(self, text):
        self.lines.append(text)
        del self.lines[: -self.limit]

    def last(self, count=10):
        return self.lines[-count:]

    def mentions(self, word):
        return sum(word.lower() in line.lower() for line in self.lines)
#---
def grade(points: int) -> str:
    for least, name in ((90, "very good"), (75, "good"), (60, "fair"), (50, "pass")):
        if points >= least:
            return name
    return "try again"
#---
def transpose(table):
    return [list(column) for column in zip(*table)]

def to_markdown(header, table):
    rows = [header, ["---"] * len(header), *table]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
#---
from collections import deque

def shortest_path(links, start, goal):
    came_from = {start: None}
    frontier = deque([start])
    while frontier:
        here = frontier.popleft()
        if here == goal:
            break
        for neighbour in links.get(here, ()):
            if neighbour not in came_from:
                came_from[neighbour] = here
                frontier.append(neighbour)
    if goal not in came_from:
        return []
    path = [goal]
    while came_from[path[-1]] is not None:
        path.append(came_from[path[-1]])
    return path[::-1]
'''
"""The blocks, separated by lines of ``#---``; import lines come first."""
