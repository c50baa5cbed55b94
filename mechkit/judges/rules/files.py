"""Rules on permissions, paths, archives, serialised objects and XML."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, is_true, on
from mechkit.judges.rules.evidence import text_of
from mechkit.judges.scope import Scope
from mechkit.judges.values import STRONG, Origin, Value
from mechkit.judges.vocabulary import JOIN, words

OTHERS_MAY_WRITE = 0o002
OTHERS_MAY_READ = 0o044
SECRET_FILE = re.compile(
    r"token|secret|passw|credential|private|id_rsa|(?:^|[/_. ])keys?(?:$|[/_. ])|\.pem|\.key|shadow|wallet|\.env\b",
    re.IGNORECASE,
)
SET_USER_ID = 0o4000
STICKY = 0o1000
OPENERS = words(
    """
    open io.open codecs.open os.open os.remove os.unlink os.rmdir os.rename os.listdir os.makedirs os.mkdir
    shutil.rmtree shutil.copy shutil.copyfile shutil.move send_file flask.send_file FileResponse
    starlette.responses.FileResponse fastapi.responses.FileResponse django.http.FileResponse aiofiles.open
    zipfile.ZipFile tarfile.open os.scandir os.path.getsize shutil.copytree
    """
)
PATH_METHODS = words(
    """
    read_text read_bytes write_text write_bytes unlink open
    """
)
PICKLES = words(
    """
    pickle.load pickle.loads cPickle.load cPickle.loads _pickle.loads dill.load dill.loads cloudpickle.load
    cloudpickle.loads marshal.load marshal.loads jsonpickle.decode joblib.load pandas.read_pickle shelve.open
    pickle.Unpickler dill.Unpickler
    """
)
XML_READERS = words("fromstring parse XML parseString iterparse XMLID fromstringlist feed")
SAFE_LOADERS = re.compile(r"(?:^|\.)C?(?:Safe|Base)Loader$")
NAME_CHECK = (
    r"startswith|commonpath|commonprefix|is_relative_to|['\"]\.\./?['\"]\s+(?:not\s+)?in\b|isabs|"
    r"secure_filename|is_within"
)
FILE_NAME = re.compile(
    r"name|file|path|page|slug|title|doc|folder|dir(?:ectory)?$|upload|image|photo|attachment",
    re.IGNORECASE,
)
"""Parameters that may hold a file's name."""
ARCHIVES = re.compile(r"(?:^|\.)(?:ZipFile|tarfile\.open|TarFile)$")
SHARED = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm)(?!.*/\.\.)")
WRITING_FIRST = words("logging.FileHandler sqlite3.connect shelve.open dbm.open os.mkfifo")
WRITING_SECOND = words(
    """
    shutil.copy shutil.copyfile shutil.copy2 shutil.move os.rename os.replace urllib.request.urlretrieve numpy.savetxt
    """
)
EVERY_MEMBER = re.compile(r"(?:getmembers|getnames|namelist|infolist)\(\)$")


@on(ast.Call)
def permissions(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Modes that let every user write, and commands that set them."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last in ("chmod", "fchmod", "lchmod"):
        mode = argument(call, 1 if name.startswith("os.") or len(call.args) > 1 else 0, "mode")
    elif name in ("os.mkdir", "os.makedirs", "os.mkfifo"):
        mode = argument(call, 1, "mode")
    elif name == "os.open":
        mode = argument(call, 2, "mode")
    elif name == "os.umask":
        mask = scope.value(argument(call, 0, "mask"))
        if mask.known and isinstance(mask.constant, int) and not mask.constant & OTHERS_MAY_WRITE:
            yield Hit("world_writable", call.lineno)
        return
    else:
        text = " ".join(scope.value(part).text for part in _flat(call.args))
        if re.search(r"\bchmod\s+(?:-R\s+)?(?:0?[0-7]{2}[2367]\b|[ugoa]*[oa]\+[rx]*w|\+[rx]*w)", text):
            yield Hit("world_writable", call.lineno)
        return
    if isinstance(mode, ast.Name):
        mode = scope.written(mode)
    if isinstance(mode, ast.BinOp) and isinstance(mode.op, ast.BitOr) and not scope.value(mode).known:
        mode = max((mode.left, mode.right), key=lambda part: scope.value(part).known)
    value = scope.value(mode)
    bits = value.constant if mode is not None and value.known and isinstance(value.constant, int) else 0
    readable = bits & OTHERS_MAY_READ and not bits & 0o111 and last not in ("mkdir", "makedirs")
    if readable and _keeps_secret(call, scope):
        yield Hit("world_writable", call.lineno, 60)
    elif bits & (OTHERS_MAY_WRITE | SET_USER_ID) and not bits & STICKY:
        yield Hit("world_writable", call.lineno)


@on(ast.Assign)
def modes_in_archives(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`info.mode = 0o777`: what is unpacked later is open to everybody."""
    if isinstance(node.targets[0], ast.Attribute) and node.targets[0].attr in ("mode", "external_attr"):
        value = scope.value(node.value)
        if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.LShift):
            value = scope.value(node.value.left)
        if (
            value.known
            and isinstance(value.constant, int)
            and value.constant & 0o777 >= 0o100
            and value.constant & OTHERS_MAY_WRITE
        ):
            yield Hit("world_writable", node.lineno)


@on(ast.Constant)
def open_buckets(node: ast.Constant, scope: Scope) -> Iterator[Hit]:
    """Stored objects that everybody may read or write."""
    if isinstance(node.value, str) and node.value in ("public-read", "public-read-write", "publicRead", "allUsers"):
        yield Hit("world_writable", node.lineno, 60)


def _keeps_secret(call: ast.Call, scope: Scope) -> bool:
    """Whether a file's path, or the function that handles it, names a password, key or token."""
    path = scope.value(call.args[0]).text if call.args else ""
    around = scope.function.name if scope.function else ""
    named = f"{path} {around} {' '.join(ast.unparse(part) for part in call.args[:1])}"
    return SECRET_FILE.search(named) is not None and not re.search(r"\.pub\b|public|\.crt|cert", named)


@on(ast.Call)
def paths(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Paths made from a request and used without a check."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    used = []
    if last in ("download_file", "fget_object", "download_to_filename", "retr") and call.args:
        used = [call.args[-1]]
    elif (
        last in ("write", "add")
        and call.args
        and ARCHIVES.search(scope.value(call.func.value).maker if isinstance(call.func, ast.Attribute) else "")
    ):
        used = call.args[:1]
    elif name in OPENERS or (last == "send_file"):
        used = [*call.args[:2], *(word.value for word in call.keywords if word.arg in ("path", "filename", "file"))]
    elif last == "save" and call.args:
        value = scope.value(call.args[0])
        used = call.args[:1] if value.maker == JOIN or value.built else []
    elif last in PATH_METHODS and isinstance(call.func, ast.Attribute):
        used = [call.func.value]
    for part in used:
        value = scope.value(part)
        if value.reaches("path", Origin.USER) and "//" not in value.front:
            yield Hit("path_traversal", call.lineno)
            return
        client = isinstance(part, ast.Attribute) and part.attr == "filename" and value.origin == Origin.OUTSIDE
        if client or _below_a_folder(value, scope):
            yield Hit("path_traversal", call.lineno, 60)
            return


def _below_a_folder(value: Value, scope: Scope) -> bool:
    """Whether a path begins with a folder of the program's and goes on with a name that the caller gave."""
    if value.origin not in (Origin.PARAMETER, Origin.OUTSIDE) or "path" in value.safe or "//" in value.front:
        return False
    if not (value.built or value.maker == JOIN) or value.leading > Origin.UNKNOWN:
        return False
    if value.origin == Origin.OUTSIDE:
        return True
    if scope.called_inside():
        return False
    given = scope.sources(value) & scope.parameters()
    return any(FILE_NAME.search(name) for name in given) or (bool(given) and value.text.startswith("/"))


@on(ast.Call)
def archives(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Archives unpacked whole, or member by member, without looking at the members' names."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name == "shutil.unpack_archive" and argument(call, 3, "filter") is None:
        yield Hit("archive_extraction", call.lineno)
        return
    if last not in ("extractall", "extract") or not isinstance(call.func, ast.Attribute):
        return
    given = scope.value(argument(call, -1, "filter"))
    trusted = given.known and given.constant == "fully_trusted"
    filtered = argument(call, -1, "filter") is not None and not trusted
    members = argument(call, 1, "members") if last == "extractall" else None
    chosen = members is not None and not EVERY_MEMBER.search(scope.name(members))
    if filtered or chosen or scope.mentions(NAME_CHECK):
        return
    maker = scope.value(call.func.value).maker
    if "zip" in maker.lower() or ("tarfile" not in scope.module_text and "zipfile" in scope.module_text):
        if last == "extractall" and _outside(call, scope):
            yield Hit("archive_extraction", call.lineno)
    elif "tar" in maker.lower() or "tarfile" in scope.module_text:
        yield Hit("archive_extraction", call.lineno)


@on(ast.Call)
def serialised_objects(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Formats that can make any object while they are read."""
    name = scope.name(call.func)
    if name in PICKLES:
        yield Hit("unsafe_deserialisation", call.lineno)
    elif name in ("yaml.load", "yaml.load_all"):
        loader = argument(call, 1, "Loader")
        if loader is None or not SAFE_LOADERS.search(scope.name(loader)):
            yield Hit("unsafe_deserialisation", call.lineno)
    else:
        unsafe = name in ("yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all")
        whole = name == "torch.load" and is_false(argument(call, -1, "weights_only"))
        objects = name in ("numpy.load", "np.load") and is_true(argument(call, -1, "allow_pickle"))
        if unsafe or whole or objects:
            yield Hit("unsafe_deserialisation", call.lineno)


@on(ast.Call)
def entities(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """XML parsers that resolve entities, and lxml or the standard library reading XML from a request."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last in ("XMLParser", "ETCompatXMLParser"):
        resolving = any(
            is_true(argument(call, -1, word)) for word in ("resolve_entities", "load_dtd", "dtd_validation")
        )
        if resolving or is_false(argument(call, -1, "no_network")):
            yield Hit("external_entities", call.lineno)
        elif (
            "lxml" in name
            and argument(call, -1, "resolve_entities") is None
            and not scope.mentions(r"docinfo|DOCTYPE|\.entities")
        ):
            yield Hit("external_entities", call.lineno, 60)
    elif any(
        is_false(argument(call, -1, word))
        for word in ("forbid_dtd", "forbid_entities", "forbid_external", "disable_entities")
    ):
        yield Hit("external_entities", call.lineno)
    elif last == "Settings" and "zeep" in scope.module_text and is_true(argument(call, -1, "xml_huge_tree")):
        yield Hit("external_entities", call.lineno, 55)
    elif last in ("UseForeignDTD", "SetParamEntityParsing") and call.args and not is_false(call.args[0]):
        yield Hit("external_entities", call.lineno)
    elif last == "setFeature" and len(call.args) == 2 and "external" in scope.name(call.args[0]).lower():
        if not is_false(call.args[1]):
            yield Hit("external_entities", call.lineno)
    elif last in XML_READERS and re.search(r"lxml|xml\.|etree|ET\b|untangle|xmltodict", name):
        if "defusedxml" in name or (argument(call, 1, "parser") is not None and "lxml" in name) or "html" in name:
            return
        if any(is_true(argument(call, -1, word)) for word in ("resolve_entities", "load_dtd")):
            yield Hit("external_entities", call.lineno)
            return
        if is_false(argument(call, -1, "resolve_entities")) or scope.mentions(r"DOCTYPE|ENTITY|defuse_stdlib"):
            return
        value = scope.value(argument(call, 0, "text", "source", "string", "file"))
        if value.origin >= Origin.USER or ("lxml" in name and value.origin >= Origin.PARAMETER):
            yield Hit("external_entities", call.lineno)
        elif value.origin in (Origin.PARAMETER, Origin.OUTSIDE) and last != "parse":
            yield Hit("external_entities", call.lineno, 55)
        elif value.origin in (Origin.PARAMETER, Origin.OUTSIDE):
            yield Hit("external_entities", call.lineno, 55 if "sax" in name or "dom" in name else 50)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def names_beside_temporary_files(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A file beside a temporary one, under its name with something added: that name was never reserved."""
    text = text_of(node, scope)
    if re.search(r"NamedTemporaryFile|mkstemp", text):
        beside = re.search(r"(\w+)\s*=\s*\w+\.name\s*\+\s*['\"]|(\w+)\s*=\s*f['\"]\{\w+\.name\}\.", text)
        if beside and re.search(rf"open\({beside.group(1) or beside.group(2)}\s*,\s*['\"][wax]", text):
            yield Hit("temporary_file_race", node.lineno)


@on(ast.Call)
def temporary_names(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Temporary names that are not created at once, and guessable ones in folders that everyone may write to."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in ("tempfile.mktemp", "os.tempnam", "os.tmpnam") or any(
        SHARED.match(value.front) and STRONG not in value.marks for value in _written(call, name, last, scope)
    ):
        yield Hit("temporary_file_race", call.lineno)


def _written(call: ast.Call, name: str, last: str, scope: Scope) -> Iterator[Value]:
    """The paths that a call writes to."""
    if name in ("open", "io.open", "codecs.open", "aiofiles.open", "tarfile.open", "gzip.open", "zipfile.ZipFile"):
        mode = scope.value(argument(call, 1, "mode")).text if argument(call, 1, "mode") is not None else "r"
        if re.search(r"[wa+]", mode) and argument(call, -1, "opener") is None:
            yield scope.value(argument(call, 0, "file", "name"))
    elif name == "os.open":
        flags = argument(call, 1, "flags")
        if flags is not None and "O_CREAT" in ast.unparse(flags) and "O_EXCL" not in ast.unparse(flags):
            yield scope.value(argument(call, 0, "path"))
    elif name in WRITING_SECOND:
        target = scope.value(argument(call, 1, "dst", "filename"))
        if re.search(r"\.\w+$", target.text):  # not a folder
            yield target
    elif (name == "os.makedirs" and is_true(argument(call, -1, "exist_ok"))) or name in WRITING_FIRST:
        yield scope.value(argument(call, 0, "name", "path", "database", "filename"))
    elif name in ("os.mkdir", "os.makedirs") and scope.mentions(r"isdir\(|exists\("):
        yield scope.value(argument(call, 0, "name", "path"))
    elif last in ("to_csv", "to_json", "to_excel", "to_parquet", "savefig", "write_pdf", "save") and call.args:
        yield scope.value(call.args[0])
    elif isinstance(call.func, ast.Attribute):
        mode = scope.value(argument(call, 0, "mode")).text if last == "open" and call.args else ""
        if last in ("write_text", "write_bytes", "touch") or (last == "open" and re.fullmatch(r"[wa]b?\+?", mode)):
            if last != "touch" or not is_false(argument(call, 1, "exist_ok")):
                yield scope.value(call.func.value)


def _flat(parts: list[ast.expr]) -> list[ast.expr]:
    flat: list[ast.expr] = []
    for part in parts:
        flat += part.elts if isinstance(part, (ast.List, ast.Tuple)) else [part]
    return flat


def _outside(call: ast.Call, scope: Scope) -> bool:
    """Whether an archive is unpacked to a literal folder outside the current one, or to one that a user chose."""
    value = scope.value(argument(call, 0, "path"))
    return value.text.startswith(("/", "..")) or value.origin >= Origin.USER
