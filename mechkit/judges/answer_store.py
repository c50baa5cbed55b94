"""Keeps a judge's answers on disk, one small JSON file for each question, so that no question is paid for twice."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mechkit.errors import DataError
from mechkit.storage import flush


def question_key(**parts: Any) -> str:
    """SHA-256 over everything that decides an answer, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class AnswerStore:
    """A folder of answers; without a folder it holds nothing."""

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = Path(folder) if folder is not None else None

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`; None when nothing was, or when the file is damaged or belongs to another key."""
        if self.folder is None:
            return None
        try:
            held = json.loads(self._path(self.folder, key).read_text(encoding="utf-8"))
            answer = held["answer"]
            return answer if held["sha256"] == question_key(key=key, answer=answer) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer. The file appears whole or not at all, also when several processes write it.

        Raises DataError when it cannot be written, so that no more answers are paid for that cannot be kept.
        """
        if self.folder is None:
            return
        path = self._path(self.folder, key)
        text = json.dumps({"answer": answer, "sha256": question_key(key=key, answer=answer)})
        partial = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            flush(Path(partial))
            os.replace(partial, path)
        except OSError as error:
            if partial is not None:
                Path(partial).unlink(missing_ok=True)
            raise DataError(f"Answers cannot be kept in {self.folder}: {error.strerror}.") from error

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.json"
