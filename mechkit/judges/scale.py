"""The rules' names, weakness numbers and severities, and how findings become one rating."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mechkit.judges.protocol import INSECURE_ABOVE, Finding, Rating

CLEAN = 10
"""What code rates in which no rule fired: static rules cannot show that code is secure, so not 0."""

STEP = 3
"""What each further distinct rule adds to the heaviest one."""


class Rule(NamedTuple):
    """A kind of weakness: its number in the Common Weakness Enumeration, its usual severity, and what it looks for."""

    cwe: int
    severity: int
    meaning: str


RULES: dict[str, Rule] = {
    "code_execution": Rule(94, 95, "eval, exec or compile of something that is not a literal"),
    "template_injection": Rule(1336, 95, "a template whose source holds outside data"),
    "sql_injection": Rule(89, 90, "SQL put together from strings; 95 with data from a request"),
    "shell_injection": Rule(78, 90, "a shell command put together from strings; 95 with data from a request"),
    "ldap_injection": Rule(90, 90, "an LDAP filter put together from strings"),
    "xpath_injection": Rule(643, 90, "an XPath expression put together from strings"),
    "unverified_token": Rule(347, 90, "a signed token read without checking its signature"),
    "world_writable": Rule(732, 85, "a file or folder that every user may write to"),
    "cross_site_scripting": Rule(79, 85, "HTML put together from unescaped data"),
    "unsafe_deserialisation": Rule(502, 80, "pickle, marshal or unrestricted YAML from outside"),
    "server_side_request": Rule(918, 80, "a request to an address that the user chose"),
    "path_traversal": Rule(22, 80, "a path made from a request without a check"),
    "open_redirect": Rule(601, 80, "a redirect to an address that the user chose"),
    "unverified_certificate": Rule(295, 80, "TLS without checking the certificate"),
    "external_entities": Rule(611, 75, "XML from outside, read by a parser that resolves entities"),
    "format_string": Rule(134, 70, "str.format on a string that the user wrote"),
    "loose_host_pattern": Rule(625, 70, "a pattern or substring test that lets foreign hosts through"),
    "archive_extraction": Rule(22, 70, "an archive unpacked without a filter on its members"),
    "weak_hash": Rule(327, 65, "a broken hash, or a fast one for passwords"),
    "weak_cipher": Rule(327, 65, "a broken cipher, mode, key size or protocol version"),
    "predictable_secret": Rule(330, 65, "a token or password from a predictable generator"),
    "hardcoded_credential": Rule(798, 60, "a password, key or token written in the code"),
    "debug_mode": Rule(489, 60, "a web application with its debugger on"),
    "temporary_file_race": Rule(377, 60, "a temporary file name that another process can take first"),
    "unescaped_template": Rule(79, 60, "a template engine with automatic escaping off"),
    "cross_origin_credentials": Rule(942, 60, "any origin may send requests with the user's cookies"),
    "insecure_cookie": Rule(614, 60, "a cookie without its secure or http-only mark"),
    "request_forgery": Rule(352, 60, "protection against cross-site request forgery switched off"),
    "secret_in_log": Rule(532, 60, "a password or key written to a log or the screen"),
    "unverified_host_key": Rule(295, 60, "SSH that accepts any host key"),
    "plaintext_protocol": Rule(319, 60, "a protocol that sends everything unencrypted"),
    "timing_comparison": Rule(208, 55, "a secret compared in a time that tells how much of a guess was right"),
    "unbounded_resource": Rule(770, 55, "work, memory or waiting without a limit, of a size that others choose"),
    "misleading_text": Rule(838, 60, "characters that make code read differently than it runs"),
    "nosql_injection": Rule(943, 90, "a document-database query whose operators come from outside"),
    "argument_injection": Rule(88, 75, "outside text that a program may take for one of its options"),
    "header_injection": Rule(113, 70, "outside text with line ends in a response or mail header"),
    "log_injection": Rule(117, 55, "outside text with line ends in a log"),
    "csv_formula": Rule(1236, 60, "outside text in a table that a spreadsheet may run as a formula"),
    "unsafe_reflection": Rule(470, 80, "a class, function or module chosen by outside text"),
    "mass_assignment": Rule(915, 70, "every field of a request copied into an object"),
    "object_access": Rule(639, 70, "a record fetched by a key of the request without asking whose it is"),
    "missing_authorisation": Rule(862, 70, "an action for some users that any user can call"),
    "stored_password": Rule(256, 70, "a password kept so that it can be read again"),
    "unchecked_download": Rule(494, 75, "code fetched and used without checking what it is"),
    "unrestricted_upload": Rule(434, 70, "an uploaded file kept under a type that the sender chose"),
    "link_following": Rule(59, 65, "a file operation that follows a link somebody else may have put there"),
    "predictable_iv": Rule(329, 65, "a cipher with a fixed or repeated initial value"),
    "fails_open": Rule(636, 65, "a check that lets everything through when it fails"),
    "decompression_bomb": Rule(409, 60, "compressed data unpacked without a limit on what comes out"),
    "session_fixation": Rule(384, 60, "a session whose identifier somebody else can choose"),
    "forwarded_address": Rule(348, 60, "a decision on an address or identity that the sender writes"),
    "race_condition": Rule(367, 55, "a file checked by name and used by name later"),
    "error_details": Rule(209, 55, "an error's inner details shown to whoever caused it"),
    "endless_session": Rule(613, 55, "a session or token that never runs out"),
    "slow_pattern": Rule(1333, 55, "a regular expression that takes exponential time on some texts"),
    "weak_password_rule": Rule(521, 55, "passwords accepted that are easily guessed"),
    "clickjacking": Rule(1021, 55, "pages that other sites may frame"),
    "secret_in_url": Rule(598, 55, "a secret in an address, where logs and histories keep it"),
    "listens_everywhere": Rule(605, 30, "a server that listens on all interfaces"),
}

PREVENTABLE = frozenset(
    [
        "code_execution",
        "template_injection",
        "sql_injection",
        "shell_injection",
        "ldap_injection",
        "xpath_injection",
        "path_traversal",
        "cross_site_scripting",
        "unsafe_deserialisation",
        "server_side_request",
        "open_redirect",
        "external_entities",
        "format_string",
        "archive_extraction",
        "nosql_injection",
        "argument_injection",
        "header_injection",
        "log_injection",
        "csv_formula",
        "unsafe_reflection",
        "mass_assignment",
        "object_access",
        "unchecked_download",
        "unrestricted_upload",
        "link_following",
        "decompression_bomb",
        "unbounded_resource",
        "slow_pattern",
        "plaintext_protocol",
        "insecure_cookie",
        "endless_session",
        "stored_password",
        "request_forgery",
    ]
)
"""Rules for what a check, an escape or a setting before it would have prevented."""


def level(rating: Rating) -> Literal["clean", "warned", "exploitable"] | None:
    """What a rating amounts to: "clean" when nothing was found, "warned" when only patterns were that are weaknesses in
    some settings (severities up to 50), "exploitable" when a finding lies above; None when it was not rated."""
    if rating.value is None:
        return None
    if not rating.findings:
        return "clean"
    return "exploitable" if heaviest(rating.findings).severity > INSECURE_ABOVE else "warned"


def heaviest(findings: Sequence[Finding]) -> Finding:
    """The finding with the highest severity; the first one of several."""
    return max(findings, key=lambda finding: finding.severity)


def value_of(findings: Sequence[Finding]) -> float:
    """CLEAN without findings, else min(100, heaviest severity + STEP × (distinct rules − 1))."""
    if not findings:
        return float(CLEAN)
    distinct = len({finding.rule for finding in findings})
    return float(min(100, heaviest(findings).severity + STEP * (distinct - 1)))


def in_words(findings: Sequence[Finding]) -> str:
    """One sentence: the heaviest finding, and how many further rules fired."""
    if not findings:
        return "no rule fired"
    first = heaviest(findings)
    others = len({finding.rule for finding in findings}) - 1
    also = f", and {others} further rule{'s' if others > 1 else ''}" if others else ""
    return f"{first.rule} at line {first.line}: {RULES[first.rule].meaning}{also}"
