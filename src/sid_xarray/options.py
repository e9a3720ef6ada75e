"""Options of the library, few and documented."""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["OPTIONS", "set_options"]

OPTIONS: dict[str, Any] = {
    "progress": "auto",
    "machine_id": False,
    "record_provenance": True,
    "fit_engine": "auto",
}

_CHOICES: dict[str, tuple[Any, ...]] = {
    "progress": ("auto", True, False),
    "machine_id": (True, False),
    "record_provenance": (True, False),
    "fit_engine": ("auto", "numpy", "numba"),
}


class set_options:  # noqa: N801 - lower case as in xarray.set_options
    """Set options for good, or inside a ``with`` block.

    Parameters
    ----------
    progress : {"auto", True, False}
        Progress bars: ``"auto"`` shows them on a terminal and in notebooks for work longer than a second.
    machine_id : bool, default: False
        Write the host name into files, as pyNSID does. Off, since it tells strangers about your network.
    record_provenance : bool, default: True
        Stamp a provenance step for every verb.
    fit_engine : {"auto", "numpy", "numba"}
        What fits curves: ``"auto"`` takes numba where it is installed, the model has a formula, and there are a
        thousand curves or more.
    """

    def __init__(
        self,
        *,
        progress: bool | str | None = None,
        machine_id: bool | None = None,
        record_provenance: bool | None = None,
        fit_engine: str | None = None,
    ) -> None:
        given = {
            "progress": progress,
            "machine_id": machine_id,
            "record_provenance": record_provenance,
            "fit_engine": fit_engine,
        }
        options = {name: value for name, value in given.items() if value is not None}
        for name, value in options.items():
            if not any(value is c or (isinstance(value, str) and value == c) for c in _CHOICES[name]):
                raise ValueError(f"option {name!r} is one of {_CHOICES[name]}, got {value!r}")
        self._old = {name: OPTIONS[name] for name in options}
        OPTIONS.update(options)

    def __enter__(self) -> set_options:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        OPTIONS.update(self._old)
