"""Rules on checks that are over before what they guard begins."""

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, on
from mechkit.judges.rules.evidence import last_of, literal_text, text_of
from mechkit.judges.scope import Scope

MOST_FOLLOWING = 40
"""How many statements after a check are looked at."""
CHECKING = re.compile(r"(?:^|\.)(?:exists|isfile|is_file|access|isdir|is_dir|lexists)$")
ACTING = re.compile(
    r"(?:^|\.)(?:remove|unlink|rename|mkdir|makedirs|rmdir|rmtree|chmod|chown|write_text|write_bytes|touch|symlink|link|symlink_to|copy|copyfile|move|copy2|replace)$"
)
ATOMIC = r"O_EXCL|O_NOFOLLOW|['\"]x[b]?['\"]|exist_ok|missing_ok|FileExistsError|FileNotFoundError|flock|lockf|FileLock|with \w*lock|dir_fd|fstat"


@on(ast.If)
def checked_then_used(node: ast.If, scope: Scope) -> Iterator[Hit]:
    """`if not exists(path): open(path, "w")`: somebody else may come in between."""
    if not any(isinstance(part, ast.Call) and CHECKING.search(scope.name(part.func)) for part in ast.walk(node.test)):
        return
    checked, granted = set(), False
    for part in ast.walk(node.test):
        if isinstance(part, ast.Call) and CHECKING.search(name := scope.name(part.func)):
            target = (
                part.args[0]
                if part.args and name.startswith(("os.", "path.", "isfile", "exists", "access"))
                else getattr(part.func, "value", None)
            )
            granted = granted or last_of(name) == "access"
            if target is not None:
                checked.add(ast.unparse(target))
    if not checked or scope.mentions(ATOMIC):
        return
    body = scope.function if scope.function is not None else None
    region: list[ast.stmt] = list(node.body) + list(node.orelse)
    if body is not None:
        place = bisect_right(body.body, node.lineno, key=lambda part: part.lineno)
        region += body.body[place : place + MOST_FOLLOWING]
    for statement in region[:MOST_FOLLOWING]:
        for part in scope.nodes(statement):
            if not isinstance(part, ast.Call):
                continue
            name = scope.name(part.func)
            opened = last_of(name) == "open"
            if not (opened or ACTING.search(name)):
                continue
            target = (
                getattr(part.func, "value", None)
                if isinstance(part.func, ast.Attribute) and not name.startswith(("os.", "shutil.", "io.", "path."))
                else None
            )
            used = {ast.unparse(each) for each in [*part.args[:2], *([target] if target is not None else [])]}
            mode = literal_text(argument(part, 1 if target is None else 0, "mode")) if opened else "w"
            writing = bool(re.search(r"[wa+]", mode)) or granted
            if used & checked and writing and not (last_of(name) in ("mkdir", "makedirs") and scope.handler):
                yield Hit("race_condition", node.lineno, 45 if last_of(name) in ("mkdir", "makedirs") else None)
                return


BALANCE = re.compile(
    r"balance|stock|seats?|credits?|quantity|remaining|inventory|points|count|left|free|tickets?|uses|places|amount|budget|coupons?|quota|available|copies|tokens?|vouchers?",
    re.IGNORECASE,
)
LOCKED = r"(?i)\block\b|_lock|lock\w*[:(.]|acquire|select_for_update|for update|with_for_update|atomic|\bF\(|semaphore|transaction|begin\(|watch\(|pipeline|setnx|nx=True|incr\(|decr\(|serializable|returning|rowcount|synchronized"


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def checked_then_changed(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A stock or balance that is compared, and changed in a second step, without a lock."""
    text = text_of(node, scope)
    read = re.search(r"SELECT\s+(\w+)\s+FROM", text, re.IGNORECASE)
    if read and re.search(r"\bif\b", text) and not re.search(LOCKED, text):
        again = re.search(rf"UPDATE\s+\w+\s+SET\s+{read.group(1)}\s*=", text, re.IGNORECASE)
        if again and not re.search(rf"WHERE[^\"']*\b{read.group(1)}\s*[=<>]", text[again.start() :], re.IGNORECASE):
            yield Hit("race_condition", node.lineno)
            return
    if scope.says(r"\bthreading\b|concurrent\.futures|\bThread\(") and not re.search(LOCKED, text):
        for held in re.findall(r"(?:if|while)\b[^\n:]*\bself\.(\w+)\s*[<>]", text):
            if re.search(rf"self\.{held}\s*[-+]=", text):
                yield Hit("race_condition", node.lineno)
                return
    late = re.search(r"open\((\w+),\s*['\"][wa]b?['\"]\)", text)
    if (
        late
        and re.search(rf"os\.chmod\({late.group(1)},\s*0o[46]00\)", text[late.end() :])
        and re.search(r"(?i)key|secret|token|passw|cred|\.pem", text)
    ):
        yield Hit("race_condition", node.lineno, 55)
        return
    if re.search(LOCKED, text) or not re.search(
        r"[-+]=|\bsave\(|commit\(|execute\(|\.set\(|\[[^\]]+\]\s*=|- \d|- \w+", text
    ):
        return
    for part in scope.nodes(node):
        if isinstance(part, ast.If):
            test = ast.unparse(part.test)
            compared = any(
                isinstance(inner, ast.Compare) and isinstance(inner.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE))
                for inner in ast.walk(part.test)
            )
            subject = re.search(r"([\w.\[\]'\"]+)", test)
            if compared and subject and BALANCE.search(test):
                shared = re.search(
                    r"self\.|\.save\(|commit\(|execute\(|\.set\(|\bglobal\b|\[[\w'\"]+\]|await|redis|cache|\bdb\b|session",
                    text,
                )
                changed = re.search(
                    r"(?:balance|stock|seats?|credits?|quantity|remaining|inventory|points|count|left|free|tickets?|uses|places|available|copies|quota|tokens?|vouchers?)\w*['\"\]]*\s*(?:[-+]=|=\s*\S*(?:balance|stock|seats?|credits?|quantity|remaining|points|count|left|free|tickets|uses|places|available|copies)\w*['\"\]]*\s*[-+])|(?i:UPDATE\s+\w+\s+SET)|\.set\([^\n]*[-+]\s*(?:\d|\w)",
                    text,
                )
                if shared and changed:
                    yield Hit("race_condition", part.lineno)
                    return
