"""Bridges to sidpy and HyperSpy: with stand-ins everywhere, with the real packages where they are installed."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sid_xarray as sid
from sid_xarray.errors import DimensionError, MissingDependencyError
from sid_xarray.io.interop import from_hyperspy, from_sidpy, to_hyperspy, to_sidpy
from sid_xarray.testing import assert_lazy, assert_same, no_compute

DOCS = Path(__file__).parents[2] / "docs/formats/bridges.md"

# Stand-ins: the attributes that count, and nothing else ---------------------------------------------------------------


class Dimension:
    def __init__(self, values: Any, name: str, quantity: str, units: str, dimension_type: Any) -> None:
        self.values = np.asarray(values, dtype=float)  # as sidpy does
        self.name, self.quantity, self.units = name, quantity, units
        self.dimension_type = types.SimpleNamespace(name=dimension_type)


class Dataset(dask.array.Array):
    """Like sidpy.Dataset: a dask array with attributes."""

    @classmethod
    def from_array(cls, x: Any, title: str = "generic") -> Any:
        out = cls(x.dask, x.name, x.chunks, dtype=x.dtype, shape=x.shape)
        out.title, out.units, out.quantity = title, "generic", "generic"
        out.modality, out.source, out.data_type = "generic", "generic", "UNKNOWN"
        out.metadata, out.original_metadata, out.structures = {}, {}, {}
        out.provenance = {"sidpy": {"from_array_": "now"}}
        out.point_cloud, out._variance, out._axes = None, None, {}
        return out

    @property
    def variance(self) -> Any:
        return self._variance

    def set_dimension(self, i: int, dimension: Dimension) -> None:
        self._axes[i] = dimension

    def add_structure(self, atoms: Any, title: str) -> None:
        self.structures[title] = atoms


class Tree:
    """Like the metadata of HyperSpy."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree = tree

    def as_dictionary(self) -> dict[str, Any]:
        def plain(value: Any, key: str) -> tuple[str, Any]:
            if isinstance(value, dict):
                return key, dict(plain(v, k) for k, v in value.items())
            if isinstance(value, Signal):
                return f"_sig_{key}", {"data": value.data}
            return key, value

        return plain(self.tree, "")[1]

    def set_item(self, path: str, value: Any) -> None:
        *above, last = path.split(".")
        tree = self.tree
        for key in above:
            tree = tree.setdefault(key, {})
        tree[last] = value


class Signal:
    def __init__(self, data: Any, axes: Any = None, metadata: Any = None, original_metadata: Any = None) -> None:
        self.data = data
        axes = axes if axes is not None else [{"size": n, "navigate": False} for n in data.shape]
        self.axes_manager = types.SimpleNamespace(_axes=[self._axis(a) for a in axes])
        folding = {"Folding": {"unfolded": False}}
        self.metadata = Tree({"_HyperSpy": folding, **(metadata or {})})
        self.original_metadata = Tree(original_metadata or {})

    @staticmethod
    def _axis(a: dict[str, Any]) -> Any:
        positions = a["axis"] if "axis" in a else a.get("offset", 0.0) + a.get("scale", 1.0) * np.arange(a["size"])
        if "axis" in a and not (np.all(np.diff(positions) > 0) or np.all(np.diff(positions) < 0)):
            raise ValueError("The non-uniform axis needs to be ordered.")
        names = {"name": a.get("name"), "units": a.get("units"), "is_binned": a.get("is_binned", False)}
        return types.SimpleNamespace(**names, navigate=a["navigate"], axis=positions, scale=a.get("scale"))


def fake_packages() -> dict[str, types.ModuleType]:
    sidpy, hyperspy, api = (types.ModuleType(name) for name in ("sidpy", "hyperspy", "hyperspy.api"))
    sidpy.Dataset, sidpy.Dimension = Dataset, Dimension
    api.signals = types.SimpleNamespace(BaseSignal=Signal)
    for lazy in ("", "Lazy"):
        for form in ("", "Complex"):
            for n in ("", "1D", "2D"):
                name = f"{lazy}{form}Signal{n}"
                setattr(api.signals, name, type(name, (Signal,), {}))
    hyperspy.api = api
    return {"sidpy": sidpy, "hyperspy": hyperspy, "hyperspy.api": api}


@pytest.fixture(params=["stand-in", "real"])
def peers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "stand-in":
        for name, module in fake_packages().items():
            monkeypatch.setitem(sys.modules, name, module)
        yield "stand-in"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("sidpy", exc_type=ImportError)
        pytest.importorskip("hyperspy.api", exc_type=ImportError)
    yield "real"


# Arrays that are hard to carry ----------------------------------------------------------------------------------------


def peak_map() -> xr.DataArray:
    return sid.datasets.peak_map(ny=3, nx=4, ne=16)


def curve(values: Any, *, dim: str = "bias", units: str = "V") -> xr.DataArray:
    return sid.dataarray(
        np.arange(float(len(values))), {dim: (np.asarray(values), units)}, units="nA", quantity="current"
    )


def metadata() -> xr.DataArray:
    tree = {
        "a b": 1,
        "a_b": 2,
        "keys": [1, {"z": None}, [1.5, "ü"]],
        "deep": {"er": {"tuple": (1, 2), "complex": 1j, "array": np.arange(3, dtype="u2"), "nan": float("nan")}},
        "": "empty",
        "General": {"title": "another", "date": "2026-01-02"},
        "Signal": "text where HyperSpy has a group",
    }
    return peak_map().sid.with_metadata(tree).assign_attrs(sid_original_metadata='{"vendor":{"x":[1,2]}}')


def cloud() -> xr.DataArray:
    points = np.random.default_rng(0).normal(size=(2, 5))
    coords = {"x": ("point", points[0], {"units": "nm"}), "y": ("point", points[1], {"units": "nm"})}
    da = xr.DataArray(np.arange(15.0).reshape(5, 3), dims=("point", "energy"), coords=coords, name="spectra")
    return da.sid.adopt().sid.set_dims(point="point_cloud", energy="spectral")


def bare() -> xr.DataArray:
    return xr.DataArray(np.zeros((2, 3, 4), "f2"), dims=("b", "T", "source"), name="q")


def odd() -> xr.DataArray:
    times = np.array(["2020-01-01", "2020-01-02", "NaT"], "M8[ns]")
    coords = {"c": ["a", "b"], "t": times, "n": (("c", "t"), np.arange(6).reshape(2, 3)), "scalar": np.float32(2)}
    attrs = {"f": np.float32(2), "list": [1, 2], "tuple": (1, "a"), "array": np.arange(3), "none": None, 3: "three"}
    return xr.DataArray(np.zeros((2, 3)), dims=("c", "t"), coords=coords, attrs=attrs, name=("a", 1))


def with_variance() -> xr.Dataset:
    da = peak_map().rename("counts")
    ds = xr.Dataset({"counts": da.assign_attrs(ancillary_variables="counts_variance"), "counts_variance": da * 2})
    ds["counts_variance"].attrs["units"] = "count^2"
    return ds.assign_attrs(session="monday")


def no_index() -> xr.DataArray:
    return peak_map().drop_indexes("x")


ARRAYS: dict[str, Callable[[], Any]] = {
    "spectral image": peak_map,
    "image": sid.datasets.lattice_image,
    "diffraction, complex": sid.datasets.lattice_spectrum,
    "dask": lambda: peak_map().chunk(x=2),
    "dask, one chunk": lambda: peak_map().chunk(),
    "lazy from a file": lambda: sid.datasets.bfo_iv().isel(x=slice(5)),
    "dask from a file": lambda: sid.datasets.bfo_iv().chunk(x=10),
    "signal axis first": lambda: peak_map().transpose("energy", "x", "y"),
    "there and back": lambda: curve([0, 1, 0, -1.0]),
    "standing still": lambda: curve([0, 0, 1.0]),
    "falling": lambda: curve([3, 2, 1.0]),
    "uneven": lambda: curve([0, 1, 4.0]),
    "not finite": lambda: curve([0, np.nan, np.inf]),
    "integer axis": lambda: curve(np.array([1, 2, 4], "i2")),
    "single point": lambda: curve([5.0]),
    "one per cent": lambda: curve([0.1 * i + 1e-9 * (i % 2) for i in range(9)]),
    "angstrom": lambda: curve([1.0, 2, 3], dim="x", units="A"),
    "kelvin": lambda: curve([1.0, 2, 3], dim="T", units="K"),
    "metadata": metadata,
    "point cloud": cloud,
    "no coordinates, bad names": bare,
    "text, dates, attributes": odd,
    "scalar": lambda: xr.DataArray(np.float32(3), name="s"),
    "no index": no_index,
    "big endian": lambda: peak_map().astype(">f4"),
    "uint16": lambda: peak_map().astype("u2"),
    "bool": lambda: peak_map() > 20,
    "variance": with_variance,
    "variance, dask": lambda: with_variance().chunk(x=2),
    "dataset of one": lambda: peak_map().rename("a").to_dataset(),
    "history": lambda: peak_map().sid.fit("gaussian + constant", dim="energy").center,
    "plain arithmetic": lambda: peak_map() - peak_map().mean(),
}
BRIDGES = {"sidpy": (to_sidpy, from_sidpy), "hyperspy": (to_hyperspy, from_hyperspy)}


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("name", ARRAYS)
def test_there_and_back_is_the_same(peers: str, bridge: str, name: str) -> None:
    there, back = BRIDGES[bridge]
    obj = ARRAYS[name]()
    chunks, from_file = obj.chunks, "from a file" in name
    before = obj.copy(deep=True)
    found = back(there(obj))
    assert_same(obj, found)
    assert found.sid.provenance.status == obj.sid.provenance.status
    xr.testing.assert_identical(obj, before)
    assert found.chunks == chunks if chunks else from_file or not found.chunks


SHORT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=3)
WORDS = st.sampled_from(
    ["units", "long_name", "source", "sid_title", "sid_metadata", "sid_other_groups", "ancillary_variables"]
)
SAID = st.one_of(
    st.sampled_from(["nm", "A", "a.u.", "generic", "", " ", "{", '{"a":1}']), st.none(), st.integers(), SHORT
)
AXES: list[Callable[[int], Any]] = [
    lambda n: np.arange(n) * 0.1,
    lambda n: np.arange(n, dtype="i2"),
    lambda n: np.zeros(n),
    lambda n: [f"p{i}" for i in range(n)],
    lambda n: np.arange(n).astype("M8[ns]"),
]


@st.composite
def anything(draw: st.DrawFn) -> xr.DataArray:
    dims = draw(st.lists(SHORT, max_size=4, unique=True))
    shape = [draw(st.integers(1, 3)) for _ in dims]
    coords = {d: (d, draw(st.sampled_from(AXES))(n), draw(st.dictionaries(WORDS, SAID, max_size=2)))
              for d, n in zip(dims, shape, strict=True) if draw(st.booleans())}  # fmt: skip
    attrs = draw(st.dictionaries(st.one_of(WORDS, SHORT), SAID, max_size=3))
    dtype = draw(st.sampled_from(["f4", ">i2", "c8", "?", "M8[ns]", "U2"]))
    da = xr.DataArray(np.zeros(shape, dtype), dims=dims, coords=coords, attrs=attrs, name=draw(st.none() | SHORT))
    return da.chunk() if draw(st.booleans()) else da


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(da=anything())
@pytest.mark.parametrize("bridge", BRIDGES)
def test_anything_comes_back(peers: str, bridge: str, da: xr.DataArray) -> None:
    there, back = BRIDGES[bridge]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sid.SidWarning)  # damaged metadata, which travel as they are
        assert_same(da, back(there(da)))


@pytest.mark.parametrize("bridge", BRIDGES)
def test_dask_is_never_computed_and_stays_trusted(peers: str, bridge: str) -> None:
    there, back = BRIDGES[bridge]
    lazy = peak_map().chunk(x=2).sid.rebin(energy=2)
    with no_compute():
        found = back(there(lazy))
        assert_lazy(found)
        # The history goes on without a gap: the graph is the one that was handed over.
        assert "unrecorded" not in found.sid.rebin(x=2).sid.provenance.operations


@pytest.mark.parametrize("bridge", BRIDGES)
def test_what_the_other_program_changed_is_seen(peers: str, bridge: str) -> None:
    there, back = BRIDGES[bridge]
    obj = there(peak_map().assign_attrs(source="Titan"))
    if bridge == "sidpy":
        obj.units, obj.title, obj.source = "kA", "new", "Krios"
        obj.metadata["added"] = 1
        axis = obj._axes[2]
        axis.units = "meV"
    else:
        for path, value in (("General.title", "new"), ("Signal.quantity", "intensity (kA)"), ("added", 1)):
            obj.metadata.set_item(path, value)
        obj.metadata.set_item("sid_xarray.source", "Krios")
        obj.axes_manager._axes[2].units = "meV"
    found = back(obj)
    assert (found.units, found.sid_title, found.source) == ("kA", "new", "Krios")
    assert found.sid.metadata["added"] == 1
    assert found.energy.units == "meV"
    assert found.long_name == "intensity"
    assert found.sid.provenance.status == "verified"  # text is no part of the fingerprint


def test_changed_values_are_modified(peers: str) -> None:
    signal = to_hyperspy(peak_map())
    signal.data = signal.data + 1
    assert from_hyperspy(signal).sid.provenance.status == "modified"


def test_a_cut_axis_loses_what_belonged_to_its_points(peers: str) -> None:
    da = peak_map().assign_coords(dose=(("y", "x"), np.ones((3, 4))), step=("energy", np.arange(16)))
    signal = to_hyperspy(da)
    signal.data = signal.data[:, 1:]
    axes = signal.axes_manager._axes
    cut = {"size": 3, "scale": 0.5, "offset": 0.5, "name": "x", "units": "nm", "navigate": True}
    new = type(signal)(
        signal.data, axes=[_dict(axes[0]), cut, _dict(axes[2])], metadata=signal.metadata.as_dictionary()
    )
    found = from_hyperspy(new)
    assert "dose" not in found.coords
    assert "step" in found.coords
    assert found.x.attrs == da.x.attrs
    np.testing.assert_array_equal(found.x, da.x[1:])
    assert found.sid.provenance.status == "modified"


def _dict(axis: Any) -> dict[str, Any]:
    if hasattr(axis, "get_axis_dictionary"):
        return axis.get_axis_dictionary()
    return {"name": axis.name, "units": axis.units, "axis": axis.axis, "navigate": axis.navigate}


# What strangers made --------------------------------------------------------------------------------------------------


def stranger(**changes: Any) -> Dataset:
    dset = Dataset.from_array(dask.array.from_array(np.arange(24.0).reshape(2, 3, 4)), title="IV map")
    dset.units, dset.quantity, dset.modality, dset.source = "nA", "Current", "STM", "generic"
    dset.data_type = types.SimpleNamespace(name="SPECTRAL_IMAGE")
    dset.set_dimension(0, Dimension([0, 1], "x", "Length", "A", "SPATIAL"))
    dset.set_dimension(1, Dimension([0, 1, 4], "a/b", "generic", "generic", "UNKNOWN"))
    dset.set_dimension(2, Dimension([0, 1, 0, -1], "bias", "Bias", "V", "SPECTRAL"))
    dset.metadata = {"tip": {"material": "W", "none": None}}
    dset.original_metadata = {"raw": [1, "two"]}
    dset.aberrations = {"C1": 1e-9}
    for key, value in changes.items():
        setattr(dset, key, value)
    return dset


def test_from_sidpy_reads_what_is_there() -> None:
    da = from_sidpy(stranger())
    assert da.dims == ("x", "a_b", "bias")
    assert (da.name, da.units, da.long_name, da.sid_modality) == ("IV map", "nA", "Current", "STM")
    assert "source" not in da.attrs
    assert da.x.attrs == {
        "long_name": "Length",
        "units": "angstrom",
        "sid_units_original": "A",
        "sid_dimension_type": "spatial",
    }
    assert da["a_b"].attrs["sid_name_original"] == "a/b"
    np.testing.assert_array_equal(da.bias, [0, 1, 0, -1])
    assert da.sid.metadata["tip"] == {"material": "W", "none": None}
    assert da.sid.original_metadata["raw"] == [1, "two"]
    others = sid.core.metadata.unpack(da.attrs["sid_other_groups"])
    assert others == {"provenance": {"sidpy": {"from_array_": "now"}}, "aberrations": {"C1": 1e-9}}
    assert da.sid.provenance.operations == ("from_sidpy",)
    assert da.sid.provenance.status == "verified"


def test_the_same_content_is_the_same_root() -> None:
    assert from_sidpy(stranger()).sid.provenance.id == from_sidpy(stranger()).sid.provenance.id
    other = stranger(title="another")
    assert from_sidpy(other).sid.provenance.id != from_sidpy(stranger()).sid.provenance.id


def test_no_dict_is_shared() -> None:
    dset = stranger()
    da = from_sidpy(dset)
    dset.metadata["tip"]["material"] = "Pt"
    assert da.sid.metadata["tip/material"] == "W"


def test_variance_becomes_a_sibling() -> None:
    ds = from_sidpy(stranger(_variance=dask.array.ones((2, 3, 4))))
    assert list(ds.data_vars) == ["IV map", "IV map_variance"]
    assert ds["IV map"].ancillary_variables == "IV map_variance"
    assert ds["IV map_variance"].units == "nA^2"


def test_point_clouds_keep_their_positions() -> None:
    where = np.array([[0.0, 1], [2, 3]])
    dset = stranger(point_cloud={"coordinates": where, "spacial_units": "nm", "image_title": "HAADF"})
    dset.data_type.name = "POINT_CLOUD"
    dset._axes[0] = Dimension([0, 1], "points", "generic", "generic", "POINT_CLOUD")
    da = from_sidpy(dset)
    np.testing.assert_array_equal(da.x, where[:, 0])
    assert da.y.units == "nm"
    assert da.sid.kind == "point_cloud"
    assert "HAADF" in da.attrs["sid_other_groups"]


def test_a_broken_axis_is_left_out_with_a_warning() -> None:
    dset = stranger()
    dset._axes[1] = Dimension(np.arange(7), "y", "generic", "nm", "SPATIAL")
    with pytest.warns(sid.SidWarning, match="no positions that fit its 3 points"):
        da = from_sidpy(dset)
    assert "y" not in da.coords


def test_metadata_that_cannot_be_stored_become_text() -> None:
    with pytest.warns(sid.SidWarning, match="fun/ction"):
        da = from_sidpy(stranger(metadata={"fun": {"ction": np.sin}, "n": 1}))
    assert da.sid.metadata["n"] == 1


def test_a_damaged_record_is_said() -> None:
    with pytest.warns(sid.SidWarning, match="what only sid-xarray knew"):
        from_sidpy(stranger(metadata={"sid_xarray": "{"}))


@pytest.mark.parametrize("text", ['{"v":1}', '{"v":1,"dims":3,"chunked":false}'])
def test_a_record_that_does_not_fit_is_left_out(text: str) -> None:
    with pytest.warns(sid.SidWarning, match="left out"):
        da = from_sidpy(stranger(metadata={"sid_xarray": text}))
    assert da.dims == ("x", "a_b", "bias")
    assert da.sid.provenance.operations == ("from_sidpy",)


def signal(axes: list[dict[str, Any]], shape: tuple[int, ...], **metadata: Any) -> Signal:
    return Signal(
        np.zeros(shape), axes=axes, metadata={"General": {"title": "t"}, **metadata}, original_metadata={"v": 1}
    )


def axis(name: Any, units: Any, size: int, *, navigate: bool, **more: Any) -> dict[str, Any]:
    return {"name": name, "units": units, "size": size, "navigate": navigate, "scale": 0.5, "offset": 1.0, **more}


def test_from_hyperspy_reads_what_is_there() -> None:
    axes = [axis("y", "A", 2, navigate=True), axis("Energy loss", "eV", 3, navigate=False)]
    tem = {"TEM": {"microscope": "Titan", "beam_energy": 300.0}}
    kind = {"quantity": "Electrons (Counts)", "signal_type": "EELS"}
    da = from_hyperspy(signal(axes, (2, 3), Signal=kind, Acquisition_instrument=tem))
    assert da.dims == ("y", "Energy loss")
    assert (da.name, da.sid_title, da.long_name, da.units, da.source) == ("t", "t", "Electrons", "count", "Titan")
    assert (da.sid_modality, da.sid_units_original) == ("EELS", "Counts")
    assert da.y.units == "angstrom"
    np.testing.assert_array_equal(da["Energy loss"], [1.0, 1.5, 2.0])
    assert dict(da.sid.dimension_types) == {"y": "spatial", "Energy loss": "spectral"}
    assert da.sid.metadata["Acquisition_instrument/TEM/beam_energy"] == 300.0
    assert "_HyperSpy" not in da.sid.metadata
    assert da.sid.original_metadata == {"v": 1}
    assert da.sid.provenance.operations == ("from_hyperspy",)


@pytest.mark.parametrize(
    ("axes", "types_"),
    [
        ([axis(None, None, 2, navigate=True), axis(None, None, 3, navigate=False)], ["unknown", "spectral"]),
        ([axis(None, None, 2, navigate=False), axis(None, None, 3, navigate=False)], ["spatial", "spatial"]),
        ([axis("time", "s", 2, navigate=False)], ["temporal"]),
        ([axis("x", "nm", 2, navigate=True), axis("Wavelength", "nm", 3, navigate=False)], ["spatial", "spectral"]),
        ([axis("x", "nm", 2, navigate=False), axis(None, "1/nm", 2, navigate=True)], ["spatial", "reciprocal"]),
    ],
)
def test_navigation_is_evidence_only_where_there_is_no_other(axes: list[dict[str, Any]], types_: list[str]) -> None:
    da = from_hyperspy(signal(axes, tuple(a["size"] for a in axes)))
    assert [str(t) for t in da.sid.dimension_types.values()] == types_


@pytest.mark.parametrize(
    ("text", "quantity", "units"),
    [
        ("Current (nA)", "Current", "nA"),
        ("Noise (V/Hz^(1/2))", "Noise", "V/Hz^(1/2)"),
        ("Counts", "Counts", "1"),
        ("(nA)", None, "nA"),
        ("", None, "1"),
    ],
)
def test_quantity_and_units(text: str, quantity: str | None, units: str) -> None:
    da = from_hyperspy(signal([axis("x", "nm", 2, navigate=False)], (2,), Signal={"quantity": text}))
    assert (da.attrs.get("long_name"), da.units) == (quantity, units)


def test_unnamed_axes_and_names_that_occur_twice() -> None:
    axes = [axis(None, None, 2, navigate=True), axis("x", "nm", 2, navigate=True), axis("x", "nm", 2, navigate=False)]
    da = from_hyperspy(signal(axes, (2, 2, 2)))
    assert da.dims == ("dim_0", "x", "x_1")
    assert da["x_1"].attrs["sid_name_original"] == "x"


def test_a_lazy_signal_is_not_called_by_its_graph() -> None:
    lazy = Signal(dask.array.zeros((2,)), axes=[axis("x", "nm", 2, navigate=False)])
    assert from_hyperspy(lazy).name is None
    assert from_sidpy(stranger(title="generic", quantity="generic")).name is None


def test_a_short_step_stays_short(peers: str) -> None:
    signal_ = to_hyperspy(curve(-0.47316066 + 0.009996 * np.arange(2048)))
    assert signal_.axes_manager._axes[0].scale == 0.009996


def test_ragged_signals_are_refused() -> None:
    ragged = Signal(np.empty(2, dtype=object), axes=[axis("x", "nm", 2, navigate=True)])
    with pytest.raises(DimensionError, match="ragged"):
        from_hyperspy(ragged)


def test_colours_become_a_dimension() -> None:
    pixels = np.zeros((2, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    pixels["G"] = 7
    axes = [axis("y", "nm", 2, navigate=False), axis("x", "nm", 3, navigate=False)]
    da = from_hyperspy(Signal(pixels, axes=axes))
    assert da.dims == ("y", "x", "channel")
    assert (da.dtype, int(da[0, 0, 1])) == (np.dtype("u1"), 7)


def test_a_signal_with_variance() -> None:
    s = signal([axis("x", "nm", 3, navigate=False)], (3,), Signal={"quantity": "Current (nA)"})
    s.metadata.set_item("Signal.Noise_properties.variance", Signal(np.ones(3)))
    ds = from_hyperspy(s)
    assert list(ds.data_vars) == ["t", "t_variance"]
    assert ds["t_variance"].units == "nA^2"
    assert "sid_metadata" not in ds["t"].attrs


@pytest.mark.parametrize("back", [from_sidpy, from_hyperspy])
def test_anything_else_is_refused(back: Callable[[Any], Any]) -> None:
    with pytest.raises(DimensionError, match="expected a"):
        back("text")


@pytest.mark.parametrize(("there", "package"), [(to_sidpy, "sidpy"), (to_hyperspy, "hyperspy")])
def test_a_missing_package_is_named(there: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.api", None)
    with pytest.raises(MissingDependencyError, match=package):
        there(peak_map())


@pytest.mark.parametrize("there", [to_sidpy, to_hyperspy])
def test_what_is_no_single_signal_is_refused(peers: str, there: Any) -> None:
    da = peak_map()
    with pytest.raises(DimensionError, match="Choose one"):
        there(xr.Dataset({"a": da, "b": da}))
    with pytest.raises(DimensionError, match="reset_index"):
        there(da.stack(p=("y", "x")))
    with pytest.raises(TypeError, match="expected a DataArray"):
        there(da.values)


def test_sidpy_takes_no_empty_axis(peers: str) -> None:
    with pytest.raises(DimensionError, match="has no points"):
        to_sidpy(peak_map().isel(x=slice(0)))


def test_structures_keep_order_and_periodicity(peers: str) -> None:
    ase = pytest.importorskip("ase")
    atoms = ase.Atoms("SrTiO3", scaled_positions=np.eye(5, 3), cell=[4, 4, 4], pbc=[True, True, False], info={"n": 1})
    atoms.set_array("label", np.arange(5))
    dset = to_sidpy(peak_map())
    dset.structures["STO"] = atoms
    da = from_sidpy(dset)
    assert da.sid.metadata["structures/STO/symbols"] == ["Sr", "Ti", "O", "O", "O"]
    again = to_sidpy(da).structures["STO"]
    assert again == atoms
    assert list(again.pbc) == [True, True, False]
    assert again.info == {"n": 1}
    np.testing.assert_array_equal(again.arrays["label"], np.arange(5))


# With the real packages only ------------------------------------------------------------------------------------------


def test_a_sidpy_dataset_comes_back(peers: str) -> None:
    if peers != "real":
        pytest.skip("needs sidpy")
    sidpy = sys.modules["sidpy"]
    dset = sidpy.Dataset.from_array(np.arange(24.0).reshape(2, 3, 4), title="t", units="counts", quantity="I")
    dset.set_dimension(0, sidpy.Dimension([0, 2], "y", "Length", "A", "spatial"))
    dset.set_dimension(2, sidpy.Dimension([0, 1, 0, 1], "bias", "Bias", "V", "spectral"))
    dset.metadata = {"a": {"b": [1, {"c": None}]}}
    found = to_sidpy(from_sidpy(dset))
    for name in ("title", "units", "quantity", "modality", "source", "provenance", "original_metadata"):
        assert getattr(found, name) == getattr(dset, name), name
    assert {k: v for k, v in found.metadata.items() if k != "sid_xarray"} == dset.metadata
    for i in range(3):
        assert found._axes[i] == dset._axes[i]
        assert found._axes[i].dimension_type == dset._axes[i].dimension_type
    np.testing.assert_array_equal(found.compute(), dset.compute())


def test_operations_of_sidpy_are_seen(peers: str) -> None:
    if peers != "real":
        pytest.skip("needs sidpy")
    found = from_sidpy(to_sidpy(peak_map()).mean(axis=2))
    assert found.dims == ("y", "x")
    assert found.y.attrs == peak_map().y.attrs
    assert found.sid.provenance.status == "modified"


def test_a_signal_comes_back(peers: str) -> None:
    if peers != "real":
        pytest.skip("needs HyperSpy")
    hs = sys.modules["hyperspy.api"]
    axes = [
        axis(None, None, 2, navigate=True),
        {"name": "q", "axis": np.array([1.0, 2, 4]), "navigate": True, "units": "1/nm"},
        axis("Energy", "eV", 4, navigate=False, is_binned=True),
    ]
    tree = {"General": {"title": "t"}, "Signal": {"quantity": "Electrons (Counts)"}, "Sample": {"elements": ["Fe"]}}
    first = hs.signals.Signal1D(
        np.zeros((2, 3, 4)), axes=axes, metadata=tree, original_metadata={"v": {"w": (1, None)}}
    )
    found = to_hyperspy(from_hyperspy(first))
    assert type(found) is type(first)
    assert found.axes_manager._axes[0].get_axis_dictionary() == first.axes_manager._axes[0].get_axis_dictionary()
    assert found.axes_manager._axes[2].get_axis_dictionary() == first.axes_manager._axes[2].get_axis_dictionary()
    np.testing.assert_array_equal(found.axes_manager._axes[1].axis, [1, 2, 4])
    seen = found.metadata.as_dictionary()
    seen.pop("sid_xarray")
    assert seen == first.metadata.as_dictionary()
    assert found.original_metadata.as_dictionary() == first.original_metadata.as_dictionary()


def test_signals_of_ours_work_in_hyperspy(peers: str) -> None:
    if peers != "real":
        pytest.skip("needs HyperSpy")
    da = peak_map().transpose("energy", "y", "x")  # HyperSpy wants its signal axes last
    s = to_hyperspy(da)
    assert s.axes_manager.signal_dimension == 1
    summed = s.map(np.sum, inplace=False, show_progressbar=False)
    np.testing.assert_allclose(summed.data.squeeze(), da.sum("energy").values, rtol=1e-5)
    assert from_hyperspy(s.sum("energy")).dims == ("y", "x")
    assert from_hyperspy(s.isig[2:5]).sizes["energy"] == 3


# The table in the docs ------------------------------------------------------------------------------------------------

FEATURES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "values, dtype": (lambda: peak_map().astype("i2"), lambda d: (d.dtype, d.values.tobytes())),
    "complex values": (sid.datasets.lattice_spectrum, lambda d: (d.dtype, d.values.tobytes())),
    "dask": (lambda: peak_map().chunk(x=2), lambda d: d.chunks is not None),
    "variance": (with_variance, lambda d: isinstance(d, xr.Dataset) and len(d.data_vars)),
    "names of dimensions": (peak_map, lambda d: set(d.dims)),
    "order of dimensions": (lambda: peak_map().transpose("energy", "y", "x"), lambda d: d.dims),
    "a dimension called `T`": (lambda: curve([1.0, 2], dim="T"), lambda d: d.dims),
    "evenly spaced axes": (peak_map, lambda d: np.allclose(d.energy, peak_map().energy, rtol=1e-12)),
    "every bit of an axis": (lambda: curve(np.cumsum(np.full(7, 0.1))), lambda d: d.bias.values.tobytes()),
    "uneven axes": (lambda: curve([0, 1, 4.0]), lambda d: d.bias.values.tolist()),
    "axes there and back": (lambda: curve([0, 1, 0.0]), lambda d: d.bias.values.tolist()),
    "dtype of axes": (lambda: curve(np.array([1, 2, 4], "i2")), lambda d: d.bias.dtype),
    "text along an axis": (lambda: odd().rename("q"), lambda d: d["c"].values.tolist()),
    "units of axes": (peak_map, lambda d: [d[k].units for k in d.dims]),
    "quantity of axes": (lambda: _named(), lambda d: d.energy.attrs.get("long_name")),
    "types of dimensions": (
        lambda: curve([1.0, 2], dim="u").sid.set_dims(u="channel"),
        lambda d: d.sid.dims_of("channel"),
    ),
    "further coordinates": (lambda: odd().rename("q"), lambda d: "n" in d.coords),
    "positions of points": (cloud, lambda d: "x" in d.coords and d.x.values.tolist()),
    "title, quantity, units": (peak_map, lambda d: (d.sid_title, d.long_name, d.units)),
    "modality, source": (lambda: peak_map().assign_attrs(source="Titan"), lambda d: (d.sid_modality, d.source)),
    "metadata": (lambda: peak_map().sid.with_metadata(a={"b": [1, None]}), lambda d: d.sid.metadata),
    "keys that look alike (`a b`, `a_b`)": (metadata, lambda d: {"a b", "a_b"} <= set(d.sid.metadata)),
    "original metadata": (metadata, lambda d: d.sid.original_metadata),
    "other attributes": (lambda: peak_map().assign_attrs(operator="me"), lambda d: d.attrs.get("operator")),
    "history": (lambda: peak_map().sid.rebin(energy=2), lambda d: d.sid.provenance.operations),
    "bool values": (lambda: peak_map() > 1, lambda d: (d.dtype, d.values.tobytes())),
    "`float16`, big-endian values": (lambda: peak_map().astype(">f2"), lambda d: (d.dtype.str, d.values.tobytes())),
    "text, times as values": (lambda: _words(), lambda d: d.values.tolist()),
    "a single value": (lambda: peak_map().isel(y=0, x=0, energy=3, drop=True), lambda d: d.shape),
    "order of keys": (lambda: peak_map().sid.with_metadata(z=1, a=2), lambda d: list(d.sid.metadata)),
    "None, lists of dicts, big integers": (lambda: _nested(), lambda d: repr(d.sid.metadata["nested"])),
    "numpy arrays in metadata": (
        lambda: peak_map().sid.with_metadata(a=np.arange(3, dtype="u2")),
        lambda d: (d.sid.metadata["a"].dtype, d.sid.metadata["a"].tolist()),
    ),
    "atomic structures": (lambda: _with_atoms(), lambda d: list(d.sid.structures)),
    "attributes of the Dataset": (with_variance, lambda d: d.attrs),
    "several signals in a Dataset": (lambda: xr.Dataset({"a": peak_map(), "b": peak_map()}), lambda d: list(d)),
    "an axis without points": (lambda: peak_map().isel(x=slice(0)), lambda d: d.shape),
}


def _words() -> xr.DataArray:
    return xr.DataArray(np.array(["a", "ü", ""]), dims="x", coords={"x": [1.0, 2, 3]}, name="words")


def _nested() -> xr.DataArray:
    return peak_map().sid.with_metadata(nested=[None, {"a": None}, 2**70, {"b": [{"c": True}]}])


def _with_atoms() -> xr.DataArray:
    return peak_map().sid.with_structures(
        CO=xr.Dataset({"position": (("atom", "axis"), [[0, 0, 0], [0, 0, 1.13]]), "number": ("atom", [6, 8])})
    )


def _named() -> xr.DataArray:
    da = peak_map()
    da.energy.attrs["long_name"] = "energy loss"
    return da


def verdict(bridge: str, feature: str) -> str:
    """Tell whether the other program shows a feature, carries it unseen, or takes no such array."""
    there, back = BRIDGES[bridge]
    build, aspect = FEATURES[feature]
    obj = build()
    try:
        handed = there(obj)
    except DimensionError:
        return "refused"
    assert aspect(back(handed)) == aspect(obj), feature
    if bridge == "sidpy":
        del handed.metadata["sid_xarray"]
    else:
        handed.metadata.set_item("sid_xarray.record", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sid.SidWarning)
        bare_ = back(handed)
    try:
        same = aspect(bare_) == aspect(obj)
    except (AttributeError, KeyError):
        same = False
    return "shown" if same else "carried"


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("bridge", BRIDGES)
def test_every_feature_survives(peers: str, bridge: str, feature: str) -> None:
    if feature == "atomic structures":
        pytest.importorskip("ase")
    words = verdict(bridge, feature)
    assert words in ("shown", "carried", "refused")
    if peers == "real":
        row = next(line for line in DOCS.read_text().splitlines() if line.startswith(f"| {feature} |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1 + list(BRIDGES).index(bridge)] == words, row
