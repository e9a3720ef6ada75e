"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("SID_SHARED", HERE.parent.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of files that others wrote, beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared files is not here")
    return SHARED


@pytest.fixture(scope="session")
def data() -> Path:
    """Small files that ship with the tests."""
    return HERE / "data"
