"""Keeps a judge's answers on disk, one small JSON file for each question, so that no question is paid for twice."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def question_key(**parts: Any) -> str:
    """SHA-256 over everything that decides an answer, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class AnswerStore:
    """A folder of answers; without a folder it holds nothing."""

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = Path(folder) if folder is not None else None

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`; None when nothing was, or when the file is damaged."""
        if self.folder is None:
            return None
        try:
            held = json.loads(self._path(self.folder, key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held if isinstance(held, dict) else None

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer. The file appears whole or not at all, also when several processes write it."""
        if self.folder is None:
            return
        path = self._path(self.folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os.replace(name, path)

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.json"
