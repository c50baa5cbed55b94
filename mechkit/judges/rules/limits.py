"""Rules on work, memory and waiting that have no limit."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_none, is_true, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import AMOUNT, Origin
from mechkit.judges.vocabulary import words

SIZED = words("range bytes bytearray time.sleep asyncio.sleep numpy.zeros numpy.ones numpy.empty os.urandom")
WAITING = words("urllib.request.urlopen socket.create_connection aiohttp.ClientSession aiohttp.ClientTimeout")
NO_LIMIT = words(
    """
    MAX_CONTENT_LENGTH DATA_UPLOAD_MAX_MEMORY_SIZE DATA_UPLOAD_MAX_NUMBER_FIELDS DATA_UPLOAD_MAX_NUMBER_FILES
    MAX_IMAGE_PIXELS MAX_FORM_MEMORY_SIZE
    """
)
NESTED_REPEAT = re.compile(
    r"\((?:\?:)?(?:\[[^\]]+\]|\\[wdsS]|\.|\w)[+*]\)[+*]|\((?:\?:)?(?:\[[^\]]+\]|\\[wds])[+*]\\?[\s,;]?[?*]\)[+*]"
)
"""A repeated group that is itself repeated: matching can take exponential time."""


@on(ast.Call)
def sizes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A loop, buffer or wait as long as a remote user says, and unpacking or waiting without an end."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in SIZED and any(AMOUNT in scope.value(part).marks for part in call.args):
        yield Hit("unbounded_resource", call.lineno)
    elif name in ("zlib.decompress", "gzip.decompress", "bz2.decompress", "lzma.decompress"):
        if call.args and scope.value(call.args[0]).origin in (Origin.OUTSIDE, Origin.USER):
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
    elif name in ("re.compile", "re.match", "re.fullmatch", "re.search") and call.args:
        if NESTED_REPEAT.search(scope.value(call.args[0]).text):
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
