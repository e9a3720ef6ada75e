"""The accessor holds nothing, and looks like the functions behind it."""

from __future__ import annotations

import copy
import gc
import importlib
import inspect
import pickle
import weakref

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.accessors._method import method, view

OBJECTS = {
    "DataArray": lambda: sid.datasets.peak_map(),
    "Dataset": lambda: sid.datasets.peak_map().to_dataset(),
    "DataTree": lambda: xr.DataTree.from_dict({"/a": sid.datasets.peak_map().to_dataset()}),
}
KINDS = pytest.mark.parametrize("kind", OBJECTS)


def entries(kind: str) -> dict[str, method]:
    """Methods and views, also those that the accessors share."""
    owner = getattr(xr, kind).sid
    return {k: v for c in reversed(owner.__mro__) for k, v in vars(c).items() if isinstance(v, method)}


@pytest.mark.parametrize("kind", ["DataArray", "Dataset"])
def test_an_array_dies_with_its_last_name(kind):
    gc.collect()
    gc.disable()
    try:
        obj = OBJECTS[kind]()
        obj.sid.dimension_types, obj.sid.provenance, repr(obj.sid), obj.sid.check
        alive = weakref.ref(obj)
        values = weakref.ref(obj.values if kind == "DataArray" else obj.intensity.values)
        del obj
        assert alive() is None
        assert values() is None
    finally:
        gc.enable()


def test_a_loop_keeps_one_array_at_a_time():
    alive = []
    gc.disable()
    try:
        for _ in range(10):
            da = sid.dataarray(np.zeros((100, 100)), dims={"y": (1, "nm"), "x": (1, "nm")})
            da.sid.kind
            out = da.sid.rebin(x=2)
            alive.append(weakref.ref(da))
            assert sum(ref() is not None for ref in alive) == 1
        del out
    finally:
        gc.enable()


@KINDS
def test_nothing_is_cached_on_the_object(kind):
    obj = OBJECTS[kind]()
    assert obj.sid is not obj.sid
    with pytest.raises(AttributeError):
        obj.sid.state = 1


@KINDS
def test_signature_and_text_come_from_the_function(kind):
    bound = OBJECTS[kind]().sid
    for name, entry in entries(kind).items():
        module, _, attribute = entry.place.partition(":")
        function = getattr(importlib.import_module(module), attribute)
        assert getattr(getattr(xr, kind).sid, name) is function
        if isinstance(entry, view):
            continue
        here = getattr(bound, name)
        assert here.__doc__ == function.__doc__
        assert here.__name__ == function.__name__
        assert list(inspect.signature(here).parameters) == list(inspect.signature(function).parameters)[1:]


@KINDS
def test_tab_shows_what_there_is(kind):
    obj = OBJECTS[kind]()
    assert set(entries(kind)) <= set(dir(obj.sid))
    assert "sid" in dir(obj)
    with pytest.raises(AttributeError, match="fitt"):
        obj.sid.fitt


def test_a_subclass_has_it_too():
    class Mine(xr.DataArray):
        __slots__ = ()

    da = Mine(sid.datasets.peak_map())
    assert da.sid.kind == "spectral_image"
    assert "spectral_image" in repr(da.sid)
    assert da.sid.rebin(energy=2).sizes["energy"] == 32


@KINDS
def test_objects_that_were_looked_at_pickle_and_copy(kind):
    obj = OBJECTS[kind]()
    repr(obj.sid)
    for twin in (pickle.loads(pickle.dumps(obj)), copy.copy(obj), copy.deepcopy(obj)):
        assert repr(twin.sid) == repr(obj.sid)


def test_errors_inside_are_not_taken_for_a_missing_accessor():
    da = sid.datasets.peak_map()
    with pytest.raises(ValueError, match="no dimension type 'nonsense'"):
        da.sid.dims_of("nonsense")
    broken = view("sid_xarray.core.dims:not_there")
    with pytest.raises(AttributeError, match="not_there"):
        broken.__get__(da.sid)


def test_a_name_on_the_wrong_object_says_where_it_is():
    da = sid.datasets.peak_map()
    ds = da.to_dataset(name="signal")
    for obj, name, said in [
        (ds, "fit", r"a Dataset has no .sid.fit, each of its arrays has: ds\['signal'\].sid.fit"),
        (xr.DataTree(ds), "fit", r"a DataTree has no .sid.fit, each of its arrays has: tree\[path\].sid.fit"),
        (da, "evaluate", "a DataArray has no .sid.evaluate, a Dataset has"),
        (da, "fitt", "there is no .sid.fitt. Did you mean 'fit'?"),
    ]:
        assert not hasattr(obj.sid, name)
        with pytest.raises(AttributeError, match=said):
            getattr(obj.sid, name)
