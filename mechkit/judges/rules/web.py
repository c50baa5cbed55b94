"""Rules on what a web application shows, where it sends people, and the protections that it switches off."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, is_true, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import SECRET, Origin, Value

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
    "JWT_COOKIE_SECURE": "insecure_cookie",
    "JWT_COOKIE_HTTPONLY": "insecure_cookie",
    "WTF_CSRF_ENABLED": "request_forgery",
    "WTF_CSRF_CHECK_DEFAULT": "request_forgery",
}


ANYONE_SWITCHES = ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL")
ORIGIN_ARGUMENTS = ("allow_origins", "allow_origin_regex", "cors_allowed_origins")
CONFIGURING = (".config.update", ".config.from_mapping")
WEB_SETTINGS = re.compile(r"flask|django|fastapi|starlette|bottle|INSTALLED_APPS|ALLOWED_HOSTS|MIDDLEWARE|ROOT_URLCONF")
CHECKED_HEADERS = ("access-control-allow-origin", "set-cookie", "location")
ORIGIN_HEADER = "access-control-allow-origin"
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
    if name.rsplit(".", 1)[-1] in (
        "redirect",
        "HttpResponseRedirect",
        "RedirectResponse",
        "HTTPFound",
        "HTTPSeeOther",
        "seeother",
    ):
        value = scope.value(argument(call, 0, "location", "url", "redirect_to", "to"))
        if _leads_away(value):
            yield Hit("open_redirect", call.lineno)


def _leads_away(value: Value) -> bool:
    """Whether a remote user chose the host of an address."""
    if not value.reaches("url", Origin.USER):
        return False
    if value.front:
        return re.match(r"(?:\w+:)?//[^/]*$", value.front) is not None
    return value.leading >= Origin.PARAMETER


@on(ast.Call)
def application_settings(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Debuggers, cookies and origins, as set in calls."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if (
        (
            last in ("run", "run_simple", "run_app", "run_server")
            and any(_is_on(argument(call, -1, word), scope) for word in ("debug", "use_debugger", "use_evalex"))
        )
        or (last in ("FastAPI", "Starlette", "Application", "Sanic") and _is_on(argument(call, -1, "debug"), scope))
        or (last == "DebuggedApplication" and not is_false(argument(call, 1, "evalex")))
    ):
        yield Hit("debug_mode", call.lineno)
    elif name in ("config.update", "django.conf.settings.configure") or name.endswith(CONFIGURING):
        for keyword in call.keywords:
            if keyword.arg in SWITCHES and is_false(keyword.value):
                yield Hit(SWITCHES[keyword.arg], call.lineno)
            elif keyword.arg == "DEBUG" and is_true(keyword.value):
                yield Hit("debug_mode", call.lineno)
    elif last == "CORS" or last == "cross_origin":
        origins = argument(call, -1, "origins", "allow_origin")
        resources = scope.written(argument(call, -1, "resources"))
        anyone = (origins is None and resources is None) or _anyone(origins, scope)
        listed = isinstance(resources, ast.Dict) and re.search(r"'origins': \[?'(?:\*|\.\*)'", ast.unparse(resources))
        if (anyone or listed) and is_true(argument(call, -1, "supports_credentials", "allow_credentials")):
            yield Hit("cross_origin_credentials", call.lineno)
        elif (anyone and origins is not None) or listed:
            yield Hit("cross_origin_credentials", call.lineno, 55)
    elif any(_anyone(argument(call, -1, word), scope) for word in ORIGIN_ARGUMENTS):
        credentials = is_true(argument(call, -1, "allow_credentials"))
        yield Hit("cross_origin_credentials", call.lineno, None if credentials else 55)
    elif (
        last in ("setdefault", "set_header", "send_header", "add_header", "__setitem__", "add") and len(call.args) == 2
    ):
        yield from _header(call.args[0], call.args[1], call.lineno, scope)
    elif (last == "SessionMiddleware" and is_false(argument(call, -1, "https_only"))) or (
        last == "add_middleware" and is_false(argument(call, -1, "https_only"))
    ):
        yield Hit("insecure_cookie", call.lineno)
    elif last in ("set_cookie", "set_signed_cookie") and not any(word.arg is None for word in call.keywords):
        named = scope.value(argument(call, 0, "key")).text.lower()
        off = is_false(argument(call, -1, "secure")) or is_false(argument(call, -1, "httponly"))
        secret = re.search(r"sess|token|auth|jwt|user|password", named) is not None
        given = argument(call, 1, "value")
        secret = secret or (given is not None and SECRET in scope.value(given).marks)
        missing = [argument(call, -1, word) is None for word in ("secure", "httponly")]
        if off or (secret and any(missing)):
            yield Hit("insecure_cookie", call.lineno)
        elif all(missing):
            yield Hit("insecure_cookie", call.lineno, 55)


def _is_on(node: ast.expr | None, scope: Scope) -> bool:
    """Whether a switch is on, or on unless the environment says otherwise."""
    if node is None:
        return False
    value = scope.value(node)
    if isinstance(node, ast.Call) and scope.name(node.func) in ("os.environ.get", "os.getenv") and len(node.args) == 2:
        value = scope.value(node.args[1])
    return value.known and bool(value.constant) and str(value.constant).lower() not in ("0", "false", "no", "off")


def _anyone(node: ast.expr | None, scope: Scope) -> bool:
    """Whether a list of origins, or a pattern for them, lets every one in."""
    node = scope.written(node)
    parts = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else [node]
    return any(
        part is not None and scope.value(part).text in ("*", ".*", "https?://.*", r"https?:\/\/.*") for part in parts
    )


def _header(key: ast.expr, value: ast.expr, line: int, scope: Scope) -> Iterator[Hit]:
    """A response header that lets any origin in, or a cookie without its marks."""
    name = scope.value(key).text.lower()
    if name == ORIGIN_HEADER:
        given = scope.value(value)
        if given.text == "*":
            yield Hit("cross_origin_credentials", line, 55)
        elif given.reaches("url", Origin.USER):
            yield Hit("cross_origin_credentials", line)
    elif name == "location":
        if _leads_away(scope.value(value)):
            yield Hit("open_redirect", line)
    elif name == "set-cookie":
        text = scope.value(value).text.lower()
        if "=" in text and ("secure" not in text or "httponly" not in text):
            yield Hit("insecure_cookie", line)


@on(ast.Dict)
def header_tables(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """The same in a dictionary of headers, and a debugger in one of settings."""
    for key, value in zip(node.keys, node.values):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            continue
        if key.value.lower() == "debug" and is_true(value) and WEB_SETTINGS.search(scope.module_text):
            yield Hit("debug_mode", value.lineno)
        if key.value.lower() in CHECKED_HEADERS:
            yield from _header(key, value, node.lineno, scope)


@on(ast.Call)
def plain_cookie_jars(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The standard library's cookies, never given their marks."""
    if scope.name(call.func) in ("http.cookies.SimpleCookie", "cookies.SimpleCookie") and not call.args:
        if not (scope.mentions(r"['\"]secure['\"]") and scope.mentions(r"['\"]httponly['\"]")):
            yield Hit("insecure_cookie", call.lineno)


@on(ast.Assign)
def assigned_settings(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """The same, as set by assignment."""
    for target in node.targets:
        name = scope.name(target).rsplit(".", 1)[-1]
        if isinstance(target, ast.Subscript):
            key = scope.value(target.slice)
            name = key.constant if key.known and isinstance(key.constant, str) else name
            yield from _header(target.slice, node.value, node.lineno, scope)
            if name == "Access-Control-Allow-Credentials" and ANY_ORIGIN.search(scope.module_text):
                yield Hit("cross_origin_credentials", node.lineno)
            if name in ("secure", "httponly") and is_false(node.value) and "ookie" in scope.module_text:
                yield Hit("insecure_cookie", node.lineno)
        if name in SWITCHES and is_false(node.value):
            yield Hit(SWITCHES[name], node.lineno)
        elif name in ANYONE_SWITCHES and is_true(node.value):
            yield Hit("cross_origin_credentials", node.lineno)
        elif name in ("DEBUG", "debug") and is_true(node.value) and WEB_SETTINGS.search(scope.module_text):
            yield Hit("debug_mode", node.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def forgery_protection(node: ast.FunctionDef, scope: Scope) -> Iterator[Hit]:
    """Handlers that opt out of the protection against cross-site request forgery."""
    for decorator in node.decorator_list:
        if scope.name(decorator).rsplit(".", 1)[-1] in ("csrf_exempt", "exempt"):
            yield Hit("request_forgery", decorator.lineno)
