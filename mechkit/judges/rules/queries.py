"""Rules on queries to document, directory and graph databases, and on records filled from whole requests."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import last_of, weight
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, Origin, Value

FINDING = [
    "find_one",
    "find",
    "count_documents",
    "find_one_and_update",
    "find_one_and_delete",
    "find_one_and_replace",
    "update_one",
    "update_many",
    "delete_one",
    "delete_many",
    "replace_one",
    "aggregate",
    "distinct",
    "find_raw_batches",
    "count",
]
DOCUMENTS = re.compile(r"mongo|motor|beanie|elastic|opensearch|couch|tinydb|find_one|collection", re.IGNORECASE)
FROM_JSON = re.compile(r"json|loads|<route>|media|body|<message>", re.IGNORECASE)
OPERATOR = re.compile(r"^\$(?:where|function|expr|accumulator)$")
CODE_TEXT = re.compile(r"\bthis\.\w+|function\s*\(|\breturn\b|ctx\._source|doc\[")
GRAPH = re.compile(
    r"^\s*(?:MATCH\s*\(|MERGE\s*\(|FOR\s+\w+\s+IN\s+\w+|from\(bucket|g\.V\(|query\s*\{|mutation\s*\{)", re.IGNORECASE
)
FILTER = re.compile(r"^\s*\(\s*[&|!]?\s*\(?\s*[&|!]?\s*\(?[\w.-]+\s*[:~<>]*=")
NAME_PARTS = re.compile(rf"^\s*(?:uid|cn|ou|dc|mail|sAMAccountName)={HOLE}\s*,")
WHOLE = re.compile(
    r"^(?:data|payload|body|form|fields|changes|values|attrs|attributes|update|updates|patch|json|params|"
    r"kwargs|details|settings|profile|props|input|extra|new|changed|sent|submitted|\w+_(?:data|fields|form|json))$"
)
STORED = re.compile(
    r"__dict__|vars\(\)|(?:^|\.)(?:user|account|profile|record|member|order|product|customer|person|stored|found|doc)\.update$"
)
DECLARED = re.compile(r"\.(?:dict|model_dump|cleaned_data|validated_data)\b")


@calling(*FINDING)
def document_filters(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A filter that is, or holds, something parsed from a request: `{"$ne": ""}` fits everything."""
    if not isinstance(call.func, ast.Attribute) or (not call.args and not call.keywords):
        return
    filled = scope.written(argument(call, 0, "filter", "spec", "pipeline", "query"))
    if filled is None:
        return
    if not isinstance(filled, ast.Dict):
        value = scope.value(filled)
        whole = value.origin in (Origin.USER, Origin.OUTSIDE) and FROM_JSON.search(value.maker) is not None
        whole = whole and last_of(scope.name(call.func)) != "count" and not value.built
        if whole and "choice" not in value.safe:
            yield Hit("nosql_injection", call.lineno)
        return
    keys = " ".join(str(getattr(key, "value", "")) for key in filled.keys)
    for key, part in zip(filled.keys, filled.values):
        name = getattr(key, "value", "") if key is not None else ""
        if isinstance(part, ast.Dict) or name == "_id" or (isinstance(name, str) and name.startswith("$")):
            continue
        value = scope.value(part)
        if "choice" in value.safe or value.built or _is_text(part, scope):
            continue
        if value.origin in (Origin.USER, Origin.OUTSIDE) and FROM_JSON.search(value.maker):
            yield Hit("nosql_injection", call.lineno)
            return
        plain = value.origin in (Origin.PARAMETER, Origin.OUTSIDE) and not re.search(r"id\b|owner|user_id|tenant", keys)
        if plain and scope.says(DOCUMENTS) and weight(value, "choice", scope, 55) is not None:
            yield Hit("nosql_injection", call.lineno, 55)
            return


def _is_text(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression is a string whatever was sent: `str(x)`, or a parameter annotated so."""
    if isinstance(node, ast.Call):
        return last_of(scope.name(node.func)) in (
            "str",
            "strip",
            "lower",
            "upper",
            "format",
            "decode",
            "escape",
            "join",
        )
    if isinstance(node, ast.Name) and scope.function is not None:
        written = scope.expressions.get(node.id)
        if isinstance(written, ast.Call):
            return _is_text(written, scope)
        given = scope.function.args
        for part in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            if part.arg == node.id and part.annotation is not None:
                return re.match(r"(?:str|int|ObjectId|EmailStr|UUID)\b", ast.unparse(part.annotation)) is not None
    return isinstance(node, ast.JoinedStr)


@on(ast.Dict)
def code_in_filters(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """`$where` and the like with data in their code, patterns of the user's, scripts put together."""
    for key, part in zip(node.keys, node.values):
        name = getattr(key, "value", None)
        if not isinstance(name, str):
            continue
        value = scope.value(part)
        if name == "query_string" and isinstance(part, ast.Dict):
            if any(
                scope.value(each).built and scope.value(each).reaches("choice", Origin.PARAMETER)
                for each in part.values
            ):
                yield Hit("nosql_injection", node.lineno)
        elif OPERATOR.match(name) and name != "$expr" and value.reaches("choice", Origin.PARAMETER):
            yield Hit("nosql_injection", node.lineno)
        elif name in ("$regex", "query_string") or (name in ("query", "source", "script") and value.built):
            scripted = name == "$regex" or CODE_TEXT.search(value.text) or "elastic" in scope.module_text.lower()
            if scripted and value.reaches("pattern", Origin.PARAMETER) and "choice" not in value.safe:
                yield Hit("nosql_injection", node.lineno, 55 if name == "$regex" else None)


@on(ast.BinOp, ast.JoinedStr)
def texts_of_other_languages(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """LDAP filters and names, and graph or series queries, with data written into them."""
    value = scope.value(node)
    if not value.built or HOLE not in value.text or value.origin < Origin.UNKNOWN:
        return
    if FILTER.match(value.text) and ")" in value.text and "ldap" not in value.safe and _holds_data(value):
        if "ldap" in scope.module_text.lower() or re.search(r"uid=|cn=|mail=|objectClass=|sAMAccount", value.text):
            yield Hit("ldap_injection", node.lineno)
    elif NAME_PARTS.match(value.text) and "ldap" not in value.safe:
        yield Hit("ldap_injection", node.lineno, 70)
    elif GRAPH.match(value.text) and value.reaches("sql", Origin.PARAMETER):
        yield Hit("nosql_injection", node.lineno)


def _holds_data(value: Value) -> bool:
    return value.origin > Origin.UNKNOWN or not value.safe


@on(ast.Call)
def raw_queries(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`objects(__raw__=spec)`: a whole query from outside."""
    for keyword in call.keywords:
        if keyword.arg == "__raw__" and scope.value(keyword.value).reaches("choice", Origin.PARAMETER):
            if not isinstance(scope.written(keyword.value), ast.Dict):
                yield Hit("nosql_injection", call.lineno)


@on(ast.BinOp, ast.JoinedStr)
def fields_by_name(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """`"$" + field` in a pipeline: any field of the document."""
    value = scope.value(node)
    if (
        value.text == f"${HOLE}"
        and value.reaches("choice", Origin.PARAMETER)
        and scope.says(r"\$group|aggregate|\$match|\$project")
    ):
        yield Hit("nosql_injection", node.lineno, 60)


@calling("search", "search_s", "search_ext_s", "search_ext", "search_st", "paged_search", "format")
def formatted_filters(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same, put together by `format`, or a whole filter that the user wrote."""
    if last_of(scope.name(call.func)) == "format":
        value = scope.value(call)
        filtered = value.built and FILTER.match(value.text) and "(" in value.text[:3]
        if filtered and value.reaches("ldap", Origin.PARAMETER) and "ldap" in scope.module_text.lower():
            yield Hit("ldap_injection", call.lineno)
        return
    if "ldap" in scope.module_text.lower():
        whole = argument(call, 1 if last_of(scope.name(call.func)) == "search" else 2, "search_filter", "filterstr")
        if whole is not None and scope.value(whole).reaches("ldap", Origin.USER):
            yield Hit("ldap_injection", call.lineno)


@on(ast.Call)
def whole_requests(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`Model(**request.json)`, `record.update(request.json)` and the like: the sender decides which fields are set."""
    name = scope.name(call.func)
    last = last_of(name)
    for keyword in call.keywords:
        if keyword.arg is None:
            model = last[:1].isupper() or last in (
                "create",
                "update",
                "update_or_create",
                "values",
                "replace",
                "insert",
                "model_copy",
            )
            if model and (severity := _whole(keyword.value, scope)):
                yield Hit("mass_assignment", call.lineno, severity)
                return
    if not isinstance(call.func, ast.Attribute) or not call.args:
        return
    if last == "update" and len(call.args) == 1 and not isinstance(call.args[0], ast.Dict):
        stored = re.search(STORED, name)
        if (stored or isinstance(call.func.value, ast.Subscript)) and (severity := _whole(call.args[0], scope)):
            yield Hit("mass_assignment", call.lineno, severity)
    elif last in ("insert_one", "populate_obj", "from_dict", "load_from", "set_attributes", "bulk_create"):
        if last != "populate_obj" and (severity := _whole(call.args[0], scope)):
            yield Hit("mass_assignment", call.lineno, severity)
    elif last in ("update_one", "update_many", "find_one_and_update") and len(call.args) > 1:
        change = scope.written(call.args[1])
        parts = change.values if isinstance(change, ast.Dict) else [change]
        if any(part is not None and _whole(part, scope) for part in parts):
            yield Hit("mass_assignment", call.lineno)


@on(ast.Dict)
def merged_requests(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """`{**member, **patch}`: every field of a request laid over a record."""
    spread = [part for key, part in zip(node.keys, node.values) if key is None]
    if len(spread) > 1 and isinstance(spread[0], (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        first, last = ast.unparse(spread[0]), ast.unparse(spread[-1])
        if not re.search(r"default|base|header|config|option|context", first) and re.fullmatch(
            r"data|payload|body|form|patch|changes|updates?|fields|sent|submitted|(?:request|req)\.\w+(?:\(\))?", last
        ):
            if _whole(spread[-1], scope):
                yield Hit("mass_assignment", node.lineno, 60)


@calling("setattr")
def every_attribute(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`setattr(user, key, value)` with keys from a request."""
    if len(call.args) == 3:
        value = scope.value(call.args[1])
        severity = weight(value, "choice", scope, 70, 60)
        if severity is not None and not value.built:
            yield Hit("mass_assignment", call.lineno, severity)


def _whole(node: ast.expr, scope: Scope) -> int | None:
    """The severity when an expression holds every field of a request or of a parameter that brings one in."""
    if isinstance(node, (ast.Dict, ast.DictComp)):
        spread = isinstance(node, ast.Dict) and any(
            key is None and _whole(part, scope) for key, part in zip(node.keys, node.values)
        )
        return 60 if spread else None
    text = ast.unparse(node)
    if DECLARED.search(text) and not text.startswith(("request.", "req.")):
        return None
    written = scope.written(node)
    if written is not None and written is not node and isinstance(written, (ast.Dict, ast.DictComp)):
        return _whole(written, scope) if isinstance(written, ast.Dict) else None
    if written is not None and written is not node and DECLARED.search(unparsed := ast.unparse(written)):
        if not unparsed.startswith(("request.", "req.")):
            return None
    value = scope.value(node)
    if "choice" in value.safe or value.built:
        return None
    named = node.id if isinstance(node, ast.Name) else ""
    if value.origin == Origin.USER:
        single = isinstance(written, ast.Subscript) or (
            isinstance(written, ast.Call) and scope.name(written.func).endswith(".get")
        )
        return None if single and not WHOLE.match(named) else 70
    if value.origin in (Origin.PARAMETER, Origin.OUTSIDE) and WHOLE.match(named) and named != "kwargs":
        return weight(value, "choice", scope, 70, 60)
    return None


@on(ast.ClassDef)
def every_field(node: ast.ClassDef, scope: Scope) -> Iterator[Hit]:
    """Forms and serialisers with every field of their model, and models that take unknown fields."""
    for part in node.body:
        if not isinstance(part, (ast.Assign, ast.AnnAssign)):
            continue
        target = part.targets[0] if isinstance(part, ast.Assign) else part.target
        name, value = getattr(target, "id", ""), part.value
        text = getattr(value, "value", None)
        empty = isinstance(value, (ast.List, ast.Tuple)) and not value.elts
        if (
            (
                (name == "fields" and text == "__all__")
                or (name == "exclude" and empty)
                or (name == "extra" and text == "allow")
            )
            or (name == "unknown" and value is not None and scope.name(value).endswith("INCLUDE"))
            or (
                name == "model_config"
                and isinstance(value, (ast.Dict, ast.Call))
                and re.search(r"extra['\"]?\s*[:=]\s*'allow'", ast.unparse(value))
            )
        ):
            yield Hit("mass_assignment", part.lineno)
