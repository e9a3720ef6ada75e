"""Links that lead to nothing that can be opened."""

from __future__ import annotations

import h5py

from sid_xarray.io import _h5

__all__ = ["DAMAGED", "broken", "damaged"]

DAMAGED = "cannot be opened"
"""How the reason begins where the file is damaged; other links lead out of it, or nowhere."""


def broken(group: h5py.Group) -> dict[str, str]:
    """Return the links of a group that lead to nothing that can be opened, and why.

    Parameters
    ----------
    group : h5py.Group
    """
    out: dict[str, str] = {}
    try:
        names = _h5.unopened(group)
        if not names and next(_h5.members(group), None) is None:
            list(group)  # a damaged group looks empty
    except Exception:  # noqa: BLE001 - a damaged group cannot even be listed; h5py raises anything
        return {"": f"{DAMAGED}: the list of its members is damaged"}
    for name in names:
        try:
            link = group.get(name, getlink=True)
            target = getattr(link, "path", "")
            if isinstance(link, h5py.ExternalLink):
                out[name] = f"leads out of the file, to {target} of {link.filename}"
            elif isinstance(link, h5py.SoftLink):
                out[name] = f"leads to {target}, where nothing is"
            else:
                found = group.get(name, getclass=True)
                if found is not h5py.Datatype:  # a committed datatype hurts nobody
                    out[name] = DAMAGED
        except Exception as error:  # noqa: BLE001 - see above
            out[name] = f"{DAMAGED}: {_reason(error)}"
    return out


def damaged(file: h5py.File) -> list[str]:
    """Return what cannot be opened in a file, with its path; nothing is read."""
    found: list[str] = []
    for path, group, _ in _h5.walk(file["/"]):
        here = broken(group).items()
        found += [
            f"{path.rstrip('/')}/{name}".rstrip("/") + f": {why}" for name, why in here if why.startswith(DAMAGED)
        ]
    return found


def _reason(error: BaseException) -> str:
    """Return the reason that HDF5 gives in brackets; what it says before tells of its own insides."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    inner = text.rpartition("(")[2].rpartition(")")[0]
    return inner or text
