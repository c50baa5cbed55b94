"""Docstrings as Markdown: examples become blocks of code, and brackets in them no links."""

import re
from typing import Any

from griffe import Extension

EXAMPLE = re.compile(r"(?:^ *>>> .*\n?)(?:^(?! *$).*\n?)*", re.M)


class Examples(Extension):
    """Puts fences around every example of a docstring."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
