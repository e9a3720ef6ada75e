"""The lanes of CI. `nox -s tests` runs one; `.ci/run` runs all of them in fresh environments."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_external_run = True
HERE = Path(__file__).parent

# The oldest releases that pyproject.toml promises.
OLDEST = [
    "numpy==2.0.*",
    "scipy==1.13.*",
    "pandas==2.2.*",
    "xarray==2025.11.*",
    "dask[array]==2024.11.*",
    "h5py==3.12.*",
    "h5netcdf==1.4.*",
    "rich==13.7.*",
    "typer==0.15.*",
]


def _pip(session: nox.Session) -> None:
    # Dependency groups need pip 25.1, which a new environment of an older Python does not bring.
    session.install("--upgrade", "pip>=25.1")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, imports between storeys, docstrings."""
    _pip(session)
    session.install("-e", ".", "--group", "lint")
    session.run("ruff", "check", "src", "tests", "docs", "noxfile.py")
    session.run("ruff", "format", "--check", "src", "tests", "noxfile.py")
    session.run("lint-imports")
    session.run("pytest", "-q", "-p", "no:cacheprovider", "tests/house/lint_docstrings.py")


@nox.session
def types(session: nox.Session) -> None:
    """Types: strict on the lower floors."""
    _pip(session)
    session.install("-e", ".", "--group", "lint")
    session.run("mypy")


@nox.session
def readme(session: nox.Session) -> None:
    """The first command of the README, as a stranger types it."""
    session.install(".[all]")
    with tempfile.TemporaryDirectory() as folder:
        session.chdir(folder)
        session.run("sid", "demo")
        session.run("sid", "info", "sid-demo/bfo_iv_analysed.h5")
        for name in ("bfo_iv_analysed.h5", "slope.png", "spectral_image.html"):
            if not (Path(folder) / "sid-demo" / name).stat().st_size:
                session.error(f"{name} is empty")


@nox.session
def tests(session: nox.Session) -> None:
    """Everything, with the newest releases."""
    _pip(session)
    session.install("-e", ".[all]", "--group", "test")
    # Files of vendors: without their packages in the lane `minimum`, with them in `vendors`.
    vendors = "--ignore=tests/io/readers"
    session.run("pytest", "-n", "2", "--dist", "loadfile", "-m", "not peers", vendors, *session.posargs)
    session.run("pytest", "-q", "--nbmake", "notebooks", "-p", "no:cacheprovider")


@nox.session
def docs(session: nox.Session) -> None:
    """The code in the docs runs, and the docs build without a warning."""
    _pip(session)
    session.install("-e", ".[all]", "--group", "test", "--group", "docs")
    session.run("pytest", "-q", "docs", "-p", "no:cacheprovider")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session
def browser(session: nox.Session) -> None:
    """The app in a real browser; screenshots stay in .ci/screenshots."""
    _pip(session)
    session.install("-e", ".[viz]", "--group", "browser")
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        # From the distribution where we may install from there, else from playwright; without either the tests skip.
        if shutil.which("apt-get") and os.geteuid() == 0:
            session.run("apt-get", "update", "-q", external=True, silent=True, success_codes=range(256))
            install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium")
            session.run(*install, external=True, silent=True, success_codes=range(256))
        if not shutil.which("chromium"):
            session.run("playwright", "install", "chromium", silent=True, success_codes=range(256))
    session.run("pytest", "-q", "tests/browser", "-p", "no:cacheprovider", *session.posargs)


@nox.session
def minimum(session: nox.Session) -> None:
    """The oldest releases that are promised."""
    _pip(session)
    session.install("-e", ".", "pytest", "pytest-benchmark", "hypothesis", *OLDEST)
    # The HDF5 of then hangs and crashes on damaged files more often than that of now.
    unsuited = ("viz", "conformance", "browser", "io/test_fuzz.py")
    session.run("pytest", "-q", *(f"--ignore=tests/{part}" for part in unsuited))


@nox.session
def bare(session: nox.Session) -> None:
    """The base install, without any extra."""
    session.install(".", "pytest", "pytest-benchmark", "hypothesis")
    with tempfile.TemporaryDirectory() as folder:
        session.chdir(folder)
        session.run("sid", "demo")
        session.chdir(HERE)
    session.run("pytest", "-q", "tests/house", "tests/core", "tests/ops", "tests/schema")


@nox.session
def bridges(session: nox.Session) -> None:
    """The bridges, with the real sidpy and HyperSpy."""
    _pip(session)
    session.install("-e", ".", "sidpy==0.12.9", "hyperspy==2.5.0", "pytest", "pytest-benchmark", "hypothesis")
    session.run("pytest", "-q", "tests/io/test_interop.py")


@nox.session
def vendors(session: nox.Session) -> None:
    """Files of vendors, with every package that reads some of them."""
    _pip(session)
    session.install("-e", ".[spm,raman,ms,images,topography,em]", "--group", "test")
    session.run("pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/io/readers")


@nox.session
def peers(session: nox.Session) -> None:
    """The older packages, in an environment of their own, open what we write."""
    session.install("-r", "tests/conformance/peers.txt")
    theirs = Path(session.bin) / "python"
    ours = Path(session.create_tmp()) / "ours"
    session.run("python", "-m", "venv", str(ours))
    python = str(ours / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-U", "pip", external=True)
    session.run(python, "-m", "pip", "install", "-e", ".", "--group", "test", external=True)
    env = {**os.environ, "SID_PEERS_PYTHON": str(theirs.absolute())}
    session.run(python, "-m", "pytest", "-q", "tests/conformance", env=env, external=True)
