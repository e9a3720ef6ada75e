"""Draw the pictures of the gallery: ``python docs/guide/gallery/make.py FOLDER``, where the files lie."""

import sys
from pathlib import Path

import numpy as np
import xarray as xr

import sid_xarray as sid

HERE = Path(__file__).parent


def arrays(tree):
    """Return all arrays of a file by name."""
    return {str(name): da for node in tree.subtree for name, da in node.to_dataset().data_vars.items()}


def columns(image):
    """Return a fit at the columns of an image, the place of a bright one, and two vectors to its neighbours."""
    peaks = image.sid.find_peaks(dim=("y", "x"), smooth="0.44 angstrom", prominence=0.5)
    fit = image.sid.fit("gaussian2d + constant", at=peaks, window="2.2 angstrom")
    bright = fit.where(fit.height > 5, drop=True)
    places = np.stack([bright.center_x.values, bright.center_y.values], axis=1)
    places = places[np.argsort(np.hypot(*(places - np.median(places, axis=0)).T))]
    middle = places[0]
    away = places - middle
    away = away[np.argsort(np.hypot(*away.T))][1:]
    a = away[0]
    b = next(v for v in away if abs(a[0] * v[1] - a[1] * v[0]) > 0.7 * np.hypot(*a) * np.hypot(*v))
    return fit, middle, a, b


def diffraction():
    """Return patterns of a crystal with a precipitate, at every pixel of a scan."""
    rng = np.random.default_rng(1)
    k = np.arange(64) * 0.5 - 16.0
    kx, ky = k[None, :], k[:, None]
    y, x = np.mgrid[:24, :36]
    thick = (1 + 0.8 * np.exp(-((x - 12) ** 2 + (y - 9) ** 2) / 20) + 0.5 * (x > 25))[..., None, None]
    angles = np.arange(6) * np.pi / 3 + 0.2
    spots = sum(np.exp(-((kx - 1 - 5.5 * np.cos(a)) ** 2 + (ky + 2 - 5.5 * np.sin(a)) ** 2) / 0.6) for a in angles)
    disc = (np.hypot(kx - 1, ky + 2) < 2.2) * 1.0
    halo = np.exp(-((kx - 1) ** 2 + (ky + 2) ** 2) / 120)
    counts = rng.poisson(100 * disc / thick + 20 * spots * thick + 4 * halo * thick).astype("u2")
    dims = {"y": (0.2, "nm"), "x": (0.2, "nm"), "ky": (k, "mrad"), "kx": (k, "mrad")}
    return sid.dataarray(counts, dims=dims, units="count", quantity="intensity")


def main(folder):
    def put(picture, name, **opts):
        sid.save(picture, HERE / f"{name}.png", dpi=100, **opts)

    sto = next(iter(arrays(sid.open(folder / "STO_test_image.hf5")).values())).sid.plot
    image = next(iter(arrays(sid.open(folder / "STO_test_image.hf5")).values()))
    put(sto(title="SrTiO₃, HAADF"), "image")
    part = image.isel(x=slice(20, 140), y=slice(20, 140)).transpose("y", "x")
    fit, middle, a, b = columns(part)
    put(part.sid.plot.peaks(positions=fit, title="columns"), "peaks")
    put(part.sid.plot.lattice(a=tuple(a), b=tuple(b), origin=tuple(middle), title="unit cell"), "lattice")

    iv = sid.datasets.bfo_iv()
    put(iv.sid.plot(window=(10000, 11000)), "spectral_image")
    bias = iv.dims[-1]
    put(iv.sid.plot.stack(show="montage", dim=bias, frames=4, cmap="viridis"), "stack")
    put(iv.sid.plot.curve(isel={iv.dims[0]: slice(20, 28), iv.dims[1]: 25}), "curve")
    fit = iv.sid.fit("linear")
    put(fit.sid.plot.fit(data=iv), "fit")
    parts = iv.sid.decompose(method="pca", n_components=3)
    put(parts.sid.plot.components(components=2), "components")
    put(parts.sid.plot.scree(), "scree")

    pfm = arrays(sid.open(folder / "PTO_Funakubo0001.h5"))
    amplitude, phase = pfm["Channel_1"], pfm["Channel_3"]  # the file gives places of the phase in degrees: not used
    wave = amplitude * np.exp(1j * np.deg2rad(phase.values))
    wave.attrs = {**amplitude.attrs, "long_name": "response"}
    put(wave.sid.plot(), "complex")
    put(wave.sid.plot(component="hue", gamma=0.6), "hue")
    put(xr.Dataset({name: pfm[name] for name in ("Channel_0", "Channel_1", "Channel_2")}), "map_grid")

    scan = diffraction()
    put(scan.sid.plot(inner=8, outer="14 mrad"), "four_d")

    spectra = arrays(sid.open(folder / "test_mdt.mdt"))["Iprobe_forward"]
    put(spectra.sid.plot(window=(1.5, 2)), "points")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
