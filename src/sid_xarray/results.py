"""What was made of an array already: results that lie beside it in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import xarray as xr

from sid_xarray.api import open as open_tree
from sid_xarray.core.history import Step
from sid_xarray.core.history import read as read_history
from sid_xarray.core.metadata import from_plain, to_plain
from sid_xarray.errors import FormatError, RegistryError, nearest
from sid_xarray.ops import TABLE as VERBS

__all__ = ["Result", "Results", "recorded", "results"]


@dataclass(frozen=True)
class Result:
    """One result in a file.

    Attributes
    ----------
    path : str
        Path of its node in the tree of `open`.
    source : str
        HDF5 path of what it was made of; empty if the file does not say.
    step : Step or None
        The last step of its history; None where another program wrote it.
    dataset : Dataset
        Lazy.
    """

    path: str
    source: str
    step: Step | None
    dataset: xr.Dataset

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the last step."""
        return {} if self.step is None else {k: from_plain(v) for k, v in self.step.params.items()}

    def __repr__(self) -> str:
        if self.step is None:
            return f"{self.path}  (of another program)  {', '.join(map(str, self.dataset.data_vars))}"
        said = ", ".join(f"{k}={v!r}" for k, v in self.parameters.items())
        return f"{self.path}  {self.step.name}({said})  {self.step.time}"


def _listed(plain: Any) -> Any:
    """Return plain data with lists for tuples: (3, 7) and [3, 7] say the same."""
    if isinstance(plain, dict):
        if plain.get("~") == "tuple":
            return _listed(plain.get("v"))
        return {k: _listed(v) for k, v in plain.items()}
    return [_listed(v) for v in plain] if isinstance(plain, list) else plain


class Results(tuple[Result, ...]):
    """Results, in the order of the file; the repr lists them."""

    __slots__ = ()

    def find(self, verb: str, **params: Any) -> xr.Dataset | None:
        """Return the newest result of a verb with these parameters, or None: then compute it.

        Parameters
        ----------
        verb : str
            Such as ``"fit"``.
        **params
            Parameters that must be equal; those not named do not matter.

        Returns
        -------
        Dataset or None
            Lazy.

        Raises
        ------
        RegistryError
            If there is no such verb: a slip of the pen must not mean to compute again.
        """
        known = {r.step.name for r in self if r.step is not None} | set(VERBS)
        if verb not in known:
            raise RegistryError(f"no verb {verb!r}.{nearest(verb, known)}")
        wanted = {k: _listed(to_plain(v)) for k, v in params.items()}
        fitting = [
            r
            for r in self
            if r.step is not None
            and r.step.name == verb
            and all(_listed(to_plain(from_plain(r.step.params.get(k)))) == v for k, v in wanted.items())
        ]
        return max(fitting, key=lambda r: (r.step.time if r.step else "", r.path)).dataset if fitting else None

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "no results"


def results(source: xr.DataArray | str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Results:
    """List what was made of an array and saved beside it.

    Parameters
    ----------
    source : DataArray or str
        The array; or a file, for all results in it.
    path : str, optional
        File to look into; the one that the array was opened from by default.

    Returns
    -------
    Results
        ``results(da).find("fit", model="gaussian + constant")`` is the earlier result, or None.

    Raises
    ------
    FormatError
        If the array is of no file and none is named.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> da = sid.datasets.peak_map()
    >>> da.sid.to_nsid("map.h5", mode="w")
    '/Measurement_000/Channel_000/intensity'
    >>> da.sid.fit("gaussian + constant").sid.to_nsid("map.h5", source=da)
    '/Measurement_000/Channel_000/intensity-Fit_000'
    >>> sid.results(da, "map.h5").find("fit", model="gaussian + constant").sizes["x"]
    8
    """
    if not isinstance(source, xr.DataArray):
        return Results(_all(source))
    place = path if path is not None else source.encoding.get("source")
    if place is None:
        raise FormatError(
            "", "", f"{source.name!r} was opened from no file. Say where to look: sid.results(da, 'file.h5')"
        )
    heads = set(read_history(source.attrs).heads)
    here = source.encoding.get("sid_h5path") if path is None else None
    return Results(r for r in _all(place) if (here is not None and r.source == here) or _made_of(r, heads))


def _all(path: str | os.PathLike[str]) -> list[Result]:
    found: list[Result] = []
    for node in open_tree(path).subtree:
        origin = node.encoding.get("sid_source")
        if origin is None or not node.data_vars:
            continue
        ds = node.to_dataset()
        history = read_history(next(iter(ds.data_vars.values())).attrs)
        step = history.steps[history.heads[0]] if history.heads else None
        found.append(Result(node.path, str(origin), None if step is None or step.is_root else step, ds))
    return found


def _made_of(result: Result, heads: set[str]) -> bool:
    if result.step is None:
        return False
    return any(heads & set(read_history(da.attrs).steps) for da in result.dataset.data_vars.values())


def recorded(path: str | os.PathLike[str], signal: str | None = None) -> xr.DataArray | xr.Dataset:
    """Open what a file holds that was made by recorded steps: the result that can be replayed.

    Parameters
    ----------
    path : str
    signal : str, optional
        Path of an array or of a group, or its name. Needed if there are several results.

    Returns
    -------
    DataArray or Dataset
        Lazy; a group with one array is this array.

    Raises
    ------
    FormatError
        If there is no such result, or several.
    """
    found: dict[str, xr.DataArray | xr.Dataset] = {}
    for node in open_tree(path).subtree:
        ds = node.to_dataset()
        made = [name for name, da in ds.data_vars.items() if _is_made(da)]
        if not made:
            continue
        found[node.path] = ds[made] if len(ds.data_vars) > 1 else ds[made[0]]
        if signal is not None and len(made) > 1:
            found |= {f"{node.path.rstrip('/')}/{name}": ds[name] for name in made}
    if signal is not None:
        wanted = signal.strip("/")
        fitting = [k for k in found if wanted in (k.strip("/"), k.rpartition("/")[2])]
    else:
        fitting = list(found)
    if len(fitting) == 1:
        return found[fitting[0]]
    if not found:
        raise FormatError(path, "", "holds nothing that recorded steps made: only raw data, or of other programs")
    listed = "\n".join(f"  {k}" for k in fitting or found)
    asked = f"{len(fitting) or 'no'} results {signal!r}" if signal is not None else f"{len(found)} results"
    raise FormatError(
        path, "", f"holds {asked}. Name one: signal={(fitting or list(found))[-1]!r}. There are\n{listed}"
    )


def _is_made(da: xr.DataArray) -> bool:
    found = read_history(da.attrs)
    return bool(found.heads) and not found.steps[found.heads[0]].is_root
