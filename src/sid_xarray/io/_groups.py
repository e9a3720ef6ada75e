"""Groups that keep the order of what is in them."""

from __future__ import annotations

import h5py
from h5py import h5g, h5p

__all__ = ["ordered_group"]

_MOST, _FEW = 64, 48


def ordered_group(above: h5py.Group, path: str) -> h5py.Group:
    """Make a group, and those above it that are missing, with members and attributes in the order of their making.

    HDF5 by itself moves the attributes of such a group into a heap when there are more than eight of them: it takes
    several times as long to read them there, and some releases fail when they are changed there [1]_. Here up to 64
    stay in the header.

    Parameters
    ----------
    above : h5py.Group
    path : str

    Raises
    ------
    ValueError
        If there is something at the path.

    References
    ----------
    .. [1] h5py issue 1385, "Creating more than 8 attributes fails with track_order=True".
    """
    properties = h5p.create(h5p.GROUP_CREATE)
    order = h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED
    properties.set_link_creation_order(order)
    properties.set_attr_creation_order(order)
    properties.set_obj_track_times(False)
    if hasattr(properties, "set_attr_phase_change"):
        properties.set_attr_phase_change(_MOST, _FEW)
    links = h5p.create(h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    return h5py.Group(h5g.create(above.id, path.encode("utf-8", "surrogateescape"), lcpl=links, gcpl=properties))
