"""Rules on requests that other sites can make a browser send, and pages that they can frame."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, on
from mechkit.judges.rules.evidence import imports_of, last_of, literal_text, text_of
from mechkit.judges.scope import Scope

STRONG_CHANGE = re.compile(
    r"\.commit\(|\.delete\(|\.save\(|(?:DELETE\s+FROM|UPDATE\s+\w+\s+SET|INSERT\s+INTO)\b|\.delete_one\(|\.update_one\(|\.insert_one\(|"
    r"transfer|set_password|\bdel \w+\[|\.pay\(|\.pop\(|\.remove\(|\.cancel\w*\(|\w+\[[^\]]+\]\s*[-+]=|\.grant\w*\(|\.approve\w*\(|"
    r"\.\w+\s*=\s*request\.(?:args|GET|query)"
)
LOGGED_IN = re.compile(
    r"\bsession\[|session\.get\(|session\.user|request\.user\b|current_user\b|login_required|\.cookies(?:\.get\(|\[)|COOKIES|get_secure_cookie|get_current_user|self\.current_user|get_cookie|authorized_userid|signed_cookie"
)
TOKEN = re.compile(
    r"csrf|xsrf|compare_digest|Origin|Referer|Sec-Fetch|form_token|validate_on_submit|is_valid|authenticity|one_time|X-Requested",
    re.IGNORECASE,
)
SETTINGS_OFF = {
    "WTF_CSRF_ENABLED",
    "WTF_CSRF_CHECK_DEFAULT",
    "CSRF_ENABLED",
    "JWT_COOKIE_CSRF_PROTECT",
    "JWT_CSRF_CHECK_FORM",
    "csrf",
    "CSRF_PROTECT",
    "xsrf_cookies",
    "WTF_CSRF_SSL_STRICT",
}
PROTECTING = re.compile(r"csrf|\bhmac\b|compare_digest|\bsecrets\b", re.IGNORECASE)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def changes_by_link(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """State changed in a route that answers GET, or for whoever is logged in without a token."""
    text = ""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = last_of(scope.name(call))
        written = ast.unparse(decorator)
        if name not in (
            "get",
            "route",
            "require_GET",
            "require_safe",
            "require_http_methods",
            "api_view",
            "post",
            "delete",
            "put",
            "view_config",
            "patch",
        ):
            continue
        text = text or text_of(node, scope)
        methods = re.search(r"methods?=\(?\[?([^\])]*)|require_http_methods\(\[([^\]]*)|api_view\(\[([^\]]*)", written)
        listed = "".join(part or "" for part in methods.groups()) if methods else ""
        by_get = name in ("get", "require_GET", "require_safe") or (name == "route" and not methods) or "GET" in listed
        by_get = by_get and not re.search(r"method\s*(?:==|!=|in|not in)|\.method\b|REQUEST_METHOD", text)
        logged_in = LOGGED_IN.search(text) is not None
        body = "\n".join(text.split("\n")[1:]) if name == "get" else text
        if (
            by_get
            and "POST" not in listed
            and STRONG_CHANGE.search(body)
            and (
                logged_in
                or re.search(
                    r"^(?:delete|remove|transfer|pay|cancel|approve|grant|change|set_|update|drop|ban|reset|unsubscribe|close|promote|add_|vote|buy|book)",
                    node.name,
                )
            )
        ):
            yield Hit("request_forgery", node.lineno)
            return
        posted = name in ("post", "put", "patch", "delete") or "POST" in listed
        if (
            posted
            and logged_in
            and STRONG_CHANGE.search(body)
            and not TOKEN.search(body)
            and re.search(r"session\[[^\]]+\](?!\s*=)|session\.get\(|\.cookies|COOKIES", text)
        ):
            if not scope.says(r"samesite|SAMESITE|Authorization|Bearer|login_user|check_password"):
                imported = PROTECTING.search(imports_of(scope.module_text)) is not None
                yield Hit("request_forgery", node.lineno, 60 if imported else 45)
                return
    if node.name in ("check_xsrf_cookie", "enforce_csrf", "check_csrf", "csrf_check", "_check_csrf") and all(
        isinstance(part, (ast.Pass, ast.Return, ast.Expr)) for part in node.body
    ):
        if not re.search(r"raise|abort|super|compare", text_of(node, scope)):
            yield Hit("request_forgery", node.lineno)


@on(ast.ClassDef)
def changes_in_get(node: ast.ClassDef, scope: Scope) -> Iterator[Hit]:
    """The same in handler classes, and forms without their token."""
    bases = " ".join(scope.name(base) for base in node.bases)
    for part in node.body:
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and re.search(r"Handler|View|Resource", bases):
            text = text_of(part, scope)
            if part.name == "get" and STRONG_CHANGE.search("\n".join(text.split("\n")[1:])):
                yield Hit("request_forgery", part.lineno, 60)
        elif (isinstance(part, ast.ClassDef) and part.name == "Meta") or isinstance(part, ast.Assign):
            for inner in part.body if isinstance(part, ast.ClassDef) else [part]:
                if (
                    isinstance(inner, ast.Assign)
                    and last_of(scope.name(inner.targets[0])) in ("csrf", "check_csrf", "require_csrf")
                    and is_false(inner.value)
                ):
                    yield Hit("request_forgery", inner.lineno)


@on(ast.Call)
def protection_off(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Tokens switched off for a form, an application or a view; cookies that other sites' requests carry."""
    name = scope.name(call.func)
    last = last_of(name)
    if (
        any(
            word.arg
            in (
                "csrf",
                "csrf_enabled",
                "require_csrf",
                "xsrf_cookies",
                "check_csrf",
                "csrf_protect",
                "csrf_check",
                "check_origin",
                "enable_csrf",
            )
            and is_false(word.value)
            for word in call.keywords
        )
        or last in ("csrf_exempt",)
        or (last == "exempt" and "csrf" in name)
        or any(
            word.arg == "meta" and re.search(r"csrf'?\s*[:=]\s*False", ast.unparse(word.value))
            for word in call.keywords
        )
    ):
        yield Hit("request_forgery", call.lineno)
    elif last in ("set_cookie", "SessionMiddleware", "add_middleware", "set_signed_cookie"):
        site = argument(call, -1, "samesite", "same_site")
        if literal_text(site).lower() == "none":
            yield Hit("request_forgery", call.lineno, 55)
    elif name.endswith(("config.update", "config.from_mapping")):
        for word in call.keywords:
            if word.arg in SETTINGS_OFF and is_false(word.value):
                yield Hit("request_forgery", call.lineno)
    elif (
        last == "Application"
        and "tornado" in name
        and argument(call, -1, "cookie_secret") is not None
        and argument(call, -1, "xsrf_cookies") is None
    ):
        yield Hit("request_forgery", call.lineno, 55)


@on(ast.Assign, ast.AnnAssign)
def protective_settings(node: ast.Assign | ast.AnnAssign, scope: Scope) -> Iterator[Hit]:
    """The same by settings, and middleware lists without the protecting one."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name = last_of(scope.name(target))
    if isinstance(target, ast.Subscript):
        name = literal_text(target.slice) or name
    value = node.value
    if name in SETTINGS_OFF and is_false(value):
        yield Hit("request_forgery", node.lineno)
    elif name in ("SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE", "JWT_COOKIE_SAMESITE") and (
        literal_text(value) == "None" or (is_false(value))
    ):
        yield Hit("request_forgery", node.lineno, 55)
    elif name == "CSRF_TRUSTED_ORIGINS" and isinstance(value, ast.List):
        if any(re.fullmatch(r"\*|https?://\*(?:\.\w+)?", literal_text(part)) for part in value.elts):
            yield Hit("request_forgery", node.lineno)
    elif name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES") and isinstance(value, (ast.List, ast.Tuple)):
        listed = " ".join(literal_text(part) for part in value.elts)
        if re.search(r"SessionMiddleware|AuthenticationMiddleware", listed) and "Csrf" not in listed:
            yield Hit("request_forgery", node.lineno)
        if "SecurityMiddleware" in listed and "XFrame" not in listed and "X_FRAME" in scope.module_text:
            yield Hit("clickjacking", node.lineno, 45)
    elif (
        name in ("X_FRAME_OPTIONS", "X-Frame-Options") and literal_text(value).upper().startswith(("ALLOW", "*"))
    ) or (name == "Content-Security-Policy" and re.search(r"frame-ancestors\s+\*", literal_text(value))):
        yield Hit("clickjacking", node.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def framed_pages(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A page exempt from the protection against frames."""
    for decorator in node.decorator_list:
        if last_of(scope.name(decorator)) == "xframe_options_exempt":
            yield Hit("clickjacking", decorator.lineno)
    if re.search(r"oauth|callback|authorized", node.name) and "code" in (text := text_of(node, scope)):
        traded = re.search(r"fetch_token|access_token|exchange|grant_type|authorization_code", text)
        if traded and "state" not in text:
            yield Hit("request_forgery", node.lineno, 55)


@on(ast.Delete, ast.Expr)
def headers_removed(node: ast.AST, scope: Scope) -> Iterator[Hit]:
    """A protecting header taken out of the reply."""
    if isinstance(node, ast.Delete):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and literal_text(target.slice) == "X-Frame-Options":
                yield Hit("clickjacking", node.lineno)


@on(ast.Call)
def routes_that_change(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`router.add_get("/cancel", cancel)` for a function that changes something."""
    if last_of(scope.name(call.func)) != "add_get" or len(call.args) < 2 or not isinstance(call.args[1], ast.Name):
        return
    found = re.search(rf"def {call.args[1].id}\(.*?(?=\n\S|\Z)", scope.module_text, re.DOTALL)
    if found and STRONG_CHANGE.search(found.group()) and not TOKEN.search(found.group()):
        yield Hit("request_forgery", call.lineno)
