"""Readers of vendor files, one file each. A new one is a file with ``read`` and a row in `TABLE`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sid_xarray.io.readers.em_formats import SUFFIXES

__all__ = ["TABLE", "Reader"]


@dataclass(frozen=True)
class Reader:
    """A row of the table: what a reader is called, what it reads, how its files are told.

    Attributes
    ----------
    name : str
        What users type: ``sid.open(path, reader=name)``.
    title : str
        Program and kind of file, for people.
    reads : str or callable
        ``"module:function"``, imported when used, or the function: ``read(source, **options)`` gives `Signal` objects.
    suffixes : tuple of str
        Lower case. They decide only where the content does not.
    magic : tuple of bytes
        A file starts with one of these.
    sniffs : str or callable, optional
        ``sniff(head, path) -> bool``, where the first bytes are not enough; it gets up to 64 KiB.
    needs : str
        Package that must be installed, if it is an optional one.
    extra : str
        What to type to get it: ``pip install 'sid-xarray[extra]'``.
    lazy : bool
        Whether values are read when they are used.
    closes : str or callable, optional
        ``closes(path)`` lets go of what is kept open of a file; called when its tree is closed.
    """

    name: str
    title: str
    reads: str | Callable[..., Any]
    suffixes: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    sniffs: str | Callable[[bytes, str], bool] | None = None
    needs: str = ""
    extra: str = ""
    lazy: bool = True
    closes: str | Callable[[str], None] | None = None

    @property
    def place(self) -> str:
        """Where the function is, as text."""
        return self.reads if isinstance(self.reads, str) else f"{self.reads.__module__}:{self.reads.__name__}"

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def load(self) -> Callable[..., Any]:
        """Import the function that reads."""
        return _loaded(self.reads)

    def close(self, path: str) -> None:
        """Let go of what is kept open of a file."""
        if self.closes is not None:
            _loaded(self.closes)(path)

    def knows(self, head: bytes, path: str) -> bool:
        """Tell from the content whether a file is one of these; False where nothing in the content can tell."""
        if self.magic and not head.startswith(self.magic):
            return False
        if self.sniffs is not None:
            return bool(_loaded(self.sniffs)(head, path))
        return bool(self.magic)

    @property
    def is_blind(self) -> bool:
        """Whether nothing but the suffix tells its files."""
        return not self.magic and self.sniffs is None


def _loaded(what: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(what, str):
        return what
    module, _, name = what.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


_HERE = "sid_xarray.io.readers"

NANONIS_SXM = Reader(
    "nanonis_sxm", "Nanonis scan", f"{_HERE}.nanonis_sxm:read", (".sxm",), magic=(b":NANONIS_VERSION:",)
)
NANONIS_3DS = Reader(
    "nanonis_3ds", "Nanonis grid spectroscopy", f"{_HERE}.nanonis_3ds:read", (".3ds",), (b"Grid dim=",)
)
NANONIS_DAT = Reader(
    "nanonis_dat",
    "Nanonis spectroscopy",
    f"{_HERE}.nanonis_dat:read",
    (".dat",),
    sniffs=f"{_HERE}.nanonis_dat:sniff",
    lazy=False,
)

NANOSCOPE = Reader(
    "nanoscope",
    "Bruker, Veeco and Digital Instruments Nanoscope",
    f"{_HERE}.nanoscope:read",
    (".spm", ".di", *(f".{n:03d}" for n in range(10))),
    sniffs=f"{_HERE}.nanoscope:sniff",
)
GWY = Reader("gwy", "Gwyddion", f"{_HERE}.gwy:read", (".gwy",), magic=(b"GWYP", b"GWYO"))
GSF = Reader("gsf", "Gwyddion Simple Field", f"{_HERE}.gsf:read", (".gsf",), magic=(b"Gwyddion Simple Field",))
WSXM = Reader(
    "wsxm", "WSxM", f"{_HERE}.wsxm:read", (".top", ".tom", ".stp", ".curves"), magic=(b"WSxM file copyright",)
)
ANASYS = Reader(
    "anasys", "Anasys nanoIR", f"{_HERE}.anasys:read", (".axz", ".axd"), sniffs=f"{_HERE}.anasys:sniff", lazy=False
)
PIFM = Reader("pifm", "Molecular Vista PiFM, Anfatec", f"{_HERE}.pifm:read", (".txt",), sniffs=f"{_HERE}.pifm:sniff")
NTMDT = Reader("ntmdt", "NT-MDT Nova", f"{_HERE}.ntmdt:read", (".mdt",), magic=(b"\x01\xb0\x93\xff",))

IGOR = Reader(
    "igor",
    "Igor wave (Asylum, Omicron)",
    f"{_HERE}.igor:read",
    (".ibw", ".bwav"),
    sniffs=f"{_HERE}.igor:sniff",
    needs="igor2",
    extra="spm",
    lazy=False,
)
IGOR_PACKED = Reader(
    "igor_packed",
    "Igor packed experiment",
    f"{_HERE}.igor:read_packed",
    (".pxp", ".pxt"),
    sniffs=f"{_HERE}.igor:sniff_packed",
    needs="igor2",
    extra="spm",
    lazy=False,
)
RHK = Reader("rhk", "RHK", f"{_HERE}.rhk:read", (".sm4",), sniffs=f"{_HERE}.rhk:sniff", needs="spym", extra="spm")
JPK = Reader(
    "jpk",
    "JPK force curves",
    f"{_HERE}.jpk:read",
    (".jpk-force", ".jpk-force-map", ".jpk-qi-data"),
    sniffs=f"{_HERE}.jpk:sniff",
    needs="afmformats",
    extra="spm",
    lazy=False,
)
NANOSURF = Reader(
    "nanosurf",
    "Nanosurf",
    f"{_HERE}.nanosurf:read",
    (".nid",),
    sniffs=f"{_HERE}.nanosurf:sniff",
    needs="NSFopen",
    extra="spm",
    lazy=False,
)
TOPOGRAPHY = Reader(
    "topography",
    "Molecular Imaging, profilometers",
    f"{_HERE}.topography:read",
    (".mi", ".opd", ".opdx", ".al3d", ".x3p", ".plu", ".plux", ".frt", ".os3d", ".vk3", ".vk4", ".vk6", ".vk7",
     ".lext", ".sdf", ".zon", ".datx", ".mnt", ".nms", ".ezd", ".zmg", ".oir", ".poir"),
    needs="SurfaceTopography",
    extra="topography",
    lazy=False,
)  # fmt: skip

RENISHAW = Reader(
    "renishaw",
    "Renishaw WiRE",
    f"{_HERE}.renishaw:read",
    (".wdf",),
    magic=(b"WDF1",),
    needs="renishawWiRE",
    extra="raman",
)
SPC = Reader(
    "spc",
    "Galactic SPC",
    f"{_HERE}.spc:read",
    (".spc",),
    sniffs=f"{_HERE}.spc:sniff",
    needs="spc_io",
    extra="raman",
    lazy=False,
)
IMZML = Reader(
    "imzml",
    "imzML",
    f"{_HERE}.imzml:read",
    (".imzml",),
    sniffs=f"{_HERE}.imzml:sniff",
    needs="pyimzml",
    extra="ms",
)
MRC = Reader(
    "mrc",
    "MRC",
    f"{_HERE}.mrc:read",
    (".mrc", ".ccp4", ".map", ".ali", ".rec"),
    sniffs=f"{_HERE}.mrc:sniff",
    needs="mrcfile",
    extra="images",
)
TIFF = Reader(
    "tiff",
    "TIFF",
    f"{_HERE}.image:read_tiff",
    (".tif", ".tiff"),
    magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    needs="tifffile",
    extra="images",
)
IMAGE = Reader(
    "image",
    "PNG, JPEG and other pictures",
    f"{_HERE}.image:read",
    (".png", ".jpg", ".jpeg", ".bmp", ".gif"),
    magic=(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8"),
    needs="imageio",
    extra="images",
    lazy=False,
)
NPY = Reader("npy", "NumPy array", f"{_HERE}.plain:read_npy", (".npy",), magic=(b"\x93NUMPY",))
CSV = Reader("csv", "Table of numbers", f"{_HERE}.plain:read_csv", (".csv",), lazy=False)
ROSETTASCIIO = Reader(
    "rosettasciio",
    "Electron microscopes and spectrometers",
    f"{_HERE}.rosettasciio:read",
    SUFFIXES,
    sniffs=f"{_HERE}.em_formats:sniff",
    needs="rsciio",
    extra="em",
    closes=f"{_HERE}.rosettasciio:forget",
)

_ROWS = (
    NANONIS_SXM, NANONIS_3DS, NANONIS_DAT, NANOSCOPE, GWY, GSF, WSXM, ANASYS, PIFM, NTMDT,
    IGOR, IGOR_PACKED, RHK, JPK, NANOSURF, TOPOGRAPHY,
    RENISHAW, SPC, IMZML, MRC, TIFF, IMAGE, NPY, CSV, ROSETTASCIIO,
)  # fmt: skip
TABLE: dict[str, Reader] = {row.name: row for row in _ROWS}
