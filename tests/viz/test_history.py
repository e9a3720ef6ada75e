"""Histories as a card and as a graph: everything is there, nothing lies on anything else."""

from __future__ import annotations

import html.parser
import itertools
import random
import re

import pytest

import sid_xarray as sid
from sid_xarray.core.calls import Call
from sid_xarray.core.history import History, Step
from sid_xarray.core.provenance import Provenance
from sid_xarray.errors import ProvenanceError
from sid_xarray.viz._history_layout import in_columns, in_rows


def chain(n: int) -> Provenance:
    steps = [Step("s0", "sid:open@1", {"name": "raw.h5", "sha256": "a", "size": 1})]
    steps += [
        Step(f"s{i}", "sid:calibrate@1", {"axes": {"x": {"offset": i}}}, (("in", f"s{i - 1}"),)) for i in range(1, n)
    ]
    return Provenance(History({s.id: s for s in steps}, (steps[-1].id,)), "verified")


def tangle(n: int, seed: int) -> Provenance:
    """Return a history in which any step may use any two before it."""
    rng = random.Random(seed)
    steps = [Step(f"r{i}", "sid:open@1", {"name": f"{i}.h5"}) for i in range(3)]
    for i in range(n):
        some = rng.sample([s.id for s in steps[-8:]], k=rng.choice([1, 1, 1, 2]))
        steps.append(Step(f"s{i}", "sid:x@1", {"i": i}, tuple((f"in{k}", s) for k, s in enumerate(some))))
    return Provenance(History({s.id: s for s in steps}, (steps[-1].id,)), "unknown")


HISTORIES = {"one": chain(1), "chain": chain(5), "fifty": chain(50)} | {f"tangle {i}": tangle(25, i) for i in range(12)}
EACH = pytest.mark.parametrize("name", HISTORIES)


@EACH
@pytest.mark.parametrize("layout", [in_rows, in_columns])
def test_no_two_boxes_share_a_place_and_no_line_meets_a_box(name, layout):
    nodes, edges = layout(HISTORIES[name].calls)
    places = [(node.layer, node.lane) for node in nodes]
    assert len(set(places)) == len(places)
    taken = dict(zip(places, nodes, strict=True))
    for edge in edges:
        a, b = nodes[edge.source], nodes[edge.target]
        assert a.layer < b.layer
        # A line keeps to the lane of its source up to the column before its target.
        for layer in range(a.layer + 1, b.layer):
            assert (layer, a.lane) not in taken, f"{a} to {b}"


@EACH
def test_lines_of_two_sources_do_not_run_on_one_another(name):
    nodes, edges = in_columns(HISTORIES[name].calls)
    used: dict[tuple[int, int], int] = {}
    for edge in edges:
        a, b = nodes[edge.source], nodes[edge.target]
        for layer in range(a.layer, b.layer):
            assert used.setdefault((layer, a.lane), edge.source) == edge.source


def test_a_chain_is_straight():
    nodes, _ = in_columns(chain(30).calls)
    assert {node.lane for node in nodes} == {0}
    assert [node.layer for node in nodes] == list(range(30))


def test_roots_stand_before_what_needs_them():
    steps = [Step("a", "sid:open@1"), Step("z", "sid:input@1")]
    steps += [Step(f"b{i}", "sid:x@1", {"i": i}, (("in", f"b{i - 1}" if i else "a"),)) for i in range(4)]
    steps.append(Step("end", "sid:y@1", {}, (("in0", "b3"), ("in1", "z"))))
    nodes, _ = in_columns(Provenance(History({s.id: s for s in steps}, ("end",)), "unknown").calls)
    by_id = {node.call.step.id: node for node in nodes}
    assert by_id["z"].layer == by_id["end"].layer - 1


# ---------------------------------------------------------------- the graph


def boxes(overlay, hv):
    (found,) = [e for e in overlay if isinstance(e, hv.Rectangles)]
    return found.dframe()


@EACH
def test_a_graph_has_a_box_a_call_and_boxes_are_apart(name, hv):
    history = HISTORIES[name]
    frame = boxes(history.graph(), hv)
    assert len(frame) == len(history.calls)
    for (_, a), (_, b) in itertools.combinations(frame.iterrows(), 2):
        assert a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0


@EACH
def test_no_line_crosses_a_box(name, hv):
    (overlay, frame) = ((g := HISTORIES[name].graph()), boxes(g, hv))
    (paths,) = [e for e in overlay if isinstance(e, hv.Path)]
    for path in paths.split(datatype="array"):
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            for k in range(21):  # points of the segment, the ends left out: they touch boxes
                x, y = x0 + (x1 - x0) * k / 20, y0 + (y1 - y0) * k / 20
                inside = (frame.x0 + 1e-6 < x) & (x < frame.x1 - 1e-6) & (frame.y0 + 1e-6 < y) & (y < frame.y1 - 1e-6)
                assert not inside.any()


def test_a_long_history_is_broken_into_rows(hv):
    frame = boxes(chain(50).graph(columns=7), hv)
    assert frame.x0.nunique() == 7
    assert frame.y0.nunique() == 8
    assert boxes(chain(50).graph(columns=10), hv).x0.nunique() == 10


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_it_is_drawn_by_both(backend, hv, tmp_path):
    fit = sid.datasets.bfo_iv().sid.remove_background("offset", fit_range=(8500, 8800)).signal.sid.fit("linear")
    drawn = fit.sid.provenance.graph(backend=backend)
    assert hv.Store.current_backend == backend
    assert hv.render(drawn, backend=backend)
    sid.save(drawn, tmp_path / ("a.html" if backend == "bokeh" else "a.png"))


def test_what_hovering_tells(hv):
    frame = boxes(sid.datasets.peak_map().sid.fit("gaussian + constant").sid.provenance.graph(), hv)
    last = frame.iloc[-1]
    assert last.operation == "sid:fit@1"
    assert "model = 'gaussian + constant'" in last.parameters
    assert last.results.startswith("height, height_stderr, center")
    assert frame.iloc[0]["shape"] == "6 × 8 × 64"


def test_an_empty_history_is_not_drawn():
    pytest.importorskip("holoviews")
    with pytest.raises(ProvenanceError, match="there is no history to draw"):
        Provenance(History(), "none").graph()
    with pytest.raises(ValueError, match="columns is the number of boxes in a row"):
        chain(3).graph(columns=0)


# ---------------------------------------------------------------- the card


class Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("path", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "circle"):
            assert self.open.pop() == tag


@EACH
def test_a_card_is_folded_sound_and_without_scripts(name):
    text = HISTORIES[name]._repr_html_()
    parser = Parser()
    parser.feed(text)
    assert not parser.open
    assert "script" not in parser.seen
    assert text.startswith('<details class="sid-history"')
    assert "<details open" not in text
    assert text.count("<circle") == len(HISTORIES[name].calls)


def test_a_card_of_fifty_steps_is_light():
    assert len(chain(50)._repr_html_()) < 30_000


def test_a_card_of_very_many_steps_says_what_is_left_out():
    text = chain(1000)._repr_html_()
    assert "800 earlier steps are not shown" in text
    assert len(text) < 120_000


def test_a_card_shows_status_steps_and_braces():
    da = sid.datasets.peak_map().drop_attrs(deep=False).rename(energy="$E$").sid.rebin({"$E$": 2})
    text = re.sub("<[^>]*>", "", da.sid.provenance._repr_html_())
    assert "provenance verified · 2 steps · input → rebin" in text
    assert "rebin(bins={&#x27;$E$&#x27;: 2}, reduce=&#x27;sum&#x27;)" in text


def test_a_card_of_nothing():
    assert "no provenance" in Provenance(History(), "none")._repr_html_()


def test_a_history_that_cannot_be_read_is_shown_as_what_it_is():
    da = sid.datasets.peak_map().sid.rebin(x=2)
    (key,) = [k for k in da.attrs if k.startswith("sid_prov_")]
    view = da.assign_attrs({key: "{cut"}).sid.provenance
    assert f"the text of {key} was changed" in view._repr_html_()
    assert "modified" in repr(view)
    with pytest.raises(ProvenanceError, match=f"no history to draw: the text of {key} was changed"):
        view.graph()


def test_text_of_a_history_is_escaped():
    steps = [Step("a", "sid:<b>@1", {"q": "<img src=x onerror=alert(1)>"}, part='"><script>', time="<i>")]
    text = Provenance(History({"a": steps[0]}, ("a",)), "unknown")._repr_html_()
    assert "<img" not in text
    assert "<script" not in text
    assert "<i>" not in text


def test_marks_tell_gaps_from_verbs():
    da = (sid.datasets.peak_map().sid.rebin(x=2) * 2).sid.rebin(y=2)
    text = da.sid.provenance._repr_html_()
    assert text.count('fill="#D55E00"') == 1
    assert isinstance(da.sid.provenance.calls[0], Call)
