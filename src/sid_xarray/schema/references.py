"""What methods and packages are cited as, each once: verbs and models name a key, documents show the text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SOFTWARE", "TABLE", "Reference", "reference"]


@dataclass(frozen=True)
class Reference:
    """A publication.

    Attributes
    ----------
    authors, title, source : str
        ``source`` is journal, volume and page, or the publisher.
    year : int or None
    doi : str
        Without ``https://doi.org/``; empty if it has none.
    """

    authors: str
    title: str
    source: str
    year: int | None
    doi: str = ""

    @property
    def url(self) -> str:
        """Where it is found; empty if that is not known."""
        return f"https://doi.org/{self.doi}" if self.doi else ""

    def __str__(self) -> str:
        year = f"({self.year})" if self.year else ""
        said = ", ".join(part for part in (self.authors, self.title, f"{self.source} {year}".strip()) if part)
        link = self.url or ""
        return f"{said}. {link}".strip() if said else link


TABLE: dict[str, Reference] = {
    "levy1959": Reference(
        "E. C. Levy",
        "Complex-Curve Fitting",
        "IRE Transactions on Automatic Control AC-4, 37",
        1959,
        "10.1109/TAC.1959.6429401",
    ),
    "sanathanan1963": Reference(
        "C. K. Sanathanan, J. Koerner",
        "Transfer function synthesis as a ratio of two complex polynomials",
        "IEEE Transactions on Automatic Control 8, 56",
        1963,
        "10.1109/TAC.1963.1105517",
    ),
    "jesse2006": Reference(
        "S. Jesse, H. N. Lee, S. V. Kalinin",
        "Quantitative mapping of switching behavior in piezoresponse force microscopy",
        "Review of Scientific Instruments 77, 073702",
        2006,
        "10.1063/1.2214699",
    ),
    "gasior2004": Reference(
        "M. Gasior, J. L. Gonzalez",
        "Improving FFT Frequency Measurement Resolution by Parabolic and Gaussian Spectrum Interpolation",
        "AIP Conference Proceedings 732, 276",
        2004,
        "10.1063/1.1831158",
    ),
    "huber1964": Reference(
        "P. J. Huber",
        "Robust Estimation of a Location Parameter",
        "The Annals of Mathematical Statistics 35, 73",
        1964,
        "10.1214/aoms/1177703732",
    ),
    "breit1936": Reference(
        "G. Breit, E. Wigner", "Capture of Slow Neutrons", "Physical Review 49, 519", 1936, "10.1103/PhysRev.49.519"
    ),
    "cichocki2009": Reference(
        "A. Cichocki, A.-H. Phan",
        "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor Factorizations",
        "IEICE Transactions on Fundamentals E92-A, 708",
        2009,
        "10.1587/transfun.E92.A.708",
    ),
    "dask": Reference(
        "M. Rocklin",
        "Dask: Parallel Computation with Blocked algorithms and Task Scheduling",
        "Proceedings of the 14th Python in Science Conference, 126",
        2015,
        "10.25080/Majora-7b98e3ed-013",
    ),
    "egerton2011": Reference(
        "R. F. Egerton",
        "Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed.",
        "Springer",
        2011,
        "10.1007/978-1-4419-9583-4",
    ),
    "guizar2008": Reference(
        "M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup",
        "Efficient subpixel image registration algorithms",
        "Optics Letters 33, 156",
        2008,
        "10.1364/OL.33.000156",
    ),
    "harris1978": Reference(
        "F. J. Harris",
        "On the use of windows for harmonic analysis with the discrete Fourier transform",
        "Proceedings of the IEEE 66, 51",
        1978,
        "10.1109/PROC.1978.10837",
    ),
    "jolliffe2002": Reference("I. T. Jolliffe", "Principal Component Analysis", "Springer", 2002, "10.1007/b98835"),
    "lee1999": Reference(
        "D. D. Lee, H. S. Seung",
        "Learning the parts of objects by non-negative matrix factorization",
        "Nature 401, 788",
        1999,
        "10.1038/44565",
    ),
    "marquardt1963": Reference(
        "D. W. Marquardt",
        "An Algorithm for Least-Squares Estimation of Nonlinear Parameters",
        "Journal of the Society for Industrial and Applied Mathematics 11, 431",
        1963,
        "10.1137/0111030",
    ),
    "more1978": Reference(
        "J. J. Moré",
        "The Levenberg-Marquardt algorithm: Implementation and theory",
        "Lecture Notes in Mathematics 630, 105",
        1978,
        "10.1007/BFb0067700",
    ),
    "numpy": Reference(
        "C. R. Harris et al.", "Array programming with NumPy", "Nature 585, 357", 2020, "10.1038/s41586-020-2649-2"
    ),
    "scipy": Reference(
        "P. Virtanen et al.",
        "SciPy 1.0: fundamental algorithms for scientific computing in Python",
        "Nature Methods 17, 261",
        2020,
        "10.1038/s41592-019-0686-2",
    ),
    "xarray": Reference(
        "S. Hoyer, J. Hamman",
        "xarray: N-D labeled Arrays and Datasets in Python",
        "Journal of Open Research Software 5, 10",
        2017,
        "10.5334/jors.148",
    ),
}

SOFTWARE: dict[str, tuple[str, str]] = {
    "sid-xarray": ("sid-xarray", ""),
    "xarray": ("xarray", "https://xarray.dev"),
    "numpy": ("NumPy", "https://numpy.org"),
    "scipy": ("SciPy", "https://scipy.org"),
    "dask": ("Dask", "https://dask.org"),
    "python": ("Python", "https://www.python.org"),
}
"""How packages spell their names, and their address; those in `TABLE` have a publication."""

_BY_DOI = {entry.doi.lower(): key for key, entry in TABLE.items() if entry.doi}


def reference(text: str) -> Reference:
    """Return what a key of `TABLE`, a DOI or an address stands for.

    Parameters
    ----------
    text : str
        Of models of other packages also an address that nobody here knows: then it is all that is said.
    """
    doi = text.removeprefix("https://doi.org/").removeprefix("doi:")
    known = TABLE.get(text) or TABLE.get(_BY_DOI.get(doi.lower(), ""))
    if known is not None:
        return known
    return Reference("", "", "", None, doi) if doi.startswith("10.") else Reference("", text, "", None)
