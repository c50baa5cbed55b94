"""Rules on bodies, pages and queues that grow as others like."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_none, on
from mechkit.judges.rules.evidence import last_of, number
from mechkit.judges.scope import Scope
from mechkit.judges.values import AMOUNT, Origin


@on(ast.BinOp)
def sized_by_parameters(node: ast.BinOp, scope: Scope) -> Iterator[Hit]:
    """`word * int(width)` with both from outside."""
    if isinstance(node.op, ast.Mult):
        for times, what in ((node.left, node.right), (node.right, node.left)):
            if (
                isinstance(times, ast.Call)
                and scope.name(times.func) == "int"
                and times.args
                and not isinstance(what, ast.Constant)
            ):
                if (
                    scope.value(times.args[0]).origin >= Origin.PARAMETER
                    and scope.value(what).origin >= Origin.PARAMETER
                ):
                    yield Hit("unbounded_resource", node.lineno)
                    return


@on(ast.Subscript)
def pages_of_any_size(node: ast.Subscript, scope: Scope) -> Iterator[Hit]:
    """A page of as many rows as the request says."""
    if (
        isinstance(node.slice, ast.Slice)
        and node.slice.upper is not None
        and AMOUNT in scope.value(node.slice.upper).marks
    ):
        if re.search(r"objects|query|all\(\)|filter", scope.name(node.value)):
            yield Hit("unbounded_resource", node.lineno)


WHOLE = re.compile(
    r"(?:request\.(?:body|stream\.read|get_data|read)|(?:file|upload|item|photo|document|attachment|image|picture)\.read|rfile\.read|stream\.read|content\.read|reader?\.read)$"
)


@calling("read", "body")
def whole_bodies(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A body or upload read whole, however large."""
    name = scope.name(call.func)
    if call.args or call.keywords or scope.says(r"(?i)max|limit|content.?length|too.large|413|\.size\b|len\("):
        return
    if re.search(r"stream\.read$|rfile\.read$|^reader?\.read$|content\.read$", name) and scope.function is not None:
        yield Hit("unbounded_resource", call.lineno, 55)
    elif WHOLE.search(name) and scope.function is not None:
        yield Hit("unbounded_resource", call.lineno, 45)


@calling(
    "Application",
    "Queue",
    "Semaphore",
    "ThreadPoolExecutor",
    "deque",
    "SimpleQueue",
    "LifoQueue",
    "serve",
    "start_server",
)
def limits_of_servers(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Queues and bodies without an upper limit in a server."""
    last = last_of(scope.name(call.func))
    size = argument(call, -1, "client_max_size", "max_size", "limit")
    if size is not None and (number(size, scope) == 0 or is_none(size)):
        yield Hit("unbounded_resource", call.lineno)
    elif last in ("Queue", "SimpleQueue", "LifoQueue") and not call.args and not call.keywords:
        if scope.says(r"def (?:accept|submit|enqueue|receive|on_message|handle|push|take|order|post|report)\w*\("):
            yield Hit("unbounded_resource", call.lineno, 55)
