"""A history as the methods of a paper."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.history import records
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.registry import MODELS
from sid_xarray.ops import TABLE, prose
from sid_xarray.schema.references import TABLE as REFERENCES
from sid_xarray.schema.references import reference

DOI = re.compile(r"10\.\d{4,}/[^\s`,;]+[^\s`,;.)]")


def text(obj: xr.DataArray | xr.Dataset, **opts: bool) -> str:
    return obj.sid.provenance.methods_text(**opts)


def body(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the sentences about the steps alone."""
    found = text(obj, citations=False)
    return found.partition(". ")[2].partition(" The analysis was made with")[0]


@pytest.fixture
def cube() -> xr.DataArray:
    return sid.datasets.peak_map()


def test_the_demo_reads_like_a_paper():
    si = sid.datasets.bfo_iv()
    background = si.sid.remove_background("offset", fit_range=(8500, 8800))
    found = text(background.signal.sid.fit("linear"))
    lines = found.splitlines()
    assert lines[0].startswith(
        "Data were taken from the file bfo_iv_final.hf5 (/Measurement_000/Channel_000/IV_BFO/IV_BFO). "
        "A constant was fitted in the range 8500 to 8800 √(V/m) along √E and subtracted as background. "
        'The model "linear" was fitted along √E at every point by linear least squares. '
        f"The analysis was made with sid-xarray {sid.__version__}, xarray {xr.__version__} [1], NumPy "
    )
    assert lines[2].startswith("[1] S. Hoyer, J. Hamman, xarray")
    assert lines[2].endswith("https://doi.org/10.5334/jors.148")


SENTENCES = {
    "A power law was fitted in the range 200 to 280 eV along energy and subtracted as background.": lambda: (
        sid.datasets.edge_map().sid.remove_background("power_law", fit_range=(200, 280)).signal
    ),
    "A polynomial of degree 2 was fitted to all points along energy and subtracted as background.": lambda: (
        sid.datasets.edge_map().sid.remove_background("polynomial", degree=2).signal
    ),
    "A constant was fitted in the range 0.2 keV to 0.21 keV and 210 to 220 eV along energy and subtracted as "
    "background.": lambda: (
        sid.datasets.edge_map().sid.remove_background("offset", fit_range=[("0.2 keV", "0.21 keV"), (210, 220)]).signal
    ),
    "The data were summed in bins of 2 samples along energy and 2 nm along x.": lambda: (
        sid.datasets.peak_map().sid.rebin(energy=2, x="2 nm")
    ),
    "The data were averaged in bins of 2 samples along y.": lambda: sid.datasets.peak_map().sid.rebin(
        y=2, reduce="mean"
    ),
    "The point nearest to energy = 5 eV was selected.": lambda: sid.datasets.peak_map().sid.sel(energy=5.0),
    "The window of 2 eV around energy = 5 eV was selected and averaged.": lambda: sid.datasets.peak_map().sid.sel(
        energy=5.0, width={"energy": 2.0}
    ),
    "The range 2 to 4 eV of energy and the point nearest to x = 3 nm were selected and integrated.": lambda: (
        sid.datasets.peak_map().sid.sel(energy=(2, 4), x=3.0, reduce="integrate")
    ),
    "The range all from 4 eV of energy was selected.": lambda: sid.datasets.peak_map().sid.sel(energy=slice(4, None)),
    "The energy axis was calibrated (2 eV became 2.5 eV).": lambda: sid.datasets.peak_map().sid.calibrate(
        energy={"points": {2.0: 2.5}}
    ),
    "The energy axis (offset 1 eV, scale 2) and the values (scale 3, in nN) were calibrated.": lambda: (
        sid.datasets.peak_map().sid.calibrate(energy={"scale": 2, "offset": 1.0}, data={"scale": 3, "units": "nN"})
    ),
    "The discrete Fourier transform along y and x was taken, after multiplication by a hann window. The inverse "
    "Fourier transform along ky and kx was taken.": lambda: (
        sid.datasets.lattice_image().sid.fft(window="hann").sid.ifft()
    ),
    'The model "gaussian + constant" was fitted along energy at every point by the Levenberg–Marquardt method, center '
    "between 1 and 8 eV, sigma above 0.1 eV, offset held at 1 counts, starting values of height given.": lambda: (
        sid.datasets.peak_map()
        .sid.fit(
            "gaussian + constant",
            bounds={"center": (1, 8), "sigma": (0.1, None)},
            fixed={"offset": 1.0},
            guess={"height": 100.0},
        )
        .center
    ),
    "The mean along energy was taken. In the original data, the result of mean was subtracted.": lambda: (
        sid.datasets.peak_map().sid.trace(lambda d: d - d.mean("energy"))
    ),
    "The data were divided by 2. The operation rolling(x=3).mean() of xarray was applied. Log10 of the data was "
    "taken.": lambda: sid.datasets.peak_map().sid.trace(lambda d: np.log10((d / 2).rolling(x=3).mean())),
    "The data were summed in bins of 2 samples along x. A step followed that was not recorded (the values were changed "
    "after the last step). The data were summed in bins of 2 samples along y.": lambda: (
        sid.datasets.peak_map().sid.rebin(x=2) * 2
    ).sid.rebin(y=2),
}


@pytest.mark.parametrize("said", SENTENCES)
def test_sentences(said):
    assert body(SENTENCES[said]()) == said


def test_two_inputs_have_names(cube):
    other = sid.datasets.peak_map(seed=1)
    both = (cube.sid.rebin(x=2) - other.sid.rebin(x=2)).sid.rebin(y=2)
    found = text(both, citations=False)
    assert found.startswith(
        "The data were A, an array in memory (intensity, 6 × 8 × 64 points); and B, an array in memory"
    )
    assert "In data A, the data were summed in bins of 2 samples along x." in found
    assert "In data B, the data were summed in bins of 2 samples along x." in found
    assert (
        "Plain arithmetic joined the result of the first rebin and the result of the second rebin; no details of it "
        "were recorded." in found
    )


def test_joined_arrays_and_functions(cube):
    def halve(da, by=2):
        return da / by

    joined = sid.concat([cube, sid.datasets.peak_map(seed=1)], dim="z").sid.apply(halve, by=3)
    found = text(joined, citations=False)
    assert "Data A and data B were joined along z." in found
    assert "The function test_joined_arrays_and_functions.<locals>.halve" in found
    assert "of which the history holds its source text, was applied with by = 3." in found


def test_a_verb_of_another_package_is_told_by_its_parameters(cube):
    from sid_xarray.core.stamping import stamp

    out = stamp(cube * 2, "sharpen", cube, radius=3, mode="edge", by=np.median)
    assert body(out) == (
        "Sharpen was applied with by = numpy:median, mode = edge, radius = 3; by is a function whose code the history "
        "does not hold."
    )


def test_nothing_is_nothing(cube):
    assert text(cube.drop_attrs()) == ""
    assert cube.drop_attrs().sid.provenance.references() == []


def test_lazy_data_are_said_to_be(cube):
    lazy = cube.drop_attrs(deep=False).chunk().sid.rebin(x=2)
    assert "whose values were not computed then" in text(lazy)


def test_references_are_numbered_as_they_come(cube):
    out = sid.datasets.edge_map().sid.remove_background("power_law", fit_range=(200, 280)).signal
    found = out.sid.provenance.references()
    assert found[0] == REFERENCES["egerton2011"]
    assert [f"[{i}] {ref}" for i, ref in enumerate(found, 1)] == text(out).splitlines()[2:]
    fit = cube.sid.fit("lorentzian + constant").sid.provenance.references()
    assert fit[0].doi == "10.1103/PhysRev.49.519"
    assert {"marquardt1963", "more1978"} <= {k for k, v in REFERENCES.items() if v in fit}
    linear = cube.sid.fit("linear").sid.provenance.references()
    assert REFERENCES["more1978"] not in linear


def test_versions_that_changed_on_the_way_are_all_named(cube):
    import dataclasses

    view = cube.sid.rebin(x=2).sid.rebin(y=2).sid.provenance
    steps = dict(view._history.steps)
    first = view.steps[1]
    steps[first.id] = dataclasses.replace(first, agents={**first.agents, "numpy": "1.0"})
    found = Provenance(dataclasses.replace(view._history, steps=steps), "unknown").methods_text(citations=False)
    assert f"NumPy {np.__version__} and 1.0" in found or f"NumPy 1.0 and {np.__version__}" in found


@pytest.mark.parametrize(
    "params",
    [{"model": 3}, {"model": "gaussian", "bounds": 4}, {"fit_range": {"a": 1}}, {"bins": [1]}, {"indexers": "x"},
     {"axes": {"x": 4}}, {"dim": {"a": []}, "model": "nobody + knows"}, {"args": 3}, {"kwargs": [1]}, {}],
)  # fmt: skip
@pytest.mark.parametrize(
    "op", [f"sid:{name}@1" for name in prose.TABLE] + ["xr:mean@1", "xr:add@1", "np:exp@1", "junk"]
)
def test_damaged_parameters_still_give_a_sentence(op, params, cube):
    plain = {
        "v": 1,
        "head": "b",
        "steps": [{"id": "a", "op": "sid:input@1"}, {"id": "b", "op": op, "p": params, "in": [["in", "a"]]}],
    }
    da = cube.drop_attrs().assign_attrs({"sid_prov_0": records.dumps(plain)})
    assert text(da)


# ---------------------------------------------------------------- the tables


@pytest.mark.parametrize("name", TABLE)
def test_verbs_know_their_references(name):
    """What the documentation of a verb cites, its row names: then texts cite it, too."""
    import importlib

    module, _, function = TABLE[name].place.partition(":")
    doc = getattr(importlib.import_module(module), function).__doc__ or ""
    named = {REFERENCES[key].doi for key in TABLE[name].references}
    missing = set(DOI.findall(doc)) - named
    assert not missing, f"add them to schema/references.py, and the keys to ops.TABLE[{name!r}].references"


@pytest.mark.parametrize("name", sorted(set(prose.TABLE) & set(TABLE)))
def test_a_sentence_cites_what_the_row_of_the_verb_names(name):
    import inspect

    cited = set(re.findall(r"@([a-z]+\d{4})", inspect.getsource(prose.TABLE[name])))
    assert cited <= set(TABLE[name].references)


@pytest.mark.parametrize("name", MODELS)
def test_references_of_models_are_known(name):
    if MODELS[name].reference:
        assert str(reference(MODELS[name].reference))


@pytest.mark.parametrize("key", REFERENCES)
def test_references_are_whole(key):
    ref = REFERENCES[key]
    assert ref.authors and ref.title and ref.source
    assert ref.year is not None and str(ref.year)[:2] in ("19", "20")
    assert DOI.fullmatch(ref.doi)
    assert reference(ref.url) is ref
    assert reference(key) is ref


def test_an_address_that_nobody_knows_stands_for_itself():
    assert str(reference("https://doi.org/10.1000/xyz")) == "https://doi.org/10.1000/xyz"
    assert str(reference("a book")).startswith("a book")
