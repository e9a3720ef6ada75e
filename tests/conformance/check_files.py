"""Run a script on many files in one process; run by the interpreter of the older packages.

usage: check_files.py CHECK.py [OPTION...] < files, one a line
Prints from file to exit code and, where that is not 0, what the script printed, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from typing import Any


def main() -> None:
    check, *options = sys.argv[1:]
    out: dict[str, Any] = {}
    for path in sys.stdin.read().splitlines():
        sys.argv = [check, *options, path]
        said = io.StringIO()
        code: Any = 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            try:
                runpy.run_path(check, run_name="__main__")
            except SystemExit as end:
                code = end.code
        out[path] = [code, said.getvalue() if code else ""]
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
