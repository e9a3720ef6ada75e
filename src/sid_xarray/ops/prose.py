"""What verbs did, in the words of a paper: one sentence each, with parameters in units and citations.

A citation is ``[@key]`` or ``[@key; @key]``, a key of ``schema.references``. A verb without a sentence here is told by
its name and its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sid_xarray.core.evaluate import read_model
from sid_xarray.errors import ModelError
from sid_xarray.models import FitModel
from sid_xarray.schema import units

__all__ = ["TABLE", "Say", "and_", "model_references"]

Params = Mapping[str, Any]


class Say(Protocol):
    """How names, numbers and units are spelled where the sentence stands."""

    def dim(self, name: Any) -> str:
        """Return the name of a dimension."""

    def number(self, value: Any, unit: str = "1") -> str:
        """Return a number with its unit; text that has units of its own as it is."""

    def unit(self, dim: Any = "") -> str:
        """Return the unit that positions along a dimension had when the verb was at work; or the values, without."""


def and_(words: Iterable[str]) -> str:
    """Return ``"a, b and c"``."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _at(say: Say, dim: Any, value: Any) -> str:
    return say.number(value, say.unit(dim))


def _window(say: Say, dim: Any, where: Any) -> str:
    """Return ``"200 to 280 eV"``, also of several windows."""
    if isinstance(where, slice):
        where = (where.start, where.stop)
    if not isinstance(where, list | tuple):
        return _at(say, dim, where)
    if any(isinstance(one, list | tuple | slice) for one in where):
        return and_(_window(say, dim, one) for one in where)
    if len(where) != 2:
        return and_(_at(say, dim, one) for one in where)
    low, high = where
    if low is None or high is None:
        end = _at(say, dim, high if low is None else low)
        return f"all up to {end}" if low is None else f"all from {end}"
    if isinstance(low, str) or isinstance(high, str):
        return f"{_at(say, dim, low)} to {_at(say, dim, high)}"
    return f"{say.number(low)} to {_at(say, dim, high)}"


def _apply(p: Params, say: Say) -> str:
    version = f" {p['version']}" if p.get("version") else ""
    named = p.get("function") or p.get("name")
    place = "" if p.get("module") in (None, "?", "__main__") else f" of {p['module']}{version}"
    given = [*map(repr, p.get("args") or ()), *(f"{k} = {v!r}" for k, v in (p.get("kwargs") or {}).items())]
    held = "its source text" if p.get("source") else "no more than its name"
    about = "" if p.get("function") else f", of which the history holds {held},"
    return f"the function {named}{place}{about} was applied{f' with {and_(given)}' if given else ''}"


def _calibrate(p: Params, say: Say) -> str:
    found = {f"the {say.dim(dim)} axis": _scale(how, say, dim) for dim, how in (p.get("axes") or {}).items()}
    if p.get("data"):
        found["the values"] = _scale(p["data"], say, "")
    if len(found) == 1:
        ((what, how),) = found.items()
        return f"{what} {'were' if p.get('data') else 'was'} calibrated ({how})"
    return f"{and_(f'{what} ({how})' for what, how in found.items())} were calibrated"


def _scale(how: Any, say: Say, dim: Any) -> str:
    if not isinstance(how, Mapping):
        return str(how)
    unit = str(how.get("units", say.unit(dim)))
    said = []
    for key, value in how.items():
        if key == "points" and isinstance(value, Mapping):
            moved = (f"{_at(say, dim, a)} became {say.number(b, unit)}" for a, b in value.items())
            said.append(and_(moved))
        elif key == "positions":
            said.append("positions given one by one")
        elif key == "scale":
            said.append(f"scale {say.number(value)}")
        elif key != "units":
            said.append(f"{key} {say.number(value, unit)}")
    if "units" in how:
        said.append(f"in {units.display(unit)}")
    return ", ".join(said)


def _decompose(p: Params, say: Say) -> str:
    n = p.get("n_components")
    if p.get("method") == "nmf":
        seed = f", seed {p['seed']}" if p.get("seed") is not None else ""
        return (
            f"the data were decomposed into {n} non-negative components [@lee1999] by the algorithm of hierarchical "
            f"alternating least squares [@cichocki2009]{seed}"
        )
    how = "" if p.get("center", True) else " without subtraction of the mean"
    return f"the first {n} principal components were computed{how} [@jolliffe2002]"


def _evaluate(p: Params, say: Say) -> str:
    return "the model was evaluated with the parameters that were found"


def _components(p: Params, say: Say) -> str:
    return "the terms of the model were evaluated with the parameters that were found"


def _project_loops(p: Params, say: Say) -> str:
    return f"complex loops along {say.dim(p.get('dim'))} were rotated onto the real axis"


def _sho_guess(p: Params, say: Say) -> str:
    return (
        f"the resonance along {say.dim(p.get('dim'))} was estimated at every point by linear least squares "
        "[@levy1959; @sanathanan1963]"
    )


def _loop_guess(p: Params, say: Say) -> str:
    return f"loops along {say.dim(p.get('dim'))} were estimated from their levels and areas"


def _switching(p: Params, say: Say) -> str:
    part = say.number(100 * float(p.get("nucleation", 0.03)))
    return (
        f"coercive biases, imprint, nucleation biases (where {part} % has switched) and the work of switching were "
        "taken from the fitted loops [@jesse2006]"
    )


def _residuals(p: Params, say: Say) -> str:
    return "the fitted model was subtracted from the data"


def _fft(p: Params, say: Say) -> str:
    taper = f", after multiplication by a {p['window']} window [@harris1978]" if p.get("window") else ""
    return f"the discrete Fourier transform along {_dims(p, say)} was taken{taper}"


def _ifft(p: Params, say: Say) -> str:
    return f"the inverse Fourier transform along {_dims(p, say)} was taken"


def _dims(p: Params, say: Say) -> str:
    dims = p.get("dim") or []
    return and_(say.dim(d) for d in ([dims] if isinstance(dims, str) else dims))


def _find_peaks(p: Params, say: Say) -> str:
    dims = p.get("dim")
    many = isinstance(dims, list | tuple)
    along = f"of images in {and_(map(say.dim, dims))}" if isinstance(dims, list | tuple) else f"along {say.dim(dims)}"
    more = []
    for name in ("height", "prominence", "width"):
        if p.get(name) is not None:
            low, high = p[name] if isinstance(p[name], list | tuple) else (p[name], None)
            unit = say.unit(dims) if name == "width" else say.unit()
            more.append(f"{name} {_bounded(low, high, say, unit)}")
    if p.get("distance") is not None:
        more.append(f"{_lengths(p['distance'], dims, say)} or more apart")
    if p.get("smooth") is not None:
        more.append(f"after smoothing by a Gaussian with a standard deviation of {_lengths(p['smooth'], dims, say)}")
    if p.get("max_peaks") is not None:
        more.append(f"the {p['max_peaks']} {'highest' if many else 'most prominent'} at most")
    text = f"peaks {along} were found as local maxima, with positions from parabolas [@gasior2004]"
    return text + (f", {', '.join(more)}" if more else "")


def _lengths(given: Any, dims: Any, say: Say) -> str:
    """Return a length, or one for every dimension."""
    if isinstance(given, Mapping):
        return and_(f"{_at(say, d, v)} along {say.dim(d)}" for d, v in given.items())
    return _at(say, dims[0] if isinstance(dims, list | tuple) else dims, given)


def _fit(p: Params, say: Say) -> str:
    model = _model(p.get("model"))
    linear = model is not None and set(model.linear) == set(model.names)
    how = "linear least squares" if linear else "the Levenberg–Marquardt method [@marquardt1963; @more1978]"
    cited = f" [{'; '.join(f'@{key}' for key in found)}]" if (found := model_references(model)) else ""
    dims = p.get("dim")
    along = and_(map(say.dim, dims)) if isinstance(dims, list | tuple) else say.dim(dims)
    text = f'the model "{p.get("model")}"{cited} was fitted along {along} at every point by {how}'
    more = []
    if p.get("sigma"):
        more.append("weighted with the variance given" if p["sigma"] == "variance" else "with the weights given")
    if p.get("loss"):
        more.append(f"with the loss {str(p['loss']).replace('_', ' ')} [@huber1964]")
    for name, text_of in (p.get("tie") or {}).items():
        more.append(f"{name} tied to {text_of}")
    for name, (low, high) in (p.get("bounds") or {}).items():
        more.append(f"{name} {_bounded(low, high, say, _unit(model, name, p, say))}")
    fixed = p.get("fixed") or {}
    for name, value in fixed.items():
        at = "a starting value" if value is None else say.number(value, _unit(model, name, p, say))
        more.append(f"{name} held at {at}")
    free = [name for name in (p.get("guess") or {}) if name not in fixed]
    if p.get("maps"):
        free += [name for name in p["maps"] if name not in fixed]
    if free:
        more.append(f"starting values of {and_(free)} given")
    if p.get("at") is not None:
        width = "in windows"
        if p.get("window") != "map":
            given = p.get("window")
            width += f" of {_lengths(given, dims, say)}" if given is not None else " of three times their width"
        text = text.replace(" at every point by ", f" {width} around the positions of peaks by ")
    if p.get("refine"):
        more.append("repeated from the results of neighbouring points where it failed or stood out")
    return text + (f", {', '.join(more)}" if more else "")


def _bounded(low: Any, high: Any, say: Say, unit: str) -> str:
    if low is None or high is None:
        return f"below {say.number(high, unit)}" if low is None else f"above {say.number(low, unit)}"
    return f"between {say.number(low)} and {say.number(high, unit)}"


def _model(text: Any) -> FitModel | None:
    try:
        return read_model(text)
    except ModelError:  # of a package that is not installed here, or damaged text
        return None


def _unit(model: FitModel | None, name: str, p: Params, say: Say) -> str:
    param = next((q for q in (model.params if model else ()) if q.name == name), None)
    if param is None:
        return "1"
    of_y, of_x = param.exponents()
    dim = p.get("dim")
    along = say.unit(dim[0] if isinstance(dim, list) else dim)
    return units.multiply(units.power(say.unit(), of_y), units.power(along, of_x))


def model_references(model: FitModel | None) -> list[str]:
    """Return what the components of a fit model are cited as."""
    if model is None:
        return []
    parts = [term.model for term in model.terms] or [model]
    return list(dict.fromkeys(part.reference for part in parts if part.reference))


def _rebin(p: Params, say: Say) -> str:
    sizes = (
        f"{say.number(size)} along {say.dim(dim)}" if isinstance(size, str) else f"{size} samples along {say.dim(dim)}"
        for dim, size in (p.get("bins") or {}).items()
    )
    return f"the data were {'averaged' if p.get('reduce') == 'mean' else 'summed'} in bins of {and_(sizes)}"


def _reconstruct(p: Params, say: Say) -> str:
    which = p.get("components") or []
    several = "s" if len(which) > 1 else ""
    return f"the data were put together again from component{several} {and_(str(i) for i in which)}"


def _register(p: Params, say: Say) -> str:
    plane = and_(say.dim(d) for d in p.get("plane") or [])
    limit = ""
    if p.get("max_shift") is not None:
        dim = (p.get("plane") or [""])[0]
        limit = f", with shifts of {_at(say, dim, p['max_shift'])} at most"
    return (
        f"the drift along {say.dim(p.get('dim'))} in the plane of {plane} was found by cross-correlation with "
        f"sub-pixel resolution [@guizar2008] and corrected{limit}"
    )


def _remove_background(p: Params, say: Say) -> str:
    kind = {"power_law": "power law [@egerton2011]", "offset": "constant"}.get(str(p.get("model")), str(p.get("model")))
    if p.get("model") == "polynomial":
        kind = f"polynomial of degree {p.get('degree', 1)}"
    dim = p.get("dim")
    where = "to all points" if p.get("fit_range") is None else f"in the range {_window(say, dim, p['fit_range'])}"
    return f"a {kind} was fitted {where} along {say.dim(dim)} and subtracted as background"


def _sel(p: Params, say: Say) -> str:
    reduce = {"integrate": "integrated", "sum": "summed", "mean": "averaged"}
    widths, done = p.get("width") or {}, p.get("reduce")
    said = []
    for dim, where in (p.get("indexers") or {}).items():
        name = say.dim(dim)
        if dim in widths:
            said.append(f"the window of {_at(say, dim, widths[dim])} around {name} = {_at(say, dim, where)}")
        elif isinstance(where, list | tuple | slice):
            said.append(f"the range {_window(say, dim, where)} of {name}")
        else:
            said.append(f"the point nearest to {name} = {_at(say, dim, where)}")
    kept = any(isinstance(w, list | tuple | slice) or d in widths for d, w in (p.get("indexers") or {}).items())
    verb = "selected"
    if done and kept:
        verb = f"selected and {reduce.get(done, f'reduced to its {done}')}"
    return f"{and_(said)} {'was' if len(said) == 1 else 'were'} {verb}"


def _to_units(p: Params, say: Say) -> str:
    said = [f"the {say.dim(dim)} axis to {units.display(unit)}" for dim, unit in (p.get("axes") or {}).items()]
    if p.get("data"):
        said.append(f"the values to {units.display(str(p['data']))}")
    return f"units were converted: {and_(said)}"


def _within(p: Params, say: Say) -> str:
    region = p.get("region") or {}
    dims, at = list(region.get("dims") or []), list(region.get("at") or [])
    said = region.get("units") or [say.unit(d) for d in dims]
    reduce = {"sum": "summed", "mean": "averaged"}
    done = p.get("reduce")
    verb = f"selected and {reduce.get(done, f'reduced to its {done}')}" if done else "selected"
    if region.get("kind") == "point":
        where = and_(f"{say.dim(d)} = {say.number(v, u)}" for d, v, u in zip(dims, at, said, strict=False))
        return f"the point nearest to {where} was selected"
    if region.get("kind") in ("interval", "box"):
        pairs = [at] if region["kind"] == "interval" else at
        where = and_(
            f"{say.number(low)} to {say.number(high, u)} of {say.dim(d)}"
            for d, (low, high), u in zip(dims, pairs, said, strict=False)
        )
        return f"the region {where} was {verb}"
    where = f"in the plane of {and_(say.dim(d) for d in dims)}"
    if region.get("kind") == "aperture":
        *center, inner, outer = at
        middle = and_(f"{say.dim(d)} = {say.number(v, u)}" for d, v, u in zip(dims, center, said, strict=False))
        ring = f"the ring from {say.number(inner)} to" if inner else "the disc with radius"
        return f"{ring} {say.number(outer, said[0] if said else '1')} around {middle} was {verb}"
    return f"a polygon with {len(at)} corners {where} was {verb}"


TABLE: dict[str, Callable[[Params, Say], str]] = {
    "apply": _apply,
    "calibrate": _calibrate,
    "decompose": _decompose,
    "components": _components,
    "evaluate": _evaluate,
    "fft": _fft,
    "find_peaks": _find_peaks,
    "fit": _fit,
    "ifft": _ifft,
    "loop_guess": _loop_guess,
    "project_loops": _project_loops,
    "rebin": _rebin,
    "reconstruct": _reconstruct,
    "residuals": _residuals,
    "register": _register,
    "remove_background": _remove_background,
    "sel": _sel,
    "sho_guess": _sho_guess,
    "switching": _switching,
    "to_units": _to_units,
    "within": _within,
}
