"""Generated functions: written to a folder of the user, compiled once, found on disk by the next process."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba

from sid_xarray.kernels.compiled.gram import write_gram, write_propose
from sid_xarray.version import __version__

__all__ = ["cache_folder", "load_gram", "load_model", "load_propose"]

_LOCK = threading.Lock()
_HEAD = '''"""Written by sid_xarray {version} for its own use. Safe to delete."""

import math

import numpy as np
from numba import njit

from sid_xarray.kernels.compiled import maths
from sid_xarray.kernels.compiled.signatures import COMPILED, GRAM, MODEL, PROPOSE


@njit([{signature}], fastmath=maths.FAST, **COMPILED)
'''


def cache_folder() -> Path:
    """Return where generated functions lie: ``SID_CACHE_DIR``, else the folder for caches of the user."""
    given = os.environ.get("SID_CACHE_DIR")
    if given:
        return Path(given) / "kernels"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sid-xarray" / "kernels"


def load_model(source: str) -> Any:
    """Return the compiled function of a formula, from the source that `sid_xarray.models.formula` writes."""
    with _LOCK:  # two threads that ask at once compile once
        return _load("model", source)


def load_gram(q: int) -> Any:
    """Return the compiled normal equations of q parameters."""
    with _LOCK:
        return _load("gram", _gram(q))


def load_propose(q: int) -> Any:
    """Return the compiled step of q parameters."""
    with _LOCK:
        return _load("propose", _propose(q))


# To write them takes longer than to fit a curve.
_gram, _propose = lru_cache(maxsize=64)(write_gram), lru_cache(maxsize=64)(write_propose)


@lru_cache(maxsize=256)
def _load(name: str, source: str) -> Any:
    text = _HEAD.format(version=__version__, signature=name.upper()) + source
    # The functions that it calls are compiled into it, so that they are part of its name.
    inside = text + _text_of("maths") + _text_of("signatures") + numba.__version__
    stem = f"{name}_{hashlib.sha256(inside.encode()).hexdigest()[:20]}"
    for folder in (cache_folder, _private_folder):
        try:
            path = _written(folder() / f"{stem}.py", text)
        except OSError:
            continue
        return getattr(_imported(path, stem), name)
    raise OSError("there is no folder to write compiled functions to. Set SID_CACHE_DIR to one.")


def _text_of(module: str) -> str:
    return Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sid-xarray-"))


def _written(path: Path, text: str) -> Path:
    """Return the path of a file with this text. What lies there already is used only if it is the same."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if path.read_text(encoding="utf-8") == text:
            return path
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
    return path


def _imported(path: Path, stem: str) -> ModuleType:
    name = f"_sid_xarray_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
