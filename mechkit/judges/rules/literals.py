"""Rules on passwords and keys that are literals in the code, and on payloads read past their signature."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import last_of, literal_text
from mechkit.judges.scope import Scope

PASSWORDLIKE = re.compile(r"^(?=\S{4,64}$)[\w!@#$%^&*.?+=-]+$")


@calling("compare_digest", "constant_time_compare")
def compared_with_literals(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password compared with a literal, in however constant a time."""
    for part in call.args[:2]:
        while (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in ("encode", "decode")
        ):
            part = part.func.value
        value = scope.value(part)
        if value.known and isinstance(value.constant, (str, bytes)) and PASSWORDLIKE.match(value.text):
            yield Hit("hardcoded_credential", call.lineno)
            return


@on(ast.Assign)
def tables_of_passwords(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """A table of users and their passwords; a PIN or key as a literal."""
    name = last_of(scope.name(node.targets[0]))
    if isinstance(node.value, ast.Dict) and re.search(
        r"^(?:\w*_)?(?:users?|accounts?|logins?|credentials|passwords?|staff|members|admins?|pins?|keys|secrets|tokens)$",
        name,
        re.IGNORECASE,
    ):
        texts = [literal_text(part) for part in node.value.values]
        plain = [
            text
            for text in texts
            if PASSWORDLIKE.match(text)
            and not re.match(r"\$|pbkdf2|argon|sha|https?:|/|[a-f0-9]{32,}$|admin$|user$|\w+@", text)
        ]
        if (
            plain
            and scope.says(r"(?i)passw|\bpin\b|login|log_in|sign_in|authenticate|unlock|api_?key|token")
            and re.search(r"\d|[A-Z!@#$%-]", "".join(plain))
        ):
            yield Hit("hardcoded_credential", node.lineno)
    elif (
        isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, bytes))
        and re.search(
            r"(?:^|_)(?:PIN|PASSCODE|DOOR_CODE|MASTER_CODE|MASTER_KEY|HMAC_KEY|AES_KEY|SIGN_KEY|SALT_KEY|KEY|PEPPER|MASTER|ADMIN_CODE|UNLOCK_CODE|CODE)$",
            name,
        )
    ):
        if (
            len(node.value.value) > 3
            and not re.search(r"\s|[:/]", scope.value(node.value).text)
            and scope.says(r"(?i)hmac|encrypt|decrypt|sign|unlock|compare|==|Fernet|AES|login|open_|jwt")
        ):
            yield Hit("hardcoded_credential", node.lineno)


@calling("sha256", "md5", "sha1", "scrypt", "pbkdf2_hmac", "derive", "new")
def derived_from_literals(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A key derived from a literal."""
    name = scope.name(call.func)
    if not re.match(r"hashlib\.", name) and last_of(name) != "derive":
        return
    first = argument(call, 1 if last_of(name) == "pbkdf2_hmac" else 0, "password")
    while isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) and first.func.attr == "encode":
        first = first.func.value
    value = scope.value(first) if first is not None else None
    if (
        value is not None
        and value.known
        and isinstance(value.constant, (str, bytes))
        and PASSWORDLIKE.match(value.text)
    ):
        if scope.says(r"(?i)key|secret|passw|cipher|Fernet|AES|token"):
            yield Hit("hardcoded_credential", call.lineno)


@calling(
    "construct_from",
    "extract_compact",
    "deserialize",
    "objects",
    "token_claims",
    "get_unverified_header",
    "loads_unsafe",
)
def unsigned_payloads(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Payloads of hooks and tokens read past their signature."""
    name = scope.name(call.func)
    last = last_of(name)
    event = last == "construct_from" and "Event" in name
    payload = last == "extract_compact"
    keyless = (
        last == "deserialize"
        and len(call.args) < 2
        and re.search(r"jw[st]|JW[ST]", name)
        and not scope.mentions(r"\.verify\(")
    )
    if event or payload or keyless:
        yield Hit("unverified_token", call.lineno)
