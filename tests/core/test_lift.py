"""Kernels on labelled arrays, and whole dimensions in one chunk."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core import chunked
from sid_xarray.core.chunked import is_lazy, same_values, whole
from sid_xarray.core.lift import Out, float_dtype, lift
from sid_xarray.core.trees import signals
from sid_xarray.errors import AlignmentError, SidWarning


@pytest.fixture
def cube():
    return sid.datasets.peak_map()


def double(y):
    return y * 2


def test_a_result_has_coordinates_with_their_text_and_nothing_of_its_own(cube):
    cube = cube.assign_coords(note=("y", np.arange(6), {"units": "K"}))
    cube.encoding = {"dtype": "i2"}
    (out,) = lift(double, cube, core=[["energy"]], out=[Out(("energy",))])
    assert out.name is None
    assert not out.attrs
    assert not out.encoding
    assert out.energy.attrs == cube.energy.attrs
    assert out.note.attrs == {"units": "K"}
    np.testing.assert_array_equal(out, cube * 2)


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_results_of_several_shapes_and_types(cube, lazy):
    def kernel(y):
        return y[..., ::4], y.mean(-1), (y > 20).sum(-1).astype("i1")

    source = cube.chunk(energy=5, y=2) if lazy else cube
    three, mean, count = lift(
        kernel,
        source,
        core=[["energy"]],
        out=[Out(("energy",), {"energy": 16}), Out(), Out((), {}, np.int8)],
    )
    assert (three.sizes["energy"], mean.dims, count.dtype) == (16, ("y", "x"), np.int8)
    assert "energy" not in three.coords
    assert is_lazy(mean) is lazy
    np.testing.assert_allclose(mean, cube.mean("energy"), rtol=1e-6)


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_a_real_result_of_complex_data_is_no_loss_and_one_that_loses_is_told(cube, lazy):
    complex_ = cube.astype("complex64")
    source = complex_.chunk(y=2) if lazy else complex_
    made = [Out((), {}, np.float32)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (out,) = lift(lambda y: np.abs(y).mean(-1), source, core=[["energy"]], out=made)
        out.load()
    assert out.dtype == np.float32
    with pytest.warns(np.exceptions.ComplexWarning):
        lift(lambda y: y.mean(-1).astype(np.float32), source, core=[["energy"]], out=made)[0].load()


def test_dimensions_that_one_array_lacks_are_broadcast(cube):
    weights = xr.DataArray(np.arange(8.0), dims="x", coords={"x": cube.x})
    (out,) = lift(
        lambda y, w: y * np.asarray(w)[..., np.newaxis], cube, weights, core=[["energy"], []], out=[Out(("energy",))]
    )
    np.testing.assert_allclose(out, cube * weights, rtol=1e-6)


def test_a_float_jitter_is_an_error_with_a_way_out(cube):
    other = cube.assign_coords(x=cube.x + 1e-12).rename("other")
    with pytest.raises(AlignmentError, match=r"'intensity', 'other' do not lie on the same grid.*a\.reindex_like\(b"):
        lift(lambda a, b: a + b, cube, other, core=[["energy"]] * 2, out=[Out(("energy",))])


@pytest.mark.parametrize(
    ("dtypes", "out"),
    [("f4", "f4"), ("f8", "f8"), ("i2", "f4"), ("u1", "f4"), ("i4", "f8"), (">f4", "f4"), ("?", "f4"), ("f2", "f4")],
)
def test_floating_results_of_every_type(dtypes, out):
    assert float_dtype(np.zeros(1, dtypes)) == np.dtype(out)


def test_whole_joins_what_it_must_and_nothing_else(cube):
    lazy = cube.chunk(y=2, x=4, energy=10)
    out = whole(lazy, ["energy"])
    assert dict(out.chunksizes) == {"y": (2, 2, 2), "x": (4, 4), "energy": (64,)}
    assert whole(out, ["energy"]) is out
    assert whole(cube, ["energy"]) is cube


def test_whole_makes_other_chunks_smaller_where_blocks_would_be_huge(cube, monkeypatch):
    monkeypatch.setattr(chunked, "_TARGET", 64 * 4 * 4)
    import dask

    with dask.config.set({"array.chunk-size": 64 * 4 * 4}):
        out = whole(cube.chunk(energy=1), ["energy"])
    assert out.chunksizes["energy"] == (64,)
    assert np.prod([max(c) for c in out.chunks]) <= 64 * 4 * 4


def test_very_many_chunks_are_warned_about(cube, monkeypatch):
    monkeypatch.setattr(chunked, "_MANY_CHUNKS", 10)
    with pytest.warns(SidWarning, match="48 chunks: a graph costs about 10 ms a chunk") as seen:
        whole(cube.chunk(y=1, x=1, energy=32), ["energy"])
    assert seen[0].filename == __file__


def test_lazy_is_what_would_read_or_compute(cube, tmp_path):
    cube.sid.to_nsid(tmp_path / "a.h5")
    file = sid.open_dataarray(tmp_path / "a.h5")
    assert is_lazy(file)
    assert not is_lazy(file.load())
    assert is_lazy(cube.chunk())
    assert not is_lazy(cube)
    assert not is_lazy(cube.x)


def test_chunks_only_are_the_same_values(cube):
    lazy = cube.chunk(y=2)
    name = chunked.graph_name(lazy)
    assert same_values(lazy, name)
    assert same_values(lazy.chunk(x=3), name)
    assert not same_values(lazy + 1, name)
    assert not same_values((lazy + 1).chunk(x=3), name)
    assert chunked.graph_name(cube) is None
    assert same_values(cube, None)


def test_all_signals_of_a_tree(cube):
    tree = xr.DataTree.from_dict({"/": xr.Dataset({3: cube.drop_vars(list(cube.coords))}), "/a/b": cube.to_dataset()})
    assert list(signals(tree)) == ["/3", "/a/b/intensity"]
    assert signals(tree)["/a/b/intensity"].identical(cube)
