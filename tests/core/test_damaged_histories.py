"""Histories that someone edited at random: whatever is asked of them gives an answer, or an error of ours."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.core.history import recipe_id
from sid_xarray.core.registry import VERBS
from sid_xarray.core.replay.plan import make_plan

VALUES: list[Any] = [
    None, True, -1, 10**20, 0.5, "", "x", "energy", "~", "\n", "\x1b[2J", "<script>", [], {}, [[]], [1, 2],
    {"~": "in", "v": 0}, {"~": "in", "v": 9}, {"~": "slice", "v": [0, 1, None]}, {"~": "tuple", "v": ["x", 1]},
    {"~": "array", "dtype": "<f8", "shape": [1], "v": "AAAAAAAA8D8="}, {"~": "float", "v": "nan"},
    {"~": "complex", "v": [1, 2]}, {"~": "datetime", "v": "2020-01-01"}, {"~": "opaque", "v": "a"},
    {"~": "dataarray", "v": [["x"], [1, 2]], "coords": {}}, {"~": "dict", "v": [["x", 1]]}, {"~": "set", "v": [1]},
    {"~": "timedelta", "v": [10**30, 2, 3]}, {"~": "bytes", "v": "AA=="}, {"~": "..."}, {"~": 1},
]  # fmt: skip
PLAIN = (
    "xr:mean@1 xr:getitem@1 xr:loc@1 xr:coord@1 xr:rolling.mean@1 xr:dt.month@1 xr:T@1 xr:rsub@1 xr:abs@1 np:exp@1 "
    "np:add@1 sid:unrecorded@1 sid:open@1 sid:input@1 x"
).split()


def samples() -> list[xr.DataArray]:
    da = sid.datasets.peak_map()
    fit = da.sid.fit("gaussian + constant")
    return [
        da.sid.rebin(x=2).sid.fit("gaussian + constant").center,
        da.sid.trace(lambda d: (d - d.rolling(x=3).mean()).isel(x=slice(1, None)).where(d > 3) * np.arange(64.0)),
        sid.concat([da, da * 2], xr.DataArray([1.0, 2.0], dims="T", name="T")),
        fit.sid.residuals(da),
        fit.sid.evaluate(da.energy),
        sid.datasets.bfo_iv().sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.apply(np.round, 1),
    ]


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield (*at, key)
        yield from places(tree[key], (*at, key))


def edited(da: xr.DataArray, rng: random.Random) -> xr.DataArray:
    """Return the array with a history that was edited, and whose addresses were made anew as far as they can be."""
    (key,) = [k for k in da.attrs if k.startswith("sid_prov_")]
    plain = json.loads(da.attrs[key])
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.25:
            rng.choice(plain["steps"])["op"] = rng.choice([*PLAIN, *(f"sid:{name}@1" for name in VERBS)])
            continue
        *way, last = rng.choice([p for p in places(plain) if p[0] == "steps" and len(p) > 2])
        inner = plain
        for k in way:
            inner = inner[k]
        inner[last] = copy.deepcopy(rng.choice(VALUES))
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        new: dict[str, str] = {}
        for step in plain["steps"]:
            if step["in"]:
                step["in"] = [[role, new.get(k, k)] for role, k in step["in"]]
                address = recipe_id(step["op"], step["p"], [(r, k) for r, k in step["in"]], step.get("part"))
                new[step["id"]] = step["id"] = address
        plain["head"] = next(reversed(new.values()), plain["head"])
    text = json.dumps(plain)
    attrs = {k: v for k, v in da.attrs.items() if k != key}
    name = f"sid_prov_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return da.drop_attrs(deep=False).assign_attrs({**attrs, name: text})


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_asked_of_a_damaged_history_is_answered(seed, tmp_path):
    rng = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrays = samples()
        for _ in range(40):
            da = edited(rng.choice(arrays), rng)
            view = da.sid.provenance
            asked = (
                lambda v=view: repr(v),
                lambda v=view: v._repr_html_(),
                lambda v=view: compile(v.to_script(), "script", "exec"),
                lambda v=view: v.to_notebook(),
                lambda v=view: v.methods_text(),
                lambda v=view: v.diff(arrays[0]),
                lambda v=view: repr(v.environment()),
                lambda v=view: v.to_prov_json(),
                lambda v=view: make_plan(v),
                lambda v=view: [v.parameters(step.id) for step in v],
                lambda d=da: d.sid.rebin({d.dims[0]: 1}).sid.provenance.status,
            )
            for ask in asked:
                with contextlib.suppress(sid.SidError):
                    ask()
    da.rename("edited").sid.to_nsid(tmp_path / "a.h5")
    assert sid.verify(tmp_path / "a.h5")
