"""Rules on whose record it is, and who may act: records fetched by a key alone, actions open to everybody."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, on
from mechkit.judges.rules.evidence import imports_of, last_of, literal_text, text_of
from mechkit.judges.scope import Scope

OWNER = re.compile(
    r"owner|user|tenant|account|author|member|customer|current_|belongs|created_by|\bme\b|principal|identity|org(?:anisation|anization)?(?:_id)?\b|"
    r"patient|student|client|whose|holder|subject|\bsub\b|uploader|sender|recipient|team|caller|viewer|requester|who\b|login|session|jwt|actor|buyer|tenant",
    re.IGNORECASE,
)
SIGNED_IN = re.compile(
    r"login_required|current_user|request\.user|request\.session|session\[|session\.get\(|get_jwt_identity|jwt_required|Depends\(|g\.user|"
    r"authenticated|get_current_user|request\.state\.user|IsAuthenticated|LoginRequiredMixin|self\.current_user|request\.auth|context\.user|"
    r"info\.context|token_required|auth_required|require_login|requires_auth|authorized_userid|get_secure_cookie"
)
PERSON = re.compile(
    r"^(?:current_?)?(?:user|member|account|me|principal|identity|viewer|caller|requester|who|actor|customer|client|patient|student|tenant|owner|employee|reader|"
    r"author|session|tenant|buyer|guest|login|asker|visitor)(?:_?(?:id|name))?$"
)
KEYED = re.compile(
    r"(?:\.(?:get_or_404|get|filter_by|filter|get_object_or_404|find_one|find_by_id|fetch|first_or_404|load|delete_one|update_one|one|scalar|fetchrow|fetchone|find_one_and_delete|select|where|get_item)"
    r"|get_object_or_404|get_list_or_404)$"
)
LOOKUP_KEYS = re.compile(
    r"(?:^|_)(?:id|pk|uuid|number|no|key|slug|ref|reference|code)$|^id|_id$|number$", re.IGNORECASE
)
CHECK = re.compile(
    r"\babort\(40[134]|PermissionError|PermissionDenied|HTTPForbidden|Forbidden|40[34]\b(?=[^\n]*(?:owner|user))|has_perm|check_object_permissions|"
    r"can_|may_|is_owner|owns|belongs|authori[sz]e|check_access|permission_required|enforce|require_owner|has_object_permission|is_admin|is_staff|user_passes_test|compare_digest|constant_time"
)
FROM_REQUEST = re.compile(
    r"\b(\w+)\s*=\s*(?:int\()?(?:await )?(?:request|self|req|event|data|body|payload|message)\b[^\n]*"
)
PERSONAL = re.compile(
    r"(?:Invoice|Order|Letter|Message|Account|Prescription|Record|Statement|Payslip|Diary|Note|Draft|Ticket|Booking|Reservation|Address|Card|"
    r"Document|Receipt|Claim|Application|Contract|Policy|Payment|Transcript|Grade|Appointment|Subscription|Basket|Cart|Report|Result|Chat|Mail|"
    r"Photo|Album|Wallet|Transfer|Salary|Will|Deed|File|Upload|Request|Case|Test|Scan|Loan|Pension|Visit|Purchase|Parcel|Licen[cs]e|Bill|Rental)s?\b"
)
"""Models whose records belong to one person."""
ADMIN = re.compile(
    r"admin|superuser|staff|moderator|manage_users|impersonat|promote|ban_user|delete_user|shutdown|maintenance",
    re.IGNORECASE,
)
GUARDED = re.compile(
    r"admin_required|is_admin|is_staff|is_superuser|has_perm|permission|role|requires?_|login_required|Depends|jwt_required|current_user|IsAdmin|authori[sz]|abort\(40|auth|session|token|compare_digest|user_passes_test|staff_member"
)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def records_by_key(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A record fetched by a key of the request, where who asks is known and yet not asked."""
    given = [part.arg for part in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    text = text_of(node, scope)
    head = "\n".join(ast.unparse(part) for part in node.decorator_list) + " ".join(given)
    body = text.split(":\n", 1)[-1]
    people = {name for name in given if PERSON.match(name)}
    django = "request" in given[:2]
    signed_in = SIGNED_IN.search(text + head) is not None or SIGNED_IN.search(imports_of(scope.module_text)) is not None
    if not (people or signed_in or django) or re.search(r"log_?in|register|sign_?up|authenticate|^test_", node.name):
        return
    keys = {name for name in given if LOOKUP_KEYS.search(name) and name not in people}
    keys |= set(FROM_REQUEST.findall(body))
    fetch = _fetch(node, keys, scope)
    if fetch is None or _asks(node, fetch, people, scope):
        return
    known = bool(people) or SIGNED_IN.search(text + head) is not None
    text = ast.unparse(fetch)
    personal = (
        django
        and PERSONAL.search(text) is not None
        and re.search(r"\b(?:id|pk|number|uuid|slug|\w+_id)\s*=", text) is not None
    )
    severity = None if known else 60 if signed_in or personal else 45
    yield Hit("object_access", getattr(fetch, "lineno", node.lineno), severity)


def _fetch(node: ast.AST, keys: set[str], scope: Scope) -> ast.expr | None:
    """The call, subscript or query in a function that fetches a record by one of `keys` alone."""
    for part in scope.nodes(node):
        if (
            isinstance(part, ast.Subscript)
            and isinstance(part.ctx, (ast.Load, ast.Del))
            and isinstance(part.value, (ast.Name, ast.Attribute))
        ):
            inner = part.slice
            if (
                isinstance(inner, ast.Name)
                and inner.id in keys
                and re.match(r"[A-Za-z_.]+s$|[A-Z_]+$", scope.name(part.value))
            ):
                return part
        if not isinstance(part, ast.Call):
            continue
        name = scope.name(part.func)
        last = last_of(name)
        if (
            re.search(
                r"request|\breq\b|session\.get$|cookies|headers|environ|os\.|args|form|router|app\.|client|requests|httpx|cache",
                name.rsplit(".", 1)[0],
            )
            and last == "get"
            and "db" not in name
            and "session" not in name
        ):
            continue
        if (KEYED.search(f".{name}") and last not in ("load", "select", "where")) or last in ("get_object_or_404",):
            words = [
                literal_text(word)
                for each in part.args
                if isinstance(each, ast.Dict)
                for word in each.keys
                if word is not None
            ]
            names = {inner.id for inner in ast.walk(part) if isinstance(inner, ast.Name)}
            texts = {literal_text(inner) for inner in ast.walk(part) if isinstance(inner, ast.Constant)}
            by_key = (
                bool(names & keys)
                or any(LOOKUP_KEYS.search(word) for word in [*words, *(word.arg or "" for word in part.keywords)])
                or any(re.fullmatch(r"id|\w+_id|pk", text or "") for text in texts)
            )
            if by_key and (names & keys or "request" in names or "self" in names):
                return part
        if last in ("execute", "fetchrow", "fetch_one", "fetchone", "query") and part.args:
            sql = (
                scope.value(part.args[0]).text if isinstance(part.args[0], ast.Constant) else ast.unparse(part.args[0])
            )
            if re.search(
                r"\b(?:SELECT|DELETE|UPDATE)\b.*\bWHERE\s+\w*\.?(?:\w*_)?(?:id|number|no|pk|ref|uuid|key|code)\s*=",
                sql,
                re.IGNORECASE | re.DOTALL,
            ):
                return part
    return None


def _asks(node: ast.AST, fetch: ast.expr, people: set[str], scope: Scope) -> bool:
    """Whether the fetch, or a later condition, looks at whose record it is."""
    asked = "" if isinstance(fetch, ast.Subscript) else ast.unparse(fetch)
    inside = re.sub(r"\b(?:\w+\.)?[Ss]ession(?:\(\))?\.(?=get|query|execute|scalar|exec)|\bself\.\w+\.", "", asked)
    if isinstance(fetch, ast.Call):
        chained = scope.name(fetch.func)
        if (
            re.search(r"(?:user|member|account|owner|me|customer|patient|tenant|client)\b[\w()]*\.", chained)
            and chained[:1].islower()
        ):
            return True
    bare = re.sub(
        r"\b\w*(?:Account|User|Member|Customer|Patient|Student|Client)\w*\b(?=[,.)])|(?:FROM|from|UPDATE|update|INTO)\s+\w+",
        "",
        inside,
    )
    if OWNER.search(bare):
        return True
    for part in scope.nodes(node):
        if isinstance(part, (ast.Compare,)) and OWNER.search(ast.unparse(part)):
            return True
        if isinstance(part, ast.Call) and part is not fetch:
            name = scope.name(part.func)
            if (CHECK.search(name) and last_of(name) not in ("abort",)) or (
                re.search(r"filter(?:_by)?$|where$|for_user|owned_by|restrict|scope", name)
                and OWNER.search(ast.unparse(part))
            ):
                return True
    return any(CHECK.search(ast.unparse(decorator)) for decorator in getattr(node, "decorator_list", []))


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def open_actions(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A route for administrators that asks nobody who he is."""
    routes = [
        literal_text(part)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for part in decorator.args
    ]
    if any(re.search(r"/admin\b|/internal\b|/manage\b", route) for route in routes):
        if not scope.says(GUARDED) or (
            re.search(r"admin_required|require_admin|is_admin|login_required", imports_of(scope.module_text))
            and not GUARDED.search(text_of(node, scope) + " ".join(map(ast.unparse, node.decorator_list)))
        ):
            yield Hit("missing_authorisation", node.lineno, 50)


@on(ast.Assign)
def open_views(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """Views whose list of required permissions is empty, or lets everybody in."""
    if last_of(scope.name(node.targets[0])) in (
        "permission_classes",
        "DEFAULT_PERMISSION_CLASSES",
        "authentication_classes",
    ) and isinstance(node.value, (ast.List, ast.Tuple)):
        names = [last_of(scope.name(part)) for part in node.value.elts]
        if (not names or names == ["AllowAny"]) and not scope.says(r"(?i)login|register|sign_?up|health|public"):
            yield Hit("missing_authorisation", node.lineno, 60)
