"""Components: exact, out of core, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import DimensionError, ModelError
from sid_xarray.testing import no_compute


def mixture(*, noise: float = 0.0, dtype: str = "f8"):
    """Three Gaussian lines in random amounts."""
    rng = np.random.default_rng(2)
    energy = np.linspace(0, 10, 60)
    lines = np.exp(-0.5 * ((energy - np.array([[2.0], [5.0], [7.0]])) / 0.5) ** 2)
    amounts = rng.uniform(size=(12, 15, 3)) * [3, 2, 1]
    values = (amounts @ lines + noise * rng.normal(size=(12, 15, 60))).astype(dtype)
    dims = {"y": (1, "nm"), "x": (1, "nm"), "energy": (energy, "eV")}
    return sid.dataarray(values, dims, units="count", quantity="intensity"), amounts, lines


def test_principal_components_are_those_of_the_svd():
    da, *_ = mixture(noise=0.1)
    found = da.sid.decompose(5)
    table = da.values.reshape(-1, 60)
    table = table - table.mean(axis=0)
    u, s, vt = np.linalg.svd(table, full_matrices=False)
    np.testing.assert_allclose(found.explained_variance, s[:5] ** 2 / (len(table) - 1), rtol=1e-9)
    np.testing.assert_allclose(found.explained_variance_ratio, (s**2 / (s**2).sum())[:5], rtol=1e-9)
    same = np.abs(np.sum(found.components.values * vt[:5], axis=1))
    np.testing.assert_allclose(same, 1, rtol=1e-9)
    scores = np.abs(found.scores.values.reshape(5, -1).T)
    np.testing.assert_allclose(scores, np.abs(u[:, :5] * s[:5]), rtol=1e-6, atol=1e-9)


def test_as_many_components_as_there_are_give_the_data_back():
    da, *_ = mixture()
    found = da.sid.decompose(3)
    assert float(found.explained_variance_ratio.sum()) == pytest.approx(1, abs=1e-12)
    back = found.sid.reconstruct()
    np.testing.assert_allclose(back, da, atol=1e-12)
    assert back.dims == da.dims
    assert back.units == "count"
    one = found.sid.reconstruct([1])
    expected = (found.scores[1] * found.components[1] + found["mean"]).transpose(*da.dims)
    np.testing.assert_allclose(one, expected)
    assert back.sid.provenance.operations[-2:] == ("decompose", "reconstruct")


def test_noise_is_left_out():
    clean, *_ = mixture()
    noisy, *_ = mixture(noise=0.3)
    back = noisy.sid.decompose(3).sid.reconstruct()
    assert float(((back - clean) ** 2).mean()) < 0.1 * float(((noisy - clean) ** 2).mean())


@pytest.mark.parametrize("chunks", [{"y": 3}, {"y": 5, "x": 4}, {"energy": 20}])
def test_blocks_do_not_matter_and_nothing_is_computed(chunks):
    da, *_ = mixture(noise=0.1)
    da[3, 4] = np.nan
    with no_compute():
        lazy = da.chunk(chunks).sid.decompose(3)
    eager = da.sid.decompose(3)
    for name in eager:
        np.testing.assert_allclose(lazy[name].values, eager[name].values, rtol=1e-9, atol=1e-12)
    assert eager.scores[:, 3, 4].isnull().all()
    assert int(eager.scores.isnull().sum()) == 3


def test_patterns_of_two_dimensions():
    rng = np.random.default_rng(0)
    dims = {"y": (1, "nm"), "x": (1, "nm"), "ky": (0.1, "1/nm"), "kx": (0.1, "1/nm")}
    da = sid.dataarray(rng.normal(size=(5, 6, 4, 3)), dims, units="count")
    found = da.sid.decompose(4)
    assert found.components.dims == ("component", "ky", "kx")
    assert found.scores.dims == ("component", "y", "x")
    full = da.sid.decompose(12).sid.reconstruct()
    np.testing.assert_allclose(full, da, atol=1e-12)


def test_nonnegative_components_find_the_lines_and_repeat_with_the_seed():
    pytest.importorskip("sklearn")
    da, _, lines = mixture()
    da[2, 2] = np.nan
    found = da.sid.decompose(3, method="nmf", seed=7)
    assert (found.components >= 0).all()
    length = np.linalg.norm(lines, axis=1)
    alike = found.components.values @ (lines / length[:, np.newaxis]).T
    assert (alike.max(axis=1) > 0.98).all()
    assert sorted(alike.argmax(axis=1)) == [0, 1, 2]
    assert float(found.residual) < 0.05
    assert found.scores[:, 2, 2].isnull().all()
    assert found.sid.provenance.parameters()["seed"] == 7
    again = da.sid.decompose(3, method="nmf", seed=7)
    for name in found:
        np.testing.assert_array_equal(found[name], again[name])
    drawn = da.sid.decompose(3, method="nmf", iterations=20)
    repeat = da.sid.decompose(3, method="nmf", iterations=20, seed=drawn.sid.provenance.parameters()["seed"])
    np.testing.assert_array_equal(drawn.components, repeat.components)
    with no_compute():
        lazy = da.chunk({"y": 4}).sid.decompose(3, method="nmf", seed=7)
    np.testing.assert_allclose(lazy.components, found.components, rtol=1e-9)


def test_too_few_samples_give_nan_and_no_noise():
    da, *_ = mixture()
    found = da[:1, :2].sid.decompose(3)
    assert np.isfinite(found.components[0]).all()
    assert found.components[1:].isnull().all()


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"method": "ica"}, ModelError, "no decomposition"),
        ({"n_components": 0}, DimensionError, "1 or more"),
        ({"n_components": 61}, DimensionError, "there are fewer"),
        ({"dim": "time"}, DimensionError, "no dimension 'time'"),
        ({"dim": ("energy", "energy")}, DimensionError, "named twice"),
        ({"method": "nmf", "seed": "a"}, DimensionError, "seed is a whole number"),
        ({"method": "nmf", "iterations": 0}, DimensionError, "iterations is a whole number of 1"),
        ({"dim": ("y", "x", "energy")}, DimensionError, "one spectrum only"),
    ],
)
def test_what_cannot_be_decomposed(asked, error, said):
    with pytest.raises(error, match=said):
        mixture()[0].sid.decompose(**asked)
    pytest.importorskip("sklearn")
    with pytest.raises(ModelError, match="zero or more"):
        (mixture()[0] - 1).sid.decompose(2, method="nmf")
    with pytest.raises(DimensionError, match="what decompose gives"):
        mixture()[0].to_dataset(name="a").sid.reconstruct()


@pytest.mark.filterwarnings("error")
def test_an_infinity_is_left_out_like_nan():
    da, *_ = mixture()
    da[3, 4, 5] = np.inf
    found = da.sid.decompose(3)
    assert found.scores[:, 3, 4].isnull().all()
    assert int(found.scores.isnull().sum()) == 3
