"""Rules on what is fetched or unpacked: code that nobody checked, archives that grow without a limit."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_none, is_true, on
from mechkit.judges.rules.evidence import FUNCTIONS, last_of, text_of, weight
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

FETCH = re.compile(
    r"(?:requests|httpx|session|client|http)\.get\(|urlopen\(|urlretrieve\(|\.download_file\(|\.download_fileobj\(|wget\.download\(|"
    r"\.retrbinary\(|\.request\(\s*['\"]GET|['\"](?:curl|wget)\b|get_object\(|\.download\("
)
USED = re.compile(
    r"\bexec\(|\beval\(|exec_module|import_module|\bCDLL\(|LoadLibrary|\brunpy\.|chmod\(|os\.exec\w+\(|subprocess\.\w+\(|os\.system\(|"
    r"['\"]pip['\"],\s*['\"]install|os\.startfile|torch\.load|pickle\.loads?|joblib\.load|extractall\(|unpack_archive\(|zipimport|"
    r"sys\.path|load_source|\bPopen\(|spec_from|compile\(|load_model\(|os\.replace\(|os\.rename\(|shutil\.move\(|\.rename\("
)
CODE_FILE = re.compile(
    r"\.(?:py|sh|exe|so|dll|whl|deb|rpm|jar|bin|msi|dmg|pkg|apk|img|fw|ko|ps1|bat|wasm|elf|hex)\b|plugin|firmware|installer|"
    r"update|upgrade|/bin/|package|extension|script|\bbinary|release|macro|driver|bootstrap",
    re.IGNORECASE,
)
CHECKED = re.compile(
    r"sha\d|hashlib|digest|signature|verify(?!\s*=)|gpg|checksum|minisign|cosign|fingerprint|hash_algo|--require-hashes|blake2|InvalidSignature",
    re.IGNORECASE,
)
PIPED = re.compile(
    r"(?:curl|wget)\b[^|\n]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b|(?:ba)?sh\s+-c\s+[\"']?\$\((?:curl|wget)|<\(curl|\|\s*python"
)
LIMITED = r"(?i)file_size|max_length|max_size|\blimit|MAX_|MOST|budget|too (?:big|large)|max_output|\.st_size|islice|remaining|_cap\b|at_most"
PACKED_MODULE = re.compile(r"^(?:zlib|gzip|bz2|lzma|brotli|snappy|zstd|zstandard|lz4|lz4\.frame|blosc|pyzstd)\b")


@on(ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
def fetched_code(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Module, scope: Scope) -> Iterator[Hit]:
    """Code fetched and then run, loaded or installed, with no look at a checksum or signature."""
    if isinstance(node, ast.Module):
        if any(isinstance(part, FUNCTIONS) for part in node.body) or not node.body:
            return
        text, line = scope.module_text, node.body[0].lineno
    else:
        text, line = text_of(node, scope), node.lineno
    fetched = FETCH.search(text)
    if fetched is None or CHECKED.search(text):
        return
    later = text[fetched.start() :]
    used = USED.search(later)
    saved = re.search(
        r"write_bytes\(|\.write\(|urlretrieve\(|download_file\(|copyfileobj\(|\"-o\"|'-o'|retrbinary", later
    )
    place = line + text.count("\n", 0, fetched.start())
    if (used is not None and not re.match(r"compile|os\.re|shutil|\.rename|eval|subprocess", used.group())) or (
        used is not None and CODE_FILE.search(text)
    ):
        yield Hit("unchecked_download", place)
    elif (
        saved is not None
        and CODE_FILE.search(re.sub(r"#.*|import .*", "", text))
        and not re.search(r"\.(?:json|html|csv|pdf|png|jpe?g|txt|xml)\b", text)
    ):
        yield Hit("unchecked_download", place, 60)


@on(ast.Call)
def piped_installers(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`curl … | sh`, packages from unencrypted or unknown places, models whose own code is run."""
    if is_true(argument(call, -1, "trust_remote_code")) and argument(call, -1, "revision") is None:
        yield Hit("unchecked_download", call.lineno, 60)
        return
    if not call.args:
        return
    first = call.args[0]
    if isinstance(first, (ast.List, ast.Tuple)):
        texts = [part.value for part in first.elts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        installs = "install" in texts and any(re.search(r"pip|npm|apt|gem|conda|uv", text) for text in texts)
        loose = any(
            re.search(
                r"trusted-host|^http://|extra-index-url|allow-unauthenticated|--nogpgcheck|git\+http|--no-verify|allow-untrusted|no-gpg",
                text,
            )
            for text in texts
        )
        value = scope.value(first)
        if (installs and loose) or any(PIPED.search(text) for text in texts):
            yield Hit("unchecked_download", call.lineno)
        elif (
            installs
            and value.origin >= Origin.PARAMETER
            and "choice" not in value.safe
            and not scope.mentions("require-hashes")
        ):
            yield Hit("unchecked_download", call.lineno, 55)
    elif PIPED.search(scope.value(first).text):
        yield Hit("unchecked_download", call.lineno)


@calling(
    "decompress", "open", "GzipFile", "extractall", "unpack_archive", "read", "decompressobj", "copyfileobj", "read_csv"
)
def growing_archives(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Compressed data of others unpacked whole."""
    name = scope.name(call.func)
    last = last_of(name)
    if scope.mentions(LIMITED):
        return
    if last == "decompress":
        module = PACKED_MODULE.match(name) or (
            isinstance(call.func, ast.Attribute) and PACKED_MODULE.match(scope.value(call.func.value).maker)
        )
        if (
            not module
            or len(call.args) > 1
            or any(word.arg in ("max_length", "max_output_size") for word in call.keywords)
        ):
            return
        if call.args and scope.value(call.args[0]).origin > Origin.HARMLESS:
            severity = weight(scope.value(call.args[0]), "choice", scope, 60) or 55
            yield Hit("decompression_bomb", call.lineno, severity)
    elif last == "read" and call.args and isinstance(call.func, ast.Attribute) and scope.mentions(r"BytesIO\("):
        if "ZipFile" in scope.value(call.func.value).maker:
            yield Hit("decompression_bomb", call.lineno, 55)
    elif last == "extractall" and "zip" in scope.module_text.lower() and isinstance(call.func, ast.Attribute):
        maker = scope.value(call.func.value)
        if "ZipFile" in maker.maker and maker.origin >= Origin.UNKNOWN and argument(call, 1, "members") is None:
            yield Hit("decompression_bomb", call.lineno, 55 if _given(scope) else 50)
    elif (
        last == "read"
        and not call.args
        and re.search(
            r"(?:gzip|bz2|lzma)\.(?:open|GzipFile|BZ2File|LZMAFile)(?:\(\))?$|GzipFile",
            scope.value(call.func.value).maker if isinstance(call.func, ast.Attribute) else "",
        )
    ):
        if _given(scope):
            yield Hit("decompression_bomb", call.lineno, 55)


def _given(scope: Scope) -> bool:
    """Whether the function that is looked at has parameters, or serves requests."""
    return scope.handler or bool(scope.parameters() - {"self", "cls"})


@on(ast.Assign)
def limits_of_pictures(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`Image.MAX_IMAGE_PIXELS = None`: pictures may unpack to any size."""
    if is_none(node.value) and scope.name(node.targets[0]).endswith("MAX_IMAGE_PIXELS"):
        yield Hit("decompression_bomb", node.lineno)
