"""Rules on what a web application shows, where it sends people, and the protections that it switches off."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, is_true, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin, Value

TAG = re.compile(r"<\s*/?\s*[a-zA-Z!]|&lt;\s*/?\s*[a-zA-Z]")
RESPONDING = re.compile(
    r"(?:^|\.)(?:make_response|Response|HttpResponse|HTMLResponse|Markup|mark_safe|SafeString|SafeText|"
    r"html_safe)$"
)
SWITCHES = {
    "SESSION_COOKIE_SECURE": "insecure_cookie",
    "SESSION_COOKIE_HTTPONLY": "insecure_cookie",
    "CSRF_COOKIE_SECURE": "insecure_cookie",
    "REMEMBER_COOKIE_SECURE": "insecure_cookie",
    "REMEMBER_COOKIE_HTTPONLY": "insecure_cookie",
    "WTF_CSRF_ENABLED": "request_forgery",
    "WTF_CSRF_CHECK_DEFAULT": "request_forgery",
}


ANY_ORIGIN = re.compile(r"Access-Control-Allow-Origin['\"]\]?\s*[=:,]\s*['\"]\*")
PAGES = re.compile(r"\b(?:flask|bottle|django)\b")
TEXT_FROM_REQUEST = re.compile(r"\.(?:args|form|values|cookies|GET|POST|headers)\b|^<route>$")


def _is_unsafe_html(value: Value, scope: Scope) -> bool:
    """Text with tags and unescaped data in it; in a request handler also text that echoes the request."""
    if not value.reaches("html", Origin.PARAMETER):
        return False
    if value.built and TAG.search(value.text):
        return True
    echoes = scope.handler and value.origin >= Origin.USER and PAGES.search(scope.module_text) is not None
    return echoes and (value.built or TEXT_FROM_REQUEST.search(value.maker) is not None)


@on(ast.Return)
def returned_html(node: ast.Return, scope: Scope) -> Iterator[Hit]:
    """HTML with unescaped data in it, returned from a request handler or a function that makes HTML."""
    parts = node.value.elts[:1] if isinstance(node.value, ast.Tuple) else [node.value]
    for part in parts:
        if (
            part is not None
            and not isinstance(part, (ast.Dict, ast.List))
            and _is_unsafe_html(scope.value(part), scope)
        ):
            yield Hit("cross_site_scripting", node.lineno)


@on(ast.Call)
def responded_html(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same, handed to a response object or marked as safe."""
    name = scope.name(call.func)
    if RESPONDING.search(name) and call.args:
        value = scope.value(call.args[0])
        marked = re.search(r"Markup|mark_safe|Safe|html_safe", name) is not None
        if _is_unsafe_html(value, scope) or (marked and value.reaches("html", Origin.UNKNOWN)):
            plain = scope.value(argument(call, -1, "mimetype", "content_type", "media_type")).text
            if "json" not in plain and "text/plain" not in plain:
                yield Hit("cross_site_scripting", call.lineno)
    elif re.search(r"(?:wfile|response|resp|self)\.write$", name) and call.args:
        value = scope.value(call.args[0])
        if value.built and TAG.search(value.text) and value.reaches("html", Origin.PARAMETER):
            yield Hit("cross_site_scripting", call.lineno)
    elif name.endswith(("render_template_string", "from_string")) and call.args:
        text = scope.value(call.args[0]).text
        if re.search(r"\|\s*safe\b|autoescape\s+false", text):
            yield Hit("cross_site_scripting", call.lineno)


@on(ast.Call)
def escaping(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Template engines with escaping switched off, or that never had it and are given HTML to fill."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last not in ("Template", "Environment", "from_string") or "string" in name.split(".")[0]:
        return
    given = argument(call, -1, "autoescape")
    if given is not None:
        value = scope.value(given)
        if value.known and not value.constant:
            yield Hit("unescaped_template", call.lineno)
    elif name == "jinja2.Template" and call.args:
        text = scope.value(call.args[0]).text
        if "{{" in text and TAG.search(text) and not re.search(r"\|\s*e(?:scape)?\b|autoescape\s+true", text):
            yield Hit("unescaped_template", call.lineno)
    elif name in ("jinja2.Environment", "Environment") and "jinja2" in scope.module_text:
        yield Hit("unescaped_template", call.lineno)


@on(ast.Call)
def redirects(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A redirect whose host the user chose."""
    name = scope.name(call.func)
    if name.rsplit(".", 1)[-1] in ("redirect", "HttpResponseRedirect", "RedirectResponse", "HTTPFound", "seeother"):
        value = scope.value(argument(call, 0, "location", "url", "redirect_to", "to"))
        if value.reaches("url", Origin.USER) and not value.front:
            yield Hit("open_redirect", call.lineno)


@on(ast.Call)
def application_settings(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Debuggers, cookies and origins, as set in calls."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last in ("run", "run_simple", "run_app") and any(
        is_true(argument(call, -1, word)) for word in ("debug", "use_debugger")
    ):
        yield Hit("debug_mode", call.lineno)
    elif last == "CORS" or last == "cross_origin":
        origins = scope.value(argument(call, -1, "origins"))
        anyone = argument(call, -1, "origins") is None or origins.text == "*"
        if anyone and is_true(argument(call, -1, "supports_credentials")):
            yield Hit("cross_origin_credentials", call.lineno)
    elif is_true(argument(call, -1, "allow_credentials")):
        if scope.value(argument(call, -1, "allow_origins")).text == "*":
            yield Hit("cross_origin_credentials", call.lineno)
    elif last == "set_cookie":
        named = scope.value(argument(call, 0, "key")).text.lower()
        off = is_false(argument(call, -1, "secure")) or is_false(argument(call, -1, "httponly"))
        secret = re.search(r"sess|token|auth|jwt|user|password", named) is not None
        bare = argument(call, -1, "secure") is None or argument(call, -1, "httponly") is None
        if off or (secret and bare):
            yield Hit("insecure_cookie", call.lineno)


@on(ast.Assign)
def assigned_settings(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """The same, as set by assignment."""
    for target in node.targets:
        name = scope.name(target).rsplit(".", 1)[-1]
        if isinstance(target, ast.Subscript):
            key = scope.value(target.slice)
            name = key.constant if key.known and isinstance(key.constant, str) else name
            if name == "Access-Control-Allow-Credentials" and ANY_ORIGIN.search(scope.module_text):
                yield Hit("cross_origin_credentials", node.lineno)
        if name in SWITCHES and is_false(node.value):
            yield Hit(SWITCHES[name], node.lineno)
        elif (
            name in ("DEBUG", "debug") and is_true(node.value) and re.search(r"flask|django|fastapi", scope.module_text)
        ):
            yield Hit("debug_mode", node.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def forgery_protection(node: ast.FunctionDef, scope: Scope) -> Iterator[Hit]:
    """Handlers that opt out of the protection against cross-site request forgery."""
    for decorator in node.decorator_list:
        if scope.name(decorator).rsplit(".", 1)[-1] in ("csrf_exempt", "exempt"):
            yield Hit("request_forgery", decorator.lineno)
