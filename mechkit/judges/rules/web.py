"""Rules on what a web application shows, where it sends people, and the protections that it switches off."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, is_true, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, SECRET, Origin, Value

TAG = re.compile(r"<\s*/?\s*[a-zA-Z!]|&lt;\s*/?\s*[a-zA-Z]")
RESPONDING = re.compile(
    r"(?:^|\.)(?:make_response|Response|HttpResponse|HTMLResponse|Markup|mark_safe|SafeString|SafeText|"
    r"html_safe|html|HTML|raw|unescape_html|HTMLString|SafeMarkup|write_html)$"
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
HTML = re.compile(
    r"<\s*/?\s*(?:h[1-6]|p|div|li|ul|ol|td|tr|th|table|b|i|a|span|img|body|html|head|script|title|input|option|select|textarea|strong|em|br|"
    r"form|button|section|article|pre|blockquote|label|style|link|meta|iframe|svg|main|nav|header|footer|dt|dd|dl|small|code|marquee|figure|"
    r"figcaption|center|font|u|s|mark|details|summary|video|audio|object|embed|base|hr)\b",
    re.IGNORECASE,
)
UNESCAPED = re.compile(
    r"\|\s*safe\b|\{%-?\s*autoescape\s+(?:false|off|None)|\{%\s*raw\s+\w|\{\{!\s*\w|\$\{[^}]*\|\s*n\s*\}|\{%\s*module\s+raw|\{\{\{\s*\w|"
    r"<%page[^>]*expression_filter=['\"]n"
)
PREFERENCE = re.compile(r"^(?:lang(?:uage)?|locale|theme|colou?r|consent|seen|tz|timezone|currency|layout|font|dark)")
PAGES = re.compile(r"\b(?:flask|bottle|django)\b")
TEXT_FROM_REQUEST = re.compile(r"\.(?:args|form|values|cookies|GET|POST|headers)\b|^<route>$")


def _is_unsafe_html(value: Value, scope: Scope) -> bool:
    """Text with tags and unescaped data in it; in a request handler also text that echoes the request."""
    if not value.reaches("html", Origin.PARAMETER):
        return False
    if value.built and TAG.search(value.text):
        return True
    echoes = scope.handler and value.origin >= Origin.USER and scope.says(PAGES)
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
    body = argument(call, 0, "text", "body", "content", "response", "html")
    if RESPONDING.search(name) and body is not None:
        value = scope.value(body)
        marked = re.search(r"Markup|mark_safe|Safe|html_safe|\\bHTML$|raw$", name) is not None
        if _is_unsafe_html(value, scope) or (marked and value.reaches("html", Origin.UNKNOWN)):
            plain = scope.value(argument(call, -1, "mimetype", "content_type", "media_type")).text
            if "json" not in plain and "text/plain" not in plain:
                yield Hit("cross_site_scripting", call.lineno)
    elif re.search(r"(?:wfile|response|resp|self)\.write$", name) and call.args:
        value = scope.value(call.args[0])
        if value.built and TAG.search(value.text) and value.reaches("html", Origin.PARAMETER):
            yield Hit("cross_site_scripting", call.lineno)
    elif any(
        is_true(argument(call, -1, word))
        for word in ("unsafe_allow_html", "dangerously_allow_html", "unsafe_html", "allow_html")
    ):
        shown = scope.value(argument(call, 0, "body", "children"))
        if shown.reaches("html", Origin.UNKNOWN) or shown.built:
            yield Hit("cross_site_scripting", call.lineno)
    elif name.endswith(("MIMEText", "set_content", "add_alternative", "attach_alternative")) and call.args:
        if "html" in ast.unparse(call)[-60:] and _is_unsafe_html(scope.value(call.args[0]), scope):
            yield Hit("cross_site_scripting", call.lineno)


@on(ast.Constant)
def unescaped_places(node: ast.Constant, scope: Scope) -> Iterator[Hit]:
    """A template that tells its engine not to escape a value."""
    if isinstance(node.value, str) and len(node.value) > 8 and UNESCAPED.search(node.value[:4000]):
        if scope.says(r"render|template|Template|jinja|from_string|mako|tornado|bottle|Environment"):
            yield Hit("cross_site_scripting", node.lineno)


@on(ast.BinOp, ast.JoinedStr, ast.Call)
def built_html(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """HTML with unescaped data in it, wherever it is built."""
    if isinstance(node, ast.Call) and not (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "substitute", "safe_substitute", "format_map")
    ):
        return
    value = scope.value(node)
    if isinstance(node, ast.Call) and node.func.attr.endswith("substitute"):  # type: ignore[attr-defined]
        source = scope.written(node.func.value)  # type: ignore[attr-defined]
        texts = [scope.value(part).text for part in source.args] if isinstance(source, ast.Call) else []
        given = [scope.value(part) for part in (*node.args, *(word.value for word in node.keywords))]
        loose = any(part.reaches("html", Origin.PARAMETER) for part in given)
        if loose and any(HTML.search(text) for text in texts):
            yield Hit("cross_site_scripting", node.lineno)
    elif value.built and HOLE in value.text and HTML.search(value.text) and value.reaches("html", Origin.PARAMETER):
        if value.origin != Origin.OPERATOR:
            yield Hit("cross_site_scripting", node.lineno)


@on(ast.Assign)
def assigned_html(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`resp.text = f"<p>{name}"`, and templates whose escaping an assignment switches off."""
    target = node.targets[0]
    if isinstance(target, ast.Attribute) and target.attr in ("text", "body", "content", "data", "html", "innerHTML"):
        if (
            scope.handler
            and _is_unsafe_html(scope.value(node.value), scope)
            and TAG.search(scope.value(node.value).text)
        ):
            yield Hit("cross_site_scripting", node.lineno)
    elif isinstance(target, ast.Attribute) and target.attr == "autoescape" and (is_false(node.value)):
        yield Hit("unescaped_template", node.lineno)


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
    elif name.startswith("mako.") or (last == "Template" and scope.says(r"from mako|import mako")):
        text = scope.value(argument(call, 0, "text")).text
        if not re.search(r"\|\s*h\b|expression_filter", text) and argument(call, -1, "default_filters") is None:
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
        off = any(is_false(argument(call, -1, word)) for word in ("secure", "httponly", "http_only"))
        secret = re.search(r"sess|token|auth|jwt|user|password", named) is not None
        given = argument(call, 1, "value")
        secret = secret or (given is not None and SECRET in scope.value(given).marks)
        falcon = scope.says(r"\bfalcon\b")  # which sets both unless told otherwise
        missing = [not falcon and argument(call, -1, word) is None for word in ("secure", "httponly")]
        chosen = given is not None and scope.value(given).maker == "<route>"
        if off or (secret and any(missing)):
            yield Hit("insecure_cookie", call.lineno)
        elif all(missing):
            yield Hit("insecure_cookie", call.lineno, 45 if PREFERENCE.search(named) or chosen else 55)


COOKIE_TEXT = re.compile(r";\s*(?:path|max-age|expires|domain|samesite)\s*=|;\s*(?:secure|httponly)\b", re.IGNORECASE)


@on(ast.JoinedStr, ast.BinOp)
def written_cookies(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """A cookie written out by hand without its marks."""
    value = scope.value(node)
    if value.built and "=" in value.text and COOKIE_TEXT.search(value.text) and "ookie" in scope.module_text:
        text = value.text.lower()
        if "secure" not in text or "httponly" not in text:
            yield Hit("insecure_cookie", getattr(node, "lineno", 1))


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
        if key.value.lower() == "debug" and is_true(value) and scope.says(WEB_SETTINGS):
            yield Hit("debug_mode", value.lineno)
        place = key.value == "location" and not scope.mentions("headers")  # of something, not where an answer leads
        if key.value.lower() in CHECKED_HEADERS and not place:
            yield from _header(key, value, node.lineno, scope)


@on(ast.Call)
def plain_cookie_jars(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The standard library's cookies, never given their marks."""
    if scope.name(call.func) in ("http.cookies.SimpleCookie", "cookies.SimpleCookie") and not call.args:
        if not (scope.mentions(r"['\"]secure['\"]") and scope.mentions(r"['\"]httponly['\"]")):
            yield Hit("insecure_cookie", call.lineno)
    elif isinstance(call.func, ast.Attribute) and call.func.attr in ("output", "OutputString"):
        jar = "SimpleCookie" in scope.value(call.func.value).maker or "SimpleCookie(" in scope.module_text
        if jar and not (scope.mentions(r"['\"]secure['\"]") and scope.mentions(r"['\"]httponly['\"]")):
            yield Hit("insecure_cookie", call.lineno)


@on(ast.Dict, ast.Module)
def marks_left_out(node: ast.Dict | ast.Module, scope: Scope) -> Iterator[Hit]:
    """CherryPy's sessions and Flask-Login's second cookie without their marks."""
    if isinstance(node, ast.Dict):
        keys = {getattr(key, "value", None) for key in node.keys}
        if "tools.sessions.on" in keys and "tools.sessions.secure" not in keys:
            yield Hit("insecure_cookie", node.values[-1].lineno)
    elif scope.says(r"REMEMBER_COOKIE_(?:NAME|DURATION|HTTPONLY)") and not scope.says("REMEMBER_COOKIE_SECURE"):
        place = scope.module_text[: scope.module_text.rindex("REMEMBER_COOKIE_")].count("\n") + 1
        yield Hit("insecure_cookie", place, 55)


@on(ast.Call)
def debugging_tools(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Debug toolbars and consoles added to an application."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    texts = [part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if (
        (last in ("include", "add_settings") and any("debugtoolbar" in text for text in texts))
        or last in ("DebugToolbarExtension", "FlaskDebug", "EvalException")
        or name
        in (
            "aiohttp_debugtoolbar.setup",
            "rpdb.set_trace",
        )
        or (last == "debug" and "bottle" in name and (not call.args or is_true(call.args[0])))
        or (last == "set_debug" and call.args and is_true(call.args[0]) and "loop" not in name)
    ):
        yield Hit("debug_mode", call.lineno)
    elif last in ("setdefault", "putenv", "setenv") and texts[:1] in (["FLASK_DEBUG"], ["DJANGO_DEBUG"], ["FLASK_ENV"]):
        if texts[1:] and texts[1].lower() in ("1", "true", "development"):
            yield Hit("debug_mode", call.lineno)


@on(ast.Assign)
def debugging_variables(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`os.environ["FLASK_DEBUG"] = "1"`, and settings that are on unless the environment says otherwise."""
    target = node.targets[0]
    key = scope.value(target.slice).text if isinstance(target, ast.Subscript) else scope.name(target).rsplit(".", 1)[-1]
    if key in ("FLASK_DEBUG", "FLASK_ENV", "DJANGO_DEBUG") and scope.value(node.value).text.lower() in (
        "1",
        "true",
        "development",
    ):
        yield Hit("debug_mode", node.lineno)
    elif key in ("DEBUG", "debug") and isinstance(node.value, ast.Call) and scope.says(WEB_SETTINGS):
        if _is_on(node.value, scope):
            yield Hit("debug_mode", node.lineno)
    elif key == "PROPAGATE_EXCEPTIONS" and is_true(node.value):
        yield Hit("error_details", node.lineno)


@on(ast.Assign)
def assigned_settings(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """The same, as set by assignment."""
    for target in node.targets:
        name = scope.name(target).rsplit(".", 1)[-1]
        if isinstance(target, ast.Subscript):
            key = scope.value(target.slice)
            name = key.constant if key.known and isinstance(key.constant, str) else name
            yield from _header(target.slice, node.value, node.lineno, scope)
            if name == "Access-Control-Allow-Credentials" and scope.says(ANY_ORIGIN):
                yield Hit("cross_origin_credentials", node.lineno)
            if name in ("secure", "httponly") and is_false(node.value) and "ookie" in scope.module_text:
                yield Hit("insecure_cookie", node.lineno)
        if name in SWITCHES and is_false(node.value):
            yield Hit(SWITCHES[name], node.lineno)
        elif name in ANYONE_SWITCHES and is_true(node.value):
            yield Hit("cross_origin_credentials", node.lineno)
        elif name in ("DEBUG", "debug") and is_true(node.value) and scope.says(WEB_SETTINGS):
            yield Hit("debug_mode", node.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def forgery_protection(node: ast.FunctionDef, scope: Scope) -> Iterator[Hit]:
    """Handlers that opt out of the protection against cross-site request forgery."""
    for decorator in node.decorator_list:
        if scope.name(decorator).rsplit(".", 1)[-1] in ("csrf_exempt", "exempt"):
            yield Hit("request_forgery", decorator.lineno)
