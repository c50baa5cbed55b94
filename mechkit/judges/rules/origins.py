"""Rules on which other sites may send requests with the user's cookies."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_true, on
from mechkit.judges.rules.evidence import last_of, literal_text
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

ANY_PATTERN = re.compile(r"^(?:\*|\^?\.[*+]\$?|https?://\*|\^?https\?:\\?/\\?/\.[*+]\$?|null)$")


ORIGIN_SETTINGS = re.compile(
    r"CORS_(?:ALLOWED_ORIGIN(?:S|_REGEXES)|ORIGINS?|ORIGIN_(?:WHITELIST|REGEX_WHITELIST))$|^allow_?ed_?origins$",
    re.IGNORECASE,
)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def every_origin(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """Tornado's check of a web socket's origin that always says yes."""
    if node.name == "check_origin" and any(isinstance(part, ast.Return) and is_true(part.value) for part in node.body):
        yield Hit("cross_origin_credentials", node.lineno)


@on(ast.Compare)
def loose_origins(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """`"shop.example" in origin`."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        text, right = literal_text(node.left), scope.name(node.comparators[0])
        if re.fullmatch(r"(?:https?://)?[\w-]+(?:\.[\w-]+)+", text) and re.search(
            r"origin|refer|host(?:name)?$|domain", right, re.IGNORECASE
        ):
            yield Hit("loose_host_pattern", node.lineno)


@on(ast.Assign, ast.AnnAssign)
def origins_in_settings(node: ast.Assign | ast.AnnAssign, scope: Scope) -> Iterator[Hit]:
    """Settings that list any origin."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name = literal_text(target.slice) if isinstance(target, ast.Subscript) else last_of(scope.name(target))
    if name and ORIGIN_SETTINGS.search(name) and node.value is not None:
        listed = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple, ast.Set)) else [node.value]
        if any(ANY_PATTERN.match(literal_text(part)) for part in listed):
            yield Hit("cross_origin_credentials", node.lineno)


@on(ast.Tuple)
def origins_in_pairs(node: ast.Tuple, scope: Scope) -> Iterator[Hit]:
    """`("Access-Control-Allow-Origin", "*")` in a list of headers."""
    if len(node.elts) == 2 and literal_text(node.elts[0]).lower() == "access-control-allow-origin":
        if literal_text(node.elts[1]) in ("*", "null") or scope.value(node.elts[1]).reaches("url", Origin.PARAMETER):
            yield Hit("cross_origin_credentials", node.lineno, 55)


@on(ast.Dict)
def origins_in_tables(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """aiohttp_cors with rules for "*", and headers whose origin is the caller's."""
    for key, part in zip(node.keys, node.values):
        if (
            literal_text(key) == "*"
            and isinstance(part, ast.Call)
            and scope.name(part.func).endswith("ResourceOptions")
        ):
            yield Hit("cross_origin_credentials", node.lineno)


@calling("App", "API", "CORSMiddleware", "CORS", "CORSConfig", "ResourceOptions", "setup_cors", "Sanic")
def origins_of_frameworks(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Frameworks told to let every origin in."""
    if is_true(argument(call, -1, "cors_enable")):
        yield Hit("cross_origin_credentials", call.lineno, 55)
    for keyword in call.keywords:
        if (
            keyword.arg in ("allow_origins", "allow_credentials", "origins", "expose_headers")
            and literal_text(keyword.value) == "*"
        ):
            if keyword.arg != "expose_headers":
                yield Hit("cross_origin_credentials", call.lineno, 55)
                return


@on(ast.Assign, ast.Call)
def echoed_origins(node: ast.Assign | ast.Call, scope: Scope) -> Iterator[Hit]:
    """The caller's origin written back: a parameter of that name without a look at a list."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        key, value = (target.slice, node.value) if isinstance(target, ast.Subscript) else (None, None)
    elif len(node.args) == 2:
        key, value = node.args
    else:
        return
    if literal_text(key).lower() == "access-control-allow-origin" and value is not None:
        held = scope.value(value)
        if held.reaches("url", Origin.PARAMETER) and held.origin in (Origin.PARAMETER, Origin.OUTSIDE):
            yield Hit("cross_origin_credentials", node.lineno)
