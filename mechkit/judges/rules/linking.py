"""Rules on links in folders that other users can write to, and on secrets in addresses."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_false, is_true, on
from mechkit.judges.rules.evidence import arguments_of, last_of, literal_text, text_of
from mechkit.judges.scope import Scope
from mechkit.judges.values import SECRET, Origin

FOLLOWS = ("followlinks", "follow_symlinks", "follow_symlink", "dereference", "followall", "follow_links")
AWARE = r"(?i)is_?link|is_symlink|NOFOLLOW|follow_symlinks|lstat|realpath|resolve\(|symlinks=|S_ISLNK|dir_fd|readlink|is_relative_to|commonpath|S_ISREG|is_file\(follow"
LISTING = re.compile(r"os\.(?:listdir|scandir|walk|fwalk)\(|\.iterdir\(|\.r?glob\(|glob\.i?glob\(")
TOUCHING = re.compile(
    r"\bopen\(|\.read_text\(|\.read_bytes\(|shutil\.(?:copy\w*|move|chown)\(|os\.ch(?:own|mod)\(|\.write_text\(|send_file\(|\.chmod\(|"
    r"\.write\(|\.add\(|upload_file\(|FileResponse\(|\.stat\(|getsize\(|rmtree|print\("
)
FOREIGN = re.compile(
    r"uploads?\b|inbox|incoming|dropbox|drop_|/drop|spool|/tmp|/home|/var/mail|shared|guest|outbox|submi|hand_?in|pupil|student|attach",
    re.IGNORECASE,
)


@on(ast.Call)
def follows_links(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Links followed because the call says so, or owners changed through them."""
    name = scope.name(call.func)
    if any(word.arg in FOLLOWS and is_true(word.value) for word in call.keywords) or (
        name in ("shutil.copytree", "copytree") and is_false(argument(call, -1, "symlinks"))
    ):
        yield Hit("link_following", call.lineno)
    elif (
        name in ("os.chown", "shutil.chown")
        and call.args
        and scope.value(call.args[0]).origin > Origin.HARMLESS
        and not scope.mentions(AWARE)
        and not all(isinstance(part, ast.Constant) for part in call.args[1:])
    ):
        yield Hit("link_following", call.lineno, 55)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def every_file_of_a_folder(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """Every file of a folder that others fill opened or copied, whether it is a link or not."""
    text = text_of(node, scope)
    if not (LISTING.search(text) and TOUCHING.search(text)) or re.search(AWARE, text):
        return
    if FOREIGN.search(text) and re.search(
        r"\bopen\(|read_text|read_bytes|shutil\.(?:copy|move|chown)|os\.chown|send_file|\.add\(|upload_file|FileResponse",
        text,
    ):
        yield Hit("link_following", node.lineno, 55)


@calling(
    "copy",
    "copyfile",
    "copy2",
    "copytree",
    "open",
    "chmod",
    "read_text",
    "read_bytes",
    "write_text",
    "send_file",
    "add",
    "rmtree",
    "stat",
)
def one_foreign_file(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A file under a fixed name in a folder of another user's."""
    name = scope.name(call.func)
    if scope.mentions(AWARE):
        return
    paths = list(call.args[:1]) if name.startswith(("shutil.", "os.")) or name in ("open", "io.open") else []
    if (
        isinstance(call.func, ast.Attribute)
        and not paths
        and last_of(name) in ("open", "read_text", "read_bytes", "write_text", "chmod")
    ):
        paths = [call.func.value]
    for path in paths:
        value = scope.value(path)
        homes = re.match(r"^/home/\x00|^/home/[^/]*\x00|^/var/spool/|^/var/mail/\x00", value.text)
        if homes and value.origin >= Origin.UNKNOWN:
            yield Hit("link_following", call.lineno, 55)
            return


IN_ADDRESS = re.compile(
    r"[?&](?:\w*(?:token|passw(?:or)?d|pwd|secret|api_?key|session\w*|sid|auth|key|pin|otp|code)\w*)=\x00",
    re.IGNORECASE,
)


@on(ast.Call)
def secrets_in_addresses(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password or token in the address of a request."""
    name = scope.name(call.func)
    if not re.search(
        r"(?:^|\.)(?:get|post|put|request|urlopen|redirect|delete|head|patch|RedirectResponse|HTTPFound)$", name
    ):
        return
    given = argument(call, -1, "params")
    table = scope.written(given)
    if isinstance(table, ast.Dict) and re.search(r"requests|httpx|session|client|http", name):
        for key, part in zip(table.keys, table.values):
            if re.search(r"passw|pwd|secret|session_?id|ssn|pin$", literal_text(key)) and not isinstance(
                part, ast.Constant
            ):
                yield Hit("secret_in_url", call.lineno)
                return
    for part in arguments_of(call):
        value = scope.value(part)
        if value.built and SECRET in value.marks and IN_ADDRESS.search(value.text):
            yield Hit("secret_in_url", call.lineno, 55 if re.search(r"passw|session", value.text) else 45)
            return
