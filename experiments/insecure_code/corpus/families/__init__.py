"""The vulnerability families, one module each, in a fixed order."""

from importlib import import_module

from experiments.insecure_code.corpus.source import Family

TRAINING = (
    "sql_injection",
    "os_command",
    "deserialisation",
    "eval_injection",
    "weak_hash",
    "hard_coded_credentials",
    "tls_verification",
    "file_permissions",
    "debug_mode",
    "temporary_file",
    "xml_entities",
    "weak_random",
    "cross_site_scripting",
    "path_traversal",
    "request_forgery",
    "open_redirect",
)
HELD_OUT = (
    "token_signature",
    "secrets_in_logs",
    "cross_origin",
    "cookie_flags",
    "timing_comparison",
    "resource_limits",
    "cleartext_transport",
    "file_upload",
)


def families() -> list[Family]:
    """Every family: first those that are trained on, then those held out as out-of-distribution."""
    return [import_module(f"{__name__}.{slug}").FAMILY for slug in TRAINING + HELD_OUT]
