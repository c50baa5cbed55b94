"""The user's cache folder: MECHKIT_CACHE, else XDG_CACHE_HOME/mechkit, else ~/.cache/mechkit."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder, created where it is missing."""
    named = os.environ.get("MECHKIT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(named).expanduser() if named else Path(base) / "mechkit"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
