"""Rules on uploaded files that are kept under whatever type the sender chose."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import FUNCTIONS, last_of, text_of
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

SENT = re.compile(
    r"\.filename\b|\[['\"]filename['\"]\]|request\.files|request\.FILES|file_uploader|UploadFile|\bupload(?:ed)?(?:_file)?\.name|\.client_filename|\.raw_filename|original_?name|\.originalname"
)
KEEPS = re.compile(
    r"\.save\(|write_bytes\(|open\([^\n]*['\"][wax]b?\+?['\"]|copyfileobj\(|shutil\.(?:copy|move)\w*\(|\.write\(|default_storage\.save|upload_fileobj|put_object|\.rename\(|\.replace\("
)
TYPE_CHECKED = re.compile(
    r"splitext\([^\n]*(?:\bin\b|==|!=)|\.suffix(?:es)?\b[^\n]*(?:\bin\b|==|!=)|(?:ext|extension|suffix|kind|mime\w*|ctype|content_type|mimetype)\w*(?:\.lower\(\))?\s*(?:not in|in|==|!=)\s|"
    r"endswith\(|content_type[^\n]*(?:\bin\b|==|!=|startswith)|mimetype[^\n]*(?:\bin\b|==|!=)|startswith\(b['\"]|ALLOWED|EXTENSIONS|allowed_|imghdr|\bmagic\.|Image\.open|filetype\.|verify|validat|"
    r"with_suffix|rsplit\(['\"]\.['\"],\s*1\)\[[^\n]*(?:\bin\b|==|!=)|guess_type|\.from_buffer|TYPES|is_valid|check_type|accepted|\[-1\][^\n]*(?:not in|\bin\b)|fullmatch|rpartition"
)
SERVED = re.compile(
    r"default_storage|['\"/](?:static|public|www|htdocs|html|web_?root|wwwroot|public_html|assets|served|site|plugins?|templates|cgi-bin)\b|(?:PLUGIN|STATIC|PUBLIC|WEB|HTDOCS|ADDON)\w*\s*=",
    re.IGNORECASE,
)


@on(ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
def kept_under_any_type(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Module, scope: Scope) -> Iterator[Hit]:
    """An upload written where it is served from, under the ending that it came with."""
    if isinstance(node, ast.Module):
        if "file_uploader" not in scope.module_text or any(isinstance(part, FUNCTIONS) for part in node.body):
            return
        text, line = scope.module_text, node.body[0].lineno if node.body else 1
        if re.search(r"type\s*=\s*[\[\"(]", text):
            return
    else:
        text, line = text_of(node, scope), node.lineno
    kept = KEEPS.search(text)
    if kept is None or TYPE_CHECKED.search(re.sub(r"#.*", "", text)):
        return
    named = SENT.search(text) or (
        re.search(r"\bsource\.name\b|upload\w*\.name\b", text) and "PLUGIN" in scope.module_text.upper()
    )
    if not named or not re.search(r"filename|\.name\b|suffix|original_?name|overwrite=True", text):
        return
    yield Hit(
        "unrestricted_upload",
        line + text.count("\n", 0, kept.start()),
        None if scope.says(SERVED) else 50,
    )


@calling("FileField", "file_uploader", "MultipleFileField", "FilesField")
def fields_for_any_file(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A form's field that takes files of any type."""
    name = scope.name(call.func)
    if last_of(name) == "file_uploader":
        if argument(call, 1, "type") is None:
            yield Hit("unrestricted_upload", call.lineno, 60)
        return
    validators = scope.written(argument(call, 1 if "wtf" in scope.module_text.lower() else -1, "validators"))
    listed = ast.unparse(validators) if validators is not None else ""
    if not re.search(
        r"Allow|Extension|Valid|valid|check|Type|type|image|\b[A-Z_]*ONLY\w*|Mime", listed
    ) and not scope.says(r"def clean_|FileAllowed\(|validate_\w+\("):
        if "serializers" not in name:
            yield Hit("unrestricted_upload", call.lineno, 60)


@calling(
    "put_object",
    "upload_fileobj",
    "upload_blob",
    "upload_from_file",
    "upload_from_string",
    "send_file",
    "Response",
    "FileResponse",
    "save",
)
def types_of_the_senders(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A stored object served later under the type that the sender named."""
    if last_of(scope.name(call.func)) == "save":
        target = scope.value(argument(call, 0, "dst", "destination"))
        path = target.known and isinstance(target.constant, str) and "." not in target.constant.rsplit("/", 1)[-1]
        if path and "bottle" in scope.module_text and SERVED.search(f"'{target.text}"):
            yield Hit("unrestricted_upload", call.lineno)
        return
    kind = argument(call, -1, "ContentType", "content_type", "ExtraArgs", "mimetype", "media_type")
    if kind is None:
        return
    held = scope.value(kind)
    text = ast.unparse(scope.written(kind) or kind)
    if (
        "choice" not in held.safe
        and re.search(r"\.(?:content_type|mimetype)\b", text)
        and (held.origin >= Origin.PARAMETER)
    ):
        yield Hit("unrestricted_upload", call.lineno)


DANGEROUS = re.compile(r"^\.?(?:exe|php\d?|bat|com|msi|sh|jsp|aspx?|js|cgi|py|scr|phtml|cmd)$", re.IGNORECASE)


@on(ast.Compare)
def lists_of_the_denied(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """An ending that is refused only when it is on a short list of bad ones."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In):
        return
    listed = scope.written(node.comparators[0])
    if isinstance(listed, (ast.Set, ast.List, ast.Tuple)) and listed.elts:
        bad = all(isinstance(part, ast.Constant) and DANGEROUS.match(str(part.value)) for part in listed.elts)
        if bad and re.search(r"suffix|ext|name|kind|split", ast.unparse(node.left)):
            yield Hit("unrestricted_upload", node.lineno, 60)


@calling("guess_extension")
def endings_of_the_senders(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A file's ending made from the type that the sender named."""
    if call.args and scope.value(call.args[0]).reaches("choice", Origin.OUTSIDE):
        yield Hit("unrestricted_upload", call.lineno, 60)


@on(ast.List)
def signed_uploads(node: ast.List, scope: Scope) -> Iterator[Hit]:
    """A signed upload whose type may begin with anything."""
    texts = [getattr(part, "value", None) for part in node.elts]
    if texts[:2] == ["starts-with", "$Content-Type"] and texts[2:] in ([""], ["*"]):
        yield Hit("unrestricted_upload", node.lineno)
