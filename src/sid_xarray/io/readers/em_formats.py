"""Which plug-in of rosettasciio a file wants, told from its first bytes, its structure or its suffix. No library."""

from __future__ import annotations

import os

__all__ = ["PLUGINS", "SUFFIXES", "plugin_of", "sniff"]

# Plug-in and the suffixes of its files. A file of which neither magic nor structure is known is told by these.
PLUGINS: dict[str, tuple[str, ...]] = {
    "digitalmicrograph": (".dm3", ".dm4"),
    "tia": (".ser", ".emi"),
    "bruker": (".bcf", ".spx"),
    "blockfile": (".blo",),
    "quantumdetector": (".mib",),
    "tvips": (".tvips",),
    "digitalsurf": (".sur", ".pro"),
    "renishaw": (".wdf",),
    "mrc": (".mrc", ".ali", ".rec"),
    "mrcz": (".mrcz",),
    "emd": (".emd", ".de5"),
    "hspy": (".hspy",),
    "zspy": (".zspy",),
    "nexus": (".nxs",),
    "topspin": (".app5",),
    "dens": (".dens",),
    "edax": (".spd", ".lsd"),
    "pantarhei": (".prz",),
    "quadstar": (".sac", ".sbc"),
    "trivista": (".tvf",),
    "jeol": (".asw", ".pts", ".eds"),
    "msa": (".msa", ".ems", ".emsa"),
    "phenom": (".elid",),
    "semper": (".unf",),
    "ripple": (".rpl",),
    "hamamatsu": (".img",),
    "empad": (),
    "jobinyvon": (),
}
SUFFIXES = tuple(suffix for found in PLUGINS.values() for suffix in found)
_MAGIC = {
    b"AAMVHFSS": "bruker",
    b"WDF1": "renishaw",
    b"DIGITAL SURF": "digitalsurf",
    b"DSCOMPRESSED": "digitalsurf",
    b"II\x97\x01": "tia",
    b"#FORMAT      : EMSA": "msa",
}
_HDF5 = b"\x89HDF\r\n\x1a\n"


def plugin_of(head: bytes, path: str) -> str | None:
    """Return the name of the plug-in for a file, or None.

    Parameters
    ----------
    head : bytes
        Up to 64 KiB from its start.
    path : str
    """
    suffix = os.path.splitext(path)[1].lower()
    if head.startswith(_HDF5):
        return _of_hdf5(path, suffix)
    for magic, plugin in _MAGIC.items():
        if head.startswith(magic):
            return plugin
    if head[:4] in (b"\0\0\0\x03", b"\0\0\0\x04") and suffix in (".dm3", ".dm4", ""):
        return "digitalmicrograph"
    if suffix == ".xml":
        text = head[:8192]
        return "jobinyvon" if b"<LSX_Data" in text else "empad" if b"<raw_file" in text else None
    if suffix in (".dm3", ".dm4", ".bcf", ".wdf", ".sur", ".ser", ".emd", ".hspy", ".nxs", ".app5", ".dens"):
        return None  # these have a beginning of their own
    return next((plugin for plugin, known in PLUGINS.items() if suffix in known), None)


def _of_hdf5(path: str, suffix: str) -> str | None:
    import h5py

    named = {".emd": "emd", ".hspy": "hspy", ".nxs": "nexus", ".app5": "topspin", ".dens": "dens", ".de5": "emd"}
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            if file.attrs.get("file_format") in ("HyperSpy", b"HyperSpy") or "Experiments" in file:
                return "hspy"
            # NeXus says nothing of its own: NSID files have its marks, too.
            if "version_major" in file.attrs or "Version" in file or ("version" in file and "Data" in file):
                return "emd"
    except Exception:  # noqa: BLE001 - a damaged file raises anything here; the reader says what is wrong with it
        return named.get(suffix)
    return named.get(suffix)


def sniff(head: bytes, path: str) -> bool:
    """Tell whether rosettasciio has a plug-in for a file."""
    return plugin_of(head, path) is not None
