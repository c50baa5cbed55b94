"""Rules on work, memory and waiting that have no limit."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_none, is_true, on
from mechkit.judges.rules.evidence import number, text_of
from mechkit.judges.scope import Scope
from mechkit.judges.values import AMOUNT
from mechkit.judges.vocabulary import words

SIZED = words("range bytes bytearray time.sleep asyncio.sleep numpy.zeros numpy.ones numpy.empty os.urandom")
WAITING = words("urllib.request.urlopen socket.create_connection aiohttp.ClientSession aiohttp.ClientTimeout")
NO_LIMIT = words(
    """
    MAX_CONTENT_LENGTH DATA_UPLOAD_MAX_MEMORY_SIZE DATA_UPLOAD_MAX_NUMBER_FIELDS DATA_UPLOAD_MAX_NUMBER_FILES
    MAX_IMAGE_PIXELS MAX_FORM_MEMORY_SIZE
    """
)
SIZED_BY = words(
    """
    new zeros ones empty full arange linspace rand randn token_bytes token_hex token_urlsafe randbytes sleep factorial
    permutations combinations product ThreadPoolExecutor ProcessPoolExecutor Pool limit fetchmany resize thumbnail
    sample choices repeat islice make_image pow ljust rjust zfill center
    """
)
"""Calls whose work or memory grows with a number that they are given."""
NONE_IS_ENDLESS = (
    "max_size",
    "max_content_length",
    "max_workers_limit",
    "client_max_size",
    "max_length",
    "max_body_size",
    "request_timeout",
    "read_timeout",
    "max_redirects",
    "max_message_size",
    "connect_timeout",
    "max_fields",
)
LARGEST = (
    "max_body_size",
    "client_max_size",
    "max_buffer_size",
    "max_size",
    "max_content_length",
    "max_message_size",
    "max_request_size",
    "max_part_size",
    "max_form_memory_size",
)


@on(ast.Call)
def sizes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A loop, buffer or wait as long as a remote user says, and unpacking or waiting without an end."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in SIZED and any(AMOUNT in scope.value(part).marks for part in call.args):
        yield Hit("unbounded_resource", call.lineno)
    elif re.match(r"(?:requests|httpx)\.\w+$", name) or name in WAITING:
        limit = argument(call, -1, "timeout")
        if limit is not None and is_none(limit):
            yield Hit("unbounded_resource", call.lineno)
    elif is_true(argument(call, -1, "huge_tree")) or (name == "sys.set_int_max_str_digits" and _is_zero(call)):
        yield Hit("unbounded_resource", call.lineno)
    elif name.startswith("websockets.") and last in ("serve", "connect"):
        limit = argument(call, -1, "max_size")
        if limit is not None and is_none(limit):
            yield Hit("unbounded_resource", call.lineno)
    elif (
        (
            last in SIZED_BY
            and any(AMOUNT in scope.value(part).marks for part in [*call.args, *(word.value for word in call.keywords)])
        )
        or any(is_none(word.value) and word.arg in NONE_IS_ENDLESS for word in call.keywords)
        or (last == "settimeout" and call.args and is_none(call.args[0]))
        or (name == "csv.field_size_limit" and call.args and "maxsize" in ast.unparse(call.args[0]))
        or (name == "sys.setrecursionlimit" and call.args and (number(call.args[0], scope) or 0) >= 100_000)
        or (name == "resource.setrlimit" and "INFINITY" in ast.unparse(call))
        or (
            name in ("functools.lru_cache", "lru_cache")
            and is_none(argument(call, 0, "maxsize"))
            and argument(call, 0, "maxsize") is not None
        )
        or (
            any(
                isinstance(word.value, (ast.BinOp, ast.Constant))
                and word.arg in LARGEST
                and (number(word.value, scope) or 0) > 2**30
                for word in call.keywords
            )
        )
    ):
        yield Hit("unbounded_resource", call.lineno)
    elif name in ("queue.Queue", "asyncio.Queue", "collections.deque") and (
        scope.handler or scope.mentions("socket|recv|request|listen|message|submit")
    ):
        if (
            not call.args
            and argument(call, -1, "maxsize", "maxlen") is None
            and scope.says(r"def (?:submit|enqueue|put|add|accept|receive|on_message|push)")
        ):
            yield Hit("unbounded_resource", call.lineno)


@on(ast.BinOp)
def repeated(node: ast.BinOp, scope: Scope) -> Iterator[Hit]:
    """A text or list repeated as often as a remote user says."""
    if isinstance(node.op, ast.Mult):
        for times, what in ((node.left, node.right), (node.right, node.left)):
            text = isinstance(what, (ast.List, ast.Tuple, ast.JoinedStr)) or (
                isinstance(what, ast.Constant) and isinstance(what.value, (str, bytes))
            )
            if text and AMOUNT in scope.value(times).marks:
                yield Hit("unbounded_resource", node.lineno)
                return


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def endless_reading(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A loop that gathers what a socket sends, however much; a parser that calls itself on nested input."""
    for part in scope.nodes(node):
        if isinstance(part, ast.While) and isinstance(part.test, ast.Constant):
            text = text_of(part, scope)
            if re.search(r"(?:\.recv|\.read|receive\w*|readline|read_until|readuntil)\(", text) and re.search(
                r"\+=|\.append\(|\.extend\(|join\(", text
            ):
                if not re.search(r"len\(|MAX|limit|size\s*[<>+]|[<>]|total|count|deadline", text):
                    yield Hit("unbounded_resource", part.lineno)
                    return


@on(ast.Assign)
def limits_off(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """A framework's limit taken away."""
    if not is_none(node.value):
        return
    for target in node.targets:
        name = scope.name(target).rsplit(".", 1)[-1]
        if isinstance(target, ast.Subscript):
            name = scope.value(target.slice).text
        if name in NO_LIMIT:
            yield Hit("unbounded_resource", node.lineno)


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
