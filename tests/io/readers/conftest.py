"""Files of vendors: tiny ones that are written here, real ones of the shared folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # reader_files, reader_truth, reader_mutants
