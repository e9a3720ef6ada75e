"""Groups and datasets as one survey of a file sees them: what is known of them is not asked of HDF5 again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5o

from sid_xarray.io._headers import UNKNOWN, Header, Headers

__all__ = ["Seen", "SeenDataset", "SeenGroup", "layout", "names_of"]

_TRACKED = 4


class Seen:
    """What an object of a survey remembers; it is not even opened before that is needed.

    Parameters
    ----------
    above : Seen or None
        The group that it was found in.
    link : bytes
        Its name there.
    headers : Headers or None
        Where headers are read without HDF5, if they can be.
    address : int
        Of the header of the object.
    header : Header or None
        None where only HDF5 can tell.
    bind : h5py.h5g.GroupID or h5py.h5d.DatasetID, optional
        If it is open already.

    Attributes
    ----------
    remembered : dict
        Values of attributes that were read.
    names : list of str or None
        Of all attributes, once HDF5 was asked for them.
    asked : dict or None
        What else HDF5 was asked for.
    """

    names: list[str] | None = None
    asked: dict[str, Any] | None = None

    def __init__(
        self, above: Any, link: bytes, headers: Headers | None, address: int, header: Header | None, bind: Any = None
    ) -> None:
        # What h5py itself sets up waits until it is needed, too.
        self.above, self.link, self.headers, self.address, self.header = above, link, headers, address, header
        self.remembered: dict[str, Any] = {}
        if bind is not None:
            self._id = bind

    def _late(self, name: str, set_up: Callable[[Any], None]) -> Any:
        """Return an attribute that is not there yet: open the object, and let h5py set it up."""
        if name == "_id":
            # The groups on the way are not opened.
            base, way = self.above, [self.link]
            while "_id" not in base.__dict__:
                base, way = base.above, [base.link, *way]
            self._id = h5o.open(base.id, b"/".join(way))
            return self._id
        if "_is_whole" in self.__dict__ or name.startswith("__"):
            raise AttributeError(name)
        self._is_whole = True
        set_up(self._id)
        return getattr(self, name)

    @property
    def listed(self) -> Collection[str]:
        """Names of all attributes, in the order of their making where that was kept.

        Raises
        ------
        Exception
            Whatever HDF5 raises for a damaged header.
        """
        if self.header is not None:
            return self.header.attributes
        if self.names is None:
            self.names = names_of(self)
        return self.names


class SeenGroup(Seen, h5py.Group):  # type: ignore[misc]
    """A group of a survey; see `Seen`.

    Attributes
    ----------
    held : dict or None
        Its members, once they were listed.
    unopened : list of str or None
        Links that led to none.
    remembers : bool
        Whether it is where a survey began, and members of groups are remembered. Members know the group that they
        are in, so a group that remembers them is circular garbage unless it is made to forget them.
    """

    held: dict[str, Any] | None = None
    unopened: list[str] | None = None
    remembers = False

    @property
    def is_remembered(self) -> bool:
        """Whether members are to be remembered."""
        at = self
        while at.above is not None:
            at = at.above
        return at.remembers

    def __getattr__(self, name: str) -> Any:
        return self._late(name, lambda bind: h5py.Group.__init__(self, bind))


class SeenDataset(Seen, h5py.Dataset):  # type: ignore[misc]
    """A dataset of a survey; see `Seen`."""

    def __getattr__(self, name: str) -> Any:
        return self._late(name, lambda bind: h5py.Dataset.__init__(self, bind, readonly=True))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape; None if it holds nothing."""
        found = UNKNOWN if self.header is None else self.header.shape
        return self._asked("shape", lambda identifier: identifier.shape) if found is UNKNOWN else found  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        found = UNKNOWN if self.header is None else self.header.dtype
        return self._asked("dtype", lambda identifier: identifier.dtype) if found is UNKNOWN else found  # type: ignore[no-any-return]

    @property
    def layout(self) -> tuple[bool, tuple[int, ...] | None]:
        """Whether the values are in this file, and in which chunks."""
        found = UNKNOWN if self.header is None else self.header.layout
        return self._asked("layout", layout) if found is UNKNOWN else found  # type: ignore[no-any-return]

    def _asked(self, what: str, ask: Callable[[Any], Any]) -> Any:
        if self.asked is None:
            self.asked = {}
        if what not in self.asked:
            self.asked[what] = ask(self._id)
        return self.asked[what]

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        """Values; all of a small dataset at once without HDF5."""
        if isinstance(args, tuple) and not args and new_dtype is None and self.header is not None:
            found = self.header.values()
            if found is None:
                raise OSError("the heap that holds the text is damaged")
            if found is not UNKNOWN:
                return found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found
        return super().__getitem__(args, new_dtype)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape or ())

    @property
    def size(self) -> int | None:
        """Number of values; None if it holds nothing."""
        return None if self.shape is None else math.prod(self.shape)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of the chunks; None if there are none."""
        return self.layout[1]


def names_of(obj: Any) -> list[str]:
    """Return the names of all attributes, in the order of their making where that was kept.

    Raises
    ------
    Exception
        Whatever HDF5 raises for a damaged header.
    """
    info = h5o.get_info(obj.id)
    found: list[bytes] = []
    if info.num_attrs:
        made = info.hdr.flags & _TRACKED if info.hdr.version > 1 else 0
        h5py.h5a.iterate(obj.id, found.append, index_type=h5py.h5.INDEX_CRT_ORDER if made else h5py.h5.INDEX_NAME)
    return [name.decode("utf-8", "surrogateescape") for name in found]


def layout(dataset: Any) -> tuple[bool, tuple[int, ...] | None]:
    """Return whether a dataset keeps its values in this file, and the shape of its chunks."""
    properties = dataset.get_create_plist()
    kind = properties.get_layout()
    here = kind != h5d.VIRTUAL and properties.get_external_count() == 0
    return here, properties.get_chunk() if kind == h5d.CHUNKED else None
