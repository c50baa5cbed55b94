"""Settings that a command line gives as text, read by the annotation of the parameter that takes them."""

import inspect
from collections.abc import Callable
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from mechkit.errors import MechkitError


def typed(owner: str, key: str, text: str, annotation: Any) -> Any:
    """The value of a setting: the text itself where the parameter has no annotation or takes texts, else as the type says.

    owner: whose setting it is, as an error says it ("judge 'openai'"). Raises MechkitError for a text that is not of the type.
    """
    if annotation is inspect.Parameter.empty:
        return text
    if text.lower() == "none" and type(None) in get_args(annotation):
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    attempts: list[Callable[[str], Any]] = [adapter.validate_strings, adapter.validate_json]
    for attempt in attempts:
        try:
            return attempt(text)
        except ValidationError:
            continue
    wanted = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    raise MechkitError(f"The setting {key!r} of the {owner} has to be {wanted}, found {text!r}.")
