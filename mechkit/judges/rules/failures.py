"""Rules on what happens when something goes wrong: who is let through then, and what is shown."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_false, is_true, on
from mechkit.judges.rules.evidence import last_of, literal_text, text_of
from mechkit.judges.scope import Scope

GUARD = re.compile(
    r"verif|auth(?!or\b)|allow|permit|permission|access|valid|check|is_(?!file|dir|none|empty)\w+|can_|may_|has_|may\b|can\b|grant|login|log_in|admit|"
    r"let_in|guard|scan|inspect|clean|trust|enforce|authori[sz]|entitle|policy|limit|quota|safe|approve|accept|confirm|unlock|open_|protect|"
    r"decode|unsign|compare_digest|introspect|decide|role|token|session|signature|licen[cs]e|captcha|consent|blocked|banned|revoked|virus|malware|fraud|spam",
    re.IGNORECASE,
)
NEGATIVE = re.compile(
    r"block|banned|revoked|denied|forbid|infected|virus|malware|malicious|fraud|spam|suspicio|locked|expired|exceed|too_many|limited|throttl|blacklist|is_bad|tamper|stolen|dangerous",
    re.IGNORECASE,
)
POSITIVE_NAME = re.compile(
    r"allow|permit|valid|ok|granted|access|verified|authori[sz]ed|authenticated|admin|trusted|safe|passed|clean|good|may_|can_|approved",
    re.IGNORECASE,
)
REFUSING = re.compile(
    r"\b(?:raise|abort|return False|return None|deny|denied|reject|forbid|40[013]|50\d|sys\.exit|return\s*$|False|redirect|continue|break|quarantine|unlink|remove)\b|return\s*$",
    re.MULTILINE,
)
ERROR_TEXT = re.compile(
    r"(?:traceback|tb)\.(?:format_exc|format_exception|format_tb|print_exc|format_list|format_stack)|sys\.exc_info|exc_info\(\)|__traceback__"
)
NARROW = re.compile(
    r"ValueError|KeyError|ValidationError|TypeError|BadRequest|HTTPException|NotFound|DoesNotExist|IndexError|InvalidId"
)
ANSWER = re.compile(
    r"(?:^|\.)(?:jsonify|JsonResponse|JSONResponse|HTTPException|HttpResponse\w*|Response|make_response|abort|PlainTextResponse|HTMLResponse|"
    r"json_response|send_error|text|html|render_template|render|set_details|HTTPError|HTTPBadRequest|HTTPInternalServerError|template|ORJSONResponse|TextResponse|json|"
    r"write|send|sendall|send_text|send_json|finish|reply|reply_text|send_message|flash|write_error|respond|HTTPServerError|dumps|abort_with)$"
)


@on(ast.Try)
def failing_checks(node: ast.Try, scope: Scope) -> Iterator[Hit]:
    """A check whose failure is taken for a yes, or passed over."""
    tried = " ".join(_called(node.body, scope))
    function = scope.function.name if scope.function else ""
    guarded = GUARD.search(tried) is not None or GUARD.search(function) is not None
    if not guarded:
        return
    for handler in node.handlers:
        for part in handler.body:
            if isinstance(part, ast.Return) and _says_yes(part.value, function):
                yield Hit("fails_open", part.lineno)
                return
            if (
                isinstance(part, ast.Assign)
                and is_true(part.value)
                and POSITIVE_NAME.search(scope.name(part.targets[0]))
            ):
                yield Hit("fails_open", part.lineno)
                return
            if isinstance(part, ast.Assign) and is_false(part.value) and NEGATIVE.search(scope.name(part.targets[0])):
                yield Hit("fails_open", part.lineno)
                return
            if (
                isinstance(part, ast.Return)
                and part.value is not None
                and re.search(r"call_next|get_response|view\(|func\(|handler\(|next\(", ast.unparse(part.value))
            ):
                yield Hit("fails_open", part.lineno)
                return
        passed = all(isinstance(part, (ast.Pass, ast.Expr)) for part in handler.body)
        checks = re.search(
            r"verif|authenticate|authori[sz]e|check_\w+|validate|compare|enforce|scan|require|ensure|assert_|unsign",
            tried,
        )
        if passed and checks and not REFUSING.search(text_of(handler, scope)) and not node.finalbody:
            yield Hit("fails_open", handler.lineno, 60)
            return


def _called(body: list[ast.stmt], scope: Scope) -> list[str]:
    return [scope.name(part.func) for stmt in body for part in ast.walk(stmt) if isinstance(part, ast.Call)]


def _says_yes(value: ast.expr | None, function: str) -> bool:
    if isinstance(value, ast.Tuple) and value.elts:
        value = value.elts[0]
    if is_true(value):
        return not NEGATIVE.search(function)
    if isinstance(value, ast.Constant) and (value.value is False or value.value == []):
        return NEGATIVE.search(function) is not None
    return isinstance(value, ast.Constant) and value.value in ("allow", "Allow", "ok", "admin", "granted", "clean")


@calling("get", "getattr", "getboolean", "suppress", "getenv", "setdefault", "pop")
def permissive_defaults(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`rights.get(role, True)`, and a check whose error is suppressed."""
    last = last_of(scope.name(call.func))
    if last == "suppress":
        if any(
            re.search(
                r"Invalid(?:Signature|Token)|BadSignature|PermissionError|Unauthori[sz]ed|VerifyMismatch|PermissionDenied|Forbidden",
                scope.name(part),
            )
            for part in call.args
        ):
            yield Hit("fails_open", call.lineno)
        return
    default = argument(call, 2 if last == "getattr" else 1, "default", "fallback")
    named = f"{literal_text(argument(call, 1 if last == 'getattr' else 0, 'key'))} {scope.name(call.func)} {scope.function.name if scope.function else ''}"
    permissive = is_true(default) or (
        isinstance(default, ast.Constant) and default.value in ("allow", "admin", "*", "superuser")
    )
    if permissive and re.search(
        r"allow|permi|right|access|admin|grant|role|polic|auth|can_|may_|rule|acl|trust|verified|entitle|staff|superuser",
        named,
        re.IGNORECASE,
    ):
        if not re.search(r"require|enforce|check_|verify_|strict|deny|block", named):
            yield Hit("fails_open", call.lineno, 60)


SWITCH = re.compile(
    r"key|secret|config|token|polic|rules?$|limit|acl|allow|settings|service|list$|client|server|roles?$|rights",
    re.IGNORECASE,
)
DENIED = re.compile(r"block|banned|denied|deny|blacklist|forbidden|revoked|bad_", re.IGNORECASE)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def open_by_default(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A check that says yes when it was not set up, or to whoever is not on a list of the denied."""
    if not GUARD.search(node.name) or NEGATIVE.search(node.name):
        return
    for position, part in enumerate(node.body):
        if not isinstance(part, ast.If) or not part.body or not isinstance(part.body[0], ast.Return):
            continue
        test, says = ast.unparse(part.test), part.body[0].value
        unset = re.match(r"not [\w.]+$|[\w.]+ is None$|[\w.\[\]']+ not in ", test)
        if unset and SWITCH.search(test) and is_true(says):
            yield Hit("fails_open", part.lineno, 60)
            return
        last = node.body[-1]
        denied = DENIED.search(test) and is_false(says) and " in " in test
        if denied and position == len(node.body) - 2 and isinstance(last, ast.Return) and is_true(last.value):
            yield Hit("fails_open", part.lineno, 55)
            return


@on(ast.Assert)
def stripped_checks(node: ast.Assert, scope: Scope) -> Iterator[Hit]:
    """A right checked by `assert`, which `python -O` leaves out."""
    text = ast.unparse(node.test)
    if re.search(
        r"admin|is_staff|permission|authenticated|owner|role|has_perm|allowed|authori[sz]|may_|can_|compare_digest|verify",
        text,
    ) and (scope.function is not None and not scope.function.name.startswith("test")):
        yield Hit("fails_open", node.lineno, 55)


@on(ast.Try)
def shown_errors(node: ast.Try, scope: Scope) -> Iterator[Hit]:
    """An error's text or its trace in what is sent back."""
    for handler in node.handlers:
        kinds = ast.unparse(handler.type) if handler.type is not None else ""
        narrow = NARROW.search(kinds) is not None and not re.search(r"\bException\b", kinds)
        telling = {handler.name} if handler.name else set()
        parts = [inner for part in handler.body for inner in ast.walk(part)]
        for part in parts:
            if (
                isinstance(part, ast.Assign)
                and isinstance(part.targets[0], ast.Name)
                and _tells(part.value, telling, scope)
            ):
                telling.add(part.targets[0].id)
        for part in parts:
            if isinstance(part, ast.Return) and (scope.handler or _answers(part.value)):
                given = [part.value]
            elif isinstance(part, ast.Call) and ANSWER.search(name := scope.name(part.func)):
                given = (
                    []
                    if re.search(r"log|print|stderr|json\.dump", name)
                    else [*part.args, *(word.value for word in part.keywords)]
                )
            elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Attribute) and scope.handler:
                given = [part.value] if part.targets[0].attr in ("text", "body", "media", "data", "content") else []
            else:
                continue
            if any(each is not None and _tells(each, telling, scope) for each in given):
                yield Hit(
                    "error_details", part.lineno, 50 if narrow and not ERROR_TEXT.search(ast.unparse(part)) else None
                )
                return


def _answers(node: ast.expr | None) -> bool:
    """Whether something returned looks like an answer to a client: a table with an error in it."""
    return isinstance(node, ast.Dict) and any(
        literal_text(key) in ("error", "detail", "message", "trace", "errors", "reason") for key in node.keys
    )


def _tells(node: ast.expr, telling: set[str], scope: Scope) -> bool:
    """Whether an expression holds the caught error's text (under one of the names in `telling`), or a trace."""
    for part in scope.nodes(node):
        if isinstance(part, ast.Call) and ERROR_TEXT.search(scope.name(part.func)):
            return True
        if isinstance(part, ast.Name) and part.id in telling:
            plain = rf"type\({part.id}\)|\b{part.id}\.(?:code|status_code|errno|status|name|description)\b|isinstance|__class__"
            return not re.search(plain, ast.unparse(node))
    return False


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def error_handlers(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A handler of all errors that answers with the error itself."""
    marks = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    broad = re.search(
        r"(?:errorhandler|exception_handler|handle_exception|error)\((?:Exception|500|InternalServerError|BaseException|)",
        marks,
    )
    named = re.match(
        r"(?:write_error|handle_(?:error|exception)|on_error|server_error|handler500|process_exception|error_handler|internal_error)",
        node.name,
    )
    if not (broad or named):
        return
    text = text_of(node, scope)
    names = [
        part.arg for part in node.args.args if re.match(r"^(?:e|err|error|ex|exc|exception|problem|failure)$", part.arg)
    ]
    shown = (
        ERROR_TEXT.search(text)
        and re.search(r"\breturn\b|\.write\(|Response", text)
        and not re.search(r"log\w*\.\w+\([^\n]*(?:format_exc|exc_info)", text)
    )
    told = any(
        re.search(
            rf"(?:return|write\(|Response\(|jsonify\()[^\n]*(?:(?:str|repr)\(\s*{name}\b|\{{{name}[!}}:]|\b{name}\.args|[=:]\s*{name}\b)",
            text,
        )
        for name in names
    )
    if shown or told:
        yield Hit("error_details", node.lineno)


@on(ast.Call)
def debugging_pages(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Traces shown in the browser."""
    name = scope.name(call.func)
    if (name == "cgitb.enable" and argument(call, 0, "display") is None) or is_true(
        argument(call, -1, "serve_traceback", "include_traceback", "show_errors", "debug_traceback", "expose_errors")
    ):
        yield Hit("error_details", call.lineno)
