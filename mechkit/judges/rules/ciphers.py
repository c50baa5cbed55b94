"""Rules on ciphers: broken ones, short keys, and initial values that repeat."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import last_of, number
from mechkit.judges.scope import Scope
from mechkit.judges.values import CLOCK, GUESSABLE, STRONG, Origin

BROKEN = re.compile(
    r"(?:^|\.)(?:DES3?|TripleDES|ARC2|ARC4|RC2|RC4|Blowfish|IDEA|CAST(?:5|_?128)?|SEED|XOR|triple_des)(?:\.new)?$"
)
CIPHER_MODULES = re.compile(
    r"Crypto|cryptography|pyDes|^algorithms\.|^DES|^ARC|^Blowfish|\.new$|decrepit", re.IGNORECASE
)
SHELL_CIPHER = re.compile(
    r"^-?(?:des(?:3|-\w+)?|rc[24](?:-\w+)?|bf(?:-\w+)?|aes-\d+-ecb|idea-\w+|cast5?-\w+|seed-\w+|aria-\d+-ecb|"
    r"3DES|des-ede3|arcfour\d*|3des-cbc|blowfish-cbc)$",
    re.IGNORECASE,
)
WEAK_SUITES = re.compile(
    r"(?:^|[:+,])(?:RC4|3?DES|NULL|aNULL|eNULL|EXPORT|EXP|LOW|MD5|ADH|ALL)(?=$|[:+,@-])|@SECLEVEL=0"
)
OLD_PROTOCOL = re.compile(
    r"(?:PROTOCOL_(?:SSLv\d+|TLSv1(?:_1)?)|TLSVersion\.(?:SSLv3|TLSv1(?:_1)?|MINIMUM_SUPPORTED))$"
)
IV_NAMES = ("iv", "nonce", "initial_value", "initialization_vector", "IV", "tweak")
MODES = re.compile(r"(?:^|\.)(?:CBC|CTR|GCM|CFB8?|OFB)$")
AEADS = re.compile(r"(?:AESGCM|AESCCM|AESSIV|AESOCB3|ChaCha20Poly1305|AESGCMSIV|SecretBox|Aead|Box)$")
READING = re.compile(
    r"decrypt|decipher|open|unseal|unwrap|read|load|reveal|unlock|decode|parse|verify|show", re.IGNORECASE
)
RSA_SHORT, CURVE_SHORT = 2048, re.compile(r"SECP192R1|SECT163\w+|SECP160|prime192v1|BrainpoolP1\d\d")


@on(ast.Call)
def broken_ciphers(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Ciphers, modes, protocol versions and suites that are known to be broken."""
    name = scope.name(call.func)
    last = last_of(name)
    if (
        (BROKEN.search(name) and CIPHER_MODULES.search(name) and not name.startswith("ssl"))
        or last == "ECB"
        or any(scope.name(part).endswith("MODE_ECB") for part in call.args[1:2])
        or any(word.arg == "mode" and scope.name(word.value).endswith("MODE_ECB") for word in call.keywords)
    ):
        yield Hit("weak_cipher", call.lineno)
    elif last == "set_ciphers" and call.args:
        text = re.sub(r"[!-]\w+", "", scope.value(call.args[0]).text)
        if WEAK_SUITES.search(text):
            yield Hit("weak_cipher", call.lineno)
    elif (
        any(isinstance(part, (ast.Attribute, ast.Name)) and OLD_PROTOCOL.search(scope.name(part)) for part in call.args)
        or any(
            OLD_PROTOCOL.search(scope.name(word.value))
            for word in call.keywords
            if isinstance(word.value, ast.Attribute)
        )
        or (
            name in ("codecs.encode", "codecs.decode")
            and scope.value(argument(call, 1, "encoding")).text
            in (
                "rot13",
                "rot_13",
            )
        )
    ):
        yield Hit("weak_cipher", call.lineno)


@on(ast.Assign)
def old_protocols(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`context.minimum_version = ssl.TLSVersion.TLSv1`."""
    if isinstance(node.value, ast.Attribute) and OLD_PROTOCOL.search(scope.name(node.value)):
        if "maximum" not in scope.name(node.targets[0]):
            yield Hit("weak_cipher", node.lineno)


@on(ast.List, ast.Tuple)
def ciphers_of_programs(node: ast.List | ast.Tuple, scope: Scope) -> Iterator[Hit]:
    """A broken cipher among the words of a command, or in a list of what is offered."""
    texts = [part.value for part in node.elts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if texts and any(SHELL_CIPHER.match(text) for text in texts):
        if scope.says(r"(?i)openssl|cipher|encrypt|paramiko|ssh"):
            yield Hit("weak_cipher", node.lineno)


@calling("generate_private_key", "generate", "newkeys", "generate_parameters", "construct")
def short_keys(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """RSA, DSA and Diffie-Hellman keys below 2048 bits, and small curves."""
    name = scope.name(call.func)
    if any(CURVE_SHORT.search(ast.unparse(part)) for part in [*call.args, *(word.value for word in call.keywords)]):
        yield Hit("weak_cipher", call.lineno)
        return
    if not re.search(r"rsa|dsa|dh\b|RSA|DSA|ElGamal|DH\b", name):
        return
    sizes = [number(part, scope) for part in [*call.args[:2], *(word.value for word in call.keywords)]]
    if any(size is not None and 255 < size < RSA_SHORT and size % 8 == 0 for size in sizes):
        yield Hit("weak_cipher", call.lineno)


@calling("encrypt", "wrap_key")
def old_padding(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """RSA encryption with the padding of 1998."""
    if any(last_of(scope.name(part)).startswith("PKCS1v15") for part in call.args[1:]) or (
        isinstance(call.func, ast.Attribute) and "PKCS1_v1_5" in scope.value(call.func.value).maker
    ):
        yield Hit("weak_cipher", call.lineno)


@on(ast.FunctionDef)
def home_made(node: ast.FunctionDef, scope: Scope) -> Iterator[Hit]:
    """A function that encrypts by XOR, by shifting letters, or only encodes."""
    if not re.search(
        r"encrypt|encipher|obfuscate|scramble|conceal|seal|lock_up|protect|hide|cipher", node.name, re.IGNORECASE
    ):
        return
    if re.search(
        r"Fernet|AES|ChaCha|Cipher|crypto|nacl|SecretBox|\.encrypt\(|hashlib|hmac|gpg|kms",
        scope.module_text.split("def ")[0],
    ):
        if any(
            isinstance(part, ast.Call) and re.search(r"Fernet|AES|ChaCha|Cipher|encrypt|Box|kms", scope.name(part.func))
            for part in scope.nodes(node)
        ):
            return
    for part in scope.nodes(node):
        xor = isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitXor)
        encoded = isinstance(part, ast.Call) and re.search(
            r"(?:b|a)(?:64|32|85)encode$|\.translate$|maketrans$", scope.name(part.func)
        )
        shifted = isinstance(part, ast.Call) and scope.name(part.func) == "chr"
        if xor or encoded or shifted:
            yield Hit("weak_cipher", getattr(part, "lineno", node.lineno))
            return


@on(ast.Call)
def repeated_starts(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """An initial value or nonce that is fixed, derived from what is not random, or used again."""
    name = scope.name(call.func)
    last = last_of(name)
    chosen: ast.expr | None = None
    if last == "new" and re.search(r"AES|DES|ChaCha|Salsa|Blowfish|CAST|ARC2", name):
        chosen = argument(call, 2, *IV_NAMES) if "MODE_" in ast.unparse(call) else argument(call, -1, *IV_NAMES)
        if (chosen is not None and "MODE_ECB" in ast.unparse(call)) or isinstance(chosen, ast.Starred):
            return
    elif MODES.search(name) and (call.args or call.keywords):
        chosen = argument(call, 0, *IV_NAMES, "initialization_vector")
    elif last == "ChaCha20":
        chosen = argument(call, 1, "nonce")
    elif last == "encrypt" and isinstance(call.func, ast.Attribute):
        if AEADS.search(scope.value(call.func.value).maker) or re.search(
            r"(?:AES(?:GCM|CCM|OCB3)|Poly1305|SecretBox)\(\)\.encrypt$", name
        ):
            box = "Box" in scope.value(call.func.value).maker or "Box" in name
            chosen = argument(call, 1 if box else 0, "nonce")
        elif len(call.args) > 1 and re.search(r"(?i)(?:^|\.|_)(?:nonce|iv)$", scope.name(call.args[0])):
            chosen = call.args[0]
    elif name.endswith("Counter.new"):
        start = argument(call, -1, "initial_value")
        if (start is None or isinstance(start, ast.Constant)) and argument(call, -1, "prefix") is None:
            yield Hit("predictable_iv", call.lineno)
        return
    if chosen is not None and _repeats(chosen, scope):
        yield Hit("predictable_iv", call.lineno)


def _repeats(node: ast.expr, scope: Scope) -> bool:
    value = scope.value(node)
    function = scope.function.name if scope.function else ""
    written = scope.written(node)
    if STRONG in value.marks:
        return (
            isinstance(node, ast.Name)
            and scope.function is not None
            and not re.search(rf"\b{re.escape(node.id)}\b\s*(?::[^=\n]+)?=", scope._source())
        )
    if READING.search(function) and not re.search(
        "encrypt|seal|wrap", function.replace("unseal", "").replace("unwrap", "")
    ):
        return False
    if GUESSABLE in value.marks or CLOCK in value.marks:
        return True
    if isinstance(node, ast.Attribute) and scope.name(node).startswith("self."):
        return not scope.mentions(rf"self\.{re.escape(node.attr)}\s*(?:\+?=|: )") and READING.search(function) is None
    text = ast.unparse(written) if written is not None else ""
    if re.search(
        r"urandom|token_bytes|get_random|random_bytes|generate_nonce|randombytes|os\.getrandom|secrets\.", text
    ):
        return False
    if value.origin <= Origin.HARMLESS:
        return True
    derived = re.search(
        r"key\b|secret|passw|passphrase|md5|sha\d|hash|digest|ljust|user|\bid\b|email|name|time|date|version|int\(|to_bytes|count|seq",
        text,
        re.IGNORECASE,
    )
    return derived is not None and not re.search(r"^(?:iv|nonce)$", text)
