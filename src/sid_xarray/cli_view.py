"""``sid view``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from sid_xarray.errors import SidError

__all__ = ["run"]


def run(
    files: Sequence[Path],
    console: Console,
    *,
    signal: str | None,
    port: int,
    show: bool,
    origins: Sequence[str] | None,
    export: Path | None,
) -> None:
    """Serve a page for every file, or write one."""
    import sid_xarray as sid
    from sid_xarray.viz.dashboard import serve

    trees = [sid.open(file) for file in files]  # what cannot be opened is said before there is a server
    if export is not None:
        if len(files) > 1:
            raise ValueError(f"a page holds one file, got {len(files)}")
        found = trees[0].sid.signals
        key = signal or max(found, key=lambda k: (found[k].ndim, found[k].size))
        console.print(f"wrote [bold]{escape(sid.open_dataarray(files[0], key).sid.explore().save(export))}[/]")
        return
    for tree in trees:
        tree.close()

    def say(port: int) -> None:
        console.print(
            f"http://localhost:{port}/  (from another machine: ssh -L {port}:localhost:{port} …)  stop: Ctrl-C"
        )

    pages = {_slug(file, i): _page(file, signal) for i, file in enumerate(files)}
    serve(pages, port=port, show=show, origins=tuple(origins or ()), started=say)


def _slug(file: Path, i: int) -> str:
    word = "".join(c if c.isalnum() or c in "-_" else "-" for c in file.stem)
    return f"{i + 1}-{word}"


def _page(file: Path, signal: str | None) -> Callable[[], Any]:
    def make() -> Any:
        import panel as pn

        import sid_xarray as sid

        tree = sid.open(file)  # one for every visitor, closed when he leaves
        pn.state.on_session_destroyed(lambda _: tree.close())
        try:
            return pn.Column(pn.pane.Markdown(f"### {file.name}"), sid.dashboard(tree, signal=signal))
        except SidError:
            tree.close()
            raise

    return make
