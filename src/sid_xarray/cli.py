"""The command ``sid``."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from sid_xarray.errors import DimensionError, ProvenanceError, SidError, SidWarning
from sid_xarray.schema.units import display

__all__ = ["app", "main"]

app = typer.Typer(
    name="sid",
    help="Spectroscopy and imaging data of microscopes: look into files, convert them, see an example at work.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        from sid_xarray.version import __version__

        Console().print(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def info(file: Annotated[Path, typer.Argument(help="A file that sid can open.", show_default=False)]) -> None:
    """Print what is in a file: signals, dimensions, units, history. No values are read."""
    import sid_xarray as sid

    console = Console() if sys.stdout.isatty() else Console(width=160)
    tree = sid.open(file)
    console.print(_tree(file, tree))
    if "sid_problems" in tree.attrs:
        console.print(f"[yellow]Could not be read:[/]\n{escape(str(tree.attrs['sid_problems']))}")
    tree.close()


def _tree(file: Path, tree: Any) -> Tree:
    size = os.path.getsize(file)
    root = Tree(f"[bold]{escape(str(file))}[/]  {size / 1e6:.3g} MB")
    branches = {"/": root}
    for node in tree.subtree:
        if node.path == "/":
            for line in _group(node.to_dataset()) if node.data_vars else ():
                root.add(line)
            continue
        parent = branches[node.parent.path]
        source = node.encoding.get("sid_source")
        made = f"  [dim]made of {escape(str(source))}[/]" if source else ""
        branch = parent.add(f"[bold]{escape(node.name)}[/]{made}")
        branches[node.path] = branch
        if node.data_vars:
            for line in _group(node.to_dataset()):
                branch.add(line)
    return root


def _group(ds: Any) -> list[str]:
    """Dimensions once, then one line a variable; a history that all share once, at the end."""
    types = ds.sid.dimension_types
    lines = [f"{escape(str(d))}: {ds.sizes[d]} points, {types[d]}, {escape(_span(ds, d))}" for d in types]
    paths = {key: " → ".join(da.sid.provenance.operations) for key, da in ds.data_vars.items()}
    for key, da in ds.data_vars.items():
        lines.append(_signal(da) + (f"  [dim]{escape(paths[key])}[/]" if len(set(paths.values())) > 1 else ""))
    shared = next(iter(paths.values()), "")
    if len(set(paths.values())) == 1 and "→" in shared:
        lines.append(f"[dim]history: {escape(shared)}[/]")
    return lines


def _signal(da: Any) -> str:
    quantity = escape(str(da.attrs.get("long_name", "")))
    units = escape(display(str(da.attrs.get("units", "1"))))
    said = f"{quantity} in {units}" if quantity and units else quantity or (f"in {units}" if units else "")
    return f"[cyan]{escape(str(da.name))}[/]  {da.sid.kind}, {da.dtype}  {said}"


def _span(da: Any, dim: Any) -> str:
    if dim not in da.coords or da.sizes[dim] == 0:
        return "uncalibrated"
    first, last = da[dim].values[0], da[dim].values[-1]
    units = display(str(da[dim].attrs.get("units", "1")))
    numeric = da[dim].dtype.kind in "iuf"
    span = f"{first:.4g} … {last:.4g}" if numeric else f"{first} … {last}"
    return f"{span} {units}".rstrip()


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A file that sid can open.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="The NSID file to write, such as out.h5.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the target if it exists.")] = False,
) -> None:
    """Write everything in a file to a new NSID file: values, units, metadata, history."""
    import sid_xarray as sid

    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists. Take another name, or replace it: --overwrite")
    tree = sid.open(source, chunks="auto")
    tree.sid.to_nsid(target, mode="w" if overwrite else "x")
    n = len(sid.ls(target))
    Console().print(f"wrote {n} signal{'s' if n != 1 else ''} to [bold]{escape(str(target))}[/]", soft_wrap=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An NSID or USID file.", show_default=False)],
) -> None:
    """Say what does not hold in a file, and what the older readers do with it. Exit: 0 fine, 1 errors, 2 unreadable."""
    from sid_xarray.io.validate import run

    # In a process of its own, since a damaged file can bring HDF5 down.
    report, code = run(file, isolated=True)
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    console = Console(soft_wrap=True)
    for f in report:
        console.print(f"[{colours[f.level]}]{f.level}:[/] {escape(f.where)}: {escape(f.text)}")
    if not report:
        console.print("all is well")
    raise typer.Exit(code)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A file with a result and its history.", show_default=False)],
    raw: Annotated[
        list[str],
        typer.Argument(
            help="The file to do it again on; several as name=file. Behind :: stands the signal, new.h5::IV.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The NSID file to write.", show_default=False)],
    signal: Annotated[str | None, typer.Option("--signal", help="Which result, if FILE has several.")] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename", help="A dimension of the new data has another name: new=recorded.", show_default=False
        ),
    ] = None,
    lazy: Annotated[bool, typer.Option("--lazy", help="Block by block, for data larger than memory.")] = False,
    any_version: Annotated[bool, typer.Option("--any-version", help="Take other versions of verbs.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Do the analysis in FILE again on other raw data, step by step, and write the result."""
    from sid_xarray.core.replay.plan import make_plan
    from sid_xarray.core.replay.roots import assign
    from sid_xarray.core.replay.run import replay as again
    from sid_xarray.core.replay.script import statements
    from sid_xarray.results import recorded

    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists. Take another name, or replace it: --overwrite")
    console = Console(soft_wrap=True)
    view = recorded(file, signal).sid.provenance
    plan = make_plan(view, any_version=any_version)
    several = len(raw) > 1 or ("=" in raw[0] and not Path(raw[0].partition("::")[0]).exists())
    named = dict(word.partition("=")[::2] for word in raw) if several else {}
    arrays = assign(plan, None if named else raw[0], named, None)
    lines = statements(plan)
    for key, da in arrays.items():
        console.print(f"[bold]{escape(plan.names[key])}[/]  {escape(str(dict(da.sizes)))}  {da.dtype}")
    dims = dict(word.partition("=")[::2] for word in rename or ())
    given = {key: _renamed(da.chunk("auto") if lazy else da, dims) for key, da in arrays.items()}
    try:
        result = again(
            view,
            given,
            any_version=any_version,
            progress=lambda call: console.print(f"{call.number:>3}. {escape(lines[call.number])}"),
        )
    except (SidError, OSError, ValueError) as error:
        if isinstance(error, DimensionError):
            error.add_note("If a dimension only has another name here: --rename here=recorded")
        raise
    except Exception as error:  # of a function of the user, or of xarray on arguments that were edited by hand
        said = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        raise ProvenanceError(said) from error
    source = next(iter(arrays.values())) if len(arrays) == 1 else None
    place = result.sid.to_nsid(out, mode="w" if overwrite else "x", source=source)
    console.print(f"wrote [bold]{escape(str(out))}[/] {escape(place)}")


def _renamed(da: Any, dims: dict[str, str]) -> Any:
    here = {old: new for old, new in dims.items() if old in da.dims}
    return da.sid.trace(lambda d: d.rename(here)) if here else da


@app.command()
def history(
    file: Annotated[Path, typer.Argument(help="A file that sid can open.", show_default=False)],
    signal: Annotated[str | None, typer.Option("--signal", help="Only this array, or this group.")] = None,
    plain: Annotated[bool, typer.Option("--json", help="All that is recorded, as JSON.")] = False,
    prov: Annotated[bool, typer.Option("--prov", help="As W3C PROV-JSON.")] = False,
) -> None:
    """Print how the arrays in a file were made, step by step. No values are read."""
    from sid_xarray import cli_history as show

    arrays = show.chosen(file, signal)
    if plain or prov:
        sys.stdout.write((show.as_prov(arrays) if prov else show.as_json(arrays)) + "\n")
        return
    console = Console(soft_wrap=True) if sys.stdout.isatty() else Console(width=400)
    console.print(show.as_tree(file, arrays))
    console.print("[dim]Are the values what the last step produced? sid verify FILE reads them.[/]")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An NSID or USID file.", show_default=False)],
    raw: Annotated[
        list[Path] | None, typer.Option("--raw", help="The raw file, or the folder where it lies; may be repeated.")
    ] = None,
) -> None:
    """Say whether a file holds what was saved, and the raw data are the same. Exit: 0 yes, 1 no, 2 unreadable."""
    from sid_xarray.cli_history import report
    from sid_xarray.verify import verify as look

    try:
        checks = look(file, raw=raw or ())
    except (SidError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from None
    raise typer.Exit(report(Console(soft_wrap=True), checks))


@app.command()
def view(
    files: Annotated[list[Path], typer.Argument(help="Files that sid can open.", show_default=False)],
    signal: Annotated[str | None, typer.Option("--signal", help="Which signal is shown first.")] = None,
    port: Annotated[int, typer.Option("--port", help="Serve on this port; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only serve.")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", help="Under which address a browser comes, if not localhost:PORT.", show_default=False
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write an HTML page that needs no Python, and stop.")
    ] = None,
) -> None:
    """Look at files in the browser: maps, spectra, patterns, linked; metadata and history."""
    from sid_xarray.cli_view import run

    run(files, Console(soft_wrap=True), signal=signal, port=port, show=not no_browser, origins=origin, export=export)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the results.")] = Path("sid-demo"),
) -> None:
    """Analyse a real measurement from file to figure, and say what was done."""
    from sid_xarray.demo import run

    run(folder, Console(soft_wrap=True))


def main() -> None:
    """Run the command line; what goes wrong is one line, not a traceback."""
    warnings.showwarning = _warn
    try:
        app()
    except (SidError, OSError, ValueError) as error:
        if os.environ.get("SID_DEBUG"):
            raise
        said = "\n".join([str(error), *getattr(error, "__notes__", ())])
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(said)}")
        sys.exit(1)


def _warn(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, SidWarning):
        Console(stderr=True, soft_wrap=True).print(f"[yellow]note:[/] {escape(str(message))}")
