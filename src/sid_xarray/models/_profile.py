"""What a search needs to know of a peak."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How a peak looks through a box.

    Parameters
    ----------
    width : str
        Name of the parameter for the width. The others are called ``height`` and ``center``.
    window : float
        Of a peak of unit width, the width of the box that sees it best.
    mean : float
        Of a peak of unit height, its mean over that box.
    others : tuple of (str, float)
        Further parameters, and where they start.
    scaled : tuple of (str, float)
        Further widths, and where they start, in units of the width.
    height, center : str
    """

    width: str
    window: float
    mean: float
    others: tuple[tuple[str, float], ...] = ()
    scaled: tuple[tuple[str, float], ...] = ()
    height: str = "height"
    center: str = "center"
