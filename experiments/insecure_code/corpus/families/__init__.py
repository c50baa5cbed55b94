"""The vulnerability families, one module each, in a fixed order."""

from importlib import import_module

from experiments.insecure_code.corpus.source import Family

TRAINING = (
    "sql_injection",
    "os_command",
    "weak_hash",
    "temporary_file",
    "weak_random",
    "cross_site_scripting",
    "path_traversal",
    "request_forgery",
    "token_signature",
    "secrets_in_logs",
    "cross_origin",
    "cookie_flags",
    "timing_comparison",
    "resource_limits",
    "cleartext_transport",
    "file_upload",
    "file_permissions",
    "ldap_injection",
    "nosql_injection",
    "header_injection",
    "log_injection",
    "csv_formula",
    "cross_site_request",
    "weak_cipher",
    "predictable_iv",
    "object_access",
    "race_condition",
    "error_details",
    "stored_password",
    "endless_session",
    "link_following",
    "decompression",
    "argument_injection",
    "unchecked_download",
    "fails_open",
    "loose_pattern",
    "format_string",
)
"""Spread over train, direction, tuning and held_out."""

HELD_OUT = (
    "deserialisation",
    "tls_verification",
    "xml_entities",
    "open_redirect",
    "debug_mode",
    "hard_coded_credentials",
    "eval_injection",
    "mass_assignment",
    "template_injection",
    "unsafe_reflection",
    "slow_pattern",
)
"""Wholly ``ood``: weaknesses that a static judge sees in plain code, and that share no CWE parent with the rest."""


def families() -> list[Family]:
    """Every family: first those that are trained on, then those held out as out-of-distribution."""
    return [import_module(f"{__name__}.{slug}").FAMILY for slug in TRAINING + HELD_OUT]
