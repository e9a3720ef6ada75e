"""The main job on a real measurement: what ``sid demo`` runs, and what a user would type."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import sid_xarray as sid
from sid_xarray.schema.units import display

__all__ = ["run"]

FIELD = "$\\sqrt E$"
LOW_FIELD = (8500.0, 8800.0)
_STEPS = 6


def run(folder: Path, console: Console) -> dict[str, Any]:
    """Open, look, analyse, save with history, reopen.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of an earlier demo are replaced.
    console : rich.console.Console

    Returns
    -------
    dict
        What was found: ``signal``, ``background``, ``fit``, ``path``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bfo_iv_analysed.h5"
    bar = Progress(
        TextColumn("{task.description:<34}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        console=console, transient=False,
    )  # fmt: skip
    with bar:
        task = bar.add_task("opening a real file", total=_STEPS)

        def next_step(text: str) -> None:
            bar.update(task, advance=1, description=text)

        signal = sid.datasets.bfo_iv()
        next_step("removing the background")
        background = signal.sid.remove_background("offset", dim=FIELD, fit_range=LOW_FIELD)
        next_step(f"fitting {signal.sizes['x'] * signal.sizes['y']} curves")
        fit = background.signal.sid.fit("linear", dim=FIELD)
        next_step("saving with history")
        _save(signal, background, fit, path)
        next_step("opening again, to compare")
        _compare(fit, path)
        next_step("drawing")
        pictures = _draw(signal, fit, folder)
        bar.update(task, advance=1, description="done")
    _report(console, signal, fit, path, pictures)
    return {"signal": signal, "background": background, "fit": fit, "path": path}


def _save(signal: xr.DataArray, background: xr.Dataset, fit: xr.Dataset, path: Path) -> None:
    signal.sid.to_nsid(path, mode="w")
    background.sid.to_nsid(path, source=signal)
    fit.sid.to_nsid(path, source=signal)


def _compare(fit: xr.Dataset, path: Path) -> None:
    """What was saved is what is read: values, dtypes, units and history."""
    found = sid.open(path)["Measurement_000/Channel_000/IV_BFO-Fit_000"].to_dataset()
    xr.testing.assert_identical(found.load(), fit)
    if not found.slope.sid.provenance:
        raise AssertionError("the history was lost")


def _draw(signal: xr.DataArray, fit: xr.Dataset, folder: Path) -> list[Path]:
    if find_spec("holoviews") is None or find_spec("matplotlib") is None:
        return []
    picture, page = folder / "slope.png", folder / "spectral_image.html"
    sid.save(fit.slope, picture)
    sid.save(signal, page)
    return [picture, page]


def _report(console: Console, signal: xr.DataArray, fit: xr.Dataset, path: Path, pictures: list[Path]) -> None:
    good = fit.status == 0
    slope, error = fit.slope.where(good), fit.slope_stderr.where(good)
    steps = " → ".join(fit.slope.sid.provenance.operations)
    outliers = int((fit.rsquared < 0.5).sum())
    say = console.print
    say()
    say("[bold]What was measured[/]")
    say("  Current–voltage curves on a film of bismuth ferrite, by conductive atomic force microscopy:")
    measured, unit = escape(signal.attrs["long_name"]), escape(display(signal.attrs["units"]))
    say(f"  {measured} in {unit} over the square root of the electric field,")
    nx, ny, points = (signal.sizes[d] for d in ("x", "y", FIELD))
    say(f"  {nx} × {ny} curves of {points} points, a [cyan]{signal.sid.kind}[/].")
    say("[bold]What was found[/]")
    say(f"  The level at low field was removed, and a straight line fitted to each of {fit.status.size} curves.")
    say(
        f"  Slope: median {float(slope.median()):.3g} {escape(display(fit.slope.attrs['units']))}, 5 % to 95 %: "
        f"{float(slope.quantile(0.05)):.3g} to {float(slope.quantile(0.95)):.3g}; "
        f"standard error of one curve: {float(error.median()):.1g}."
    )
    say(f"  {int((~good).sum())} curves could not be fitted; {outliers} are no straight line (R² < 0.5).")
    say(f"  History of the slope: {steps} ([green]{fit.slope.sid.provenance.status}[/])")
    say("[bold]What was written[/]")
    say(f"  {escape(str(path))}  NSID: the data, the background and the fit, linked; read back and identical")
    for picture in pictures:
        what = "map of the slope" if picture.suffix == ".png" else "the data to look at in any browser"
        say(f"  {escape(str(picture))}  {what}")
    if not pictures:
        say("  no pictures: type pip install 'sid-xarray[viz]' for them")
    say("[bold]What to type next[/]")
    say(f"  sid info {escape(str(path))}")
    say("  python")
    say("  >>> import sid_xarray as sid")
    say(f'  >>> signal = sid.open_dataarray("{escape(str(path))}")')
    say("  >>> signal.sid                      # what it is")
    say("  >>> signal.sid.plot()               # look at it, in a notebook")
    say(f'  >>> tree = sid.open("{escape(str(path))}")')
    say('  >>> tree["Measurement_000/Channel_000/IV_BFO-Fit_000/slope"].sid.provenance')
