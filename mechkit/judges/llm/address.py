"""Where a service is and the key that opens it: checked, and kept out of everything that is written down."""

import ipaddress
import logging
import os
from urllib.parse import urlsplit

from pydantic import SecretStr

from mechkit.errors import MechkitError

KEY_VARIABLE = "OPENAI_API_KEY"
JUDGE = "The judge 'openai'"
DEFAULT_ADDRESS = "https://api.openai.com/v1"
NO_KEY = "none"
TALKING = ("openai._base_client", "httpx", "httpx2", "httpcore.http11", "httpcore2.http11")
"""Loggers that, at their most talkative, repeat what a service sends back."""
SHORTEST_SECRET = 8
"""Characters. Shorter keys are fillers for servers that want none, and are not looked for in answers."""


def address_of(base_url: str | None, who: str = JUDGE) -> str:
    """The address to ask: `base_url`, else the environment variable OPENAI_BASE_URL, else OpenAI's.

    who: whom an error names. Raises MechkitError for anything but http(s)://host[:port][/path]; query and fragment are
    dropped.
    """
    try:
        parts = urlsplit(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_ADDRESS)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise MechkitError(f"{who} needs a base_url like https://host/v1, without a user name in it.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_local(address: str) -> bool:
    """Whether an address is this machine's or on a private network."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def key_for(address: str) -> SecretStr:
    """The key from the environment variable OPENAI_API_KEY; "none" for a local address when it is not set.

    Raises MechkitError when another address has no key, or when the key cannot be sent or is part of the address.
    """
    key = key_in(KEY_VARIABLE, address)
    if not os.environ.get(KEY_VARIABLE, "").strip() and not is_local(address):
        raise MechkitError(
            f"{JUDGE} needs the environment variable {KEY_VARIABLE}, which is not set; "
            "set it, or use the judge 'static', which needs none."
        )
    return key


def key_in(variable: str, address: str) -> SecretStr:
    """The key that an environment variable holds; "none" where it is not set.

    Raises MechkitError when the key cannot be sent or is part of the address.
    """
    key = os.environ.get(variable, "").strip() or NO_KEY
    if not key.isascii() or not key.isprintable() or " " in key:
        raise MechkitError(f"The environment variable {variable} holds characters that no key has.")
    if len(key) >= SHORTEST_SECRET and key in address:
        raise MechkitError(f"The key belongs into the environment variable {variable} only, not into base_url.")
    return SecretStr(key)


def without_key(text: str, key: SecretStr) -> str:
    """The text with the key, if it is in it, replaced by "[key]"."""
    secret = key.get_secret_value()
    return text.replace(secret, "[key]") if len(secret) >= SHORTEST_SECRET else text


class _WithoutKeys(logging.Filter):
    keys: set[SecretStr]

    def __init__(self) -> None:
        super().__init__()
        self.keys = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        for key in self.keys:
            message = without_key(message, key)
        record.msg, record.args = message, ()
        return True


_FILTER = _WithoutKeys()


def keep_out_of_logs(key: SecretStr) -> None:
    """From now on what the client libraries log says "[key]" where a service's headers repeat the key."""
    _FILTER.keys.add(key)
    for name in TALKING:
        logging.getLogger(name).addFilter(_FILTER)
