"""Histories as Python files, made of nothing but names from our tables and literals."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from typing import Any

from sid_xarray.core.history import Step, agents
from sid_xarray.core.provenance import Provenance
from sid_xarray.core.registry import VERBS
from sid_xarray.core.replay.plan import Call, Operand, Plan, aliases, make_plan
from sid_xarray.core.replay.source import call as arguments
from sid_xarray.core.replay.source import comment, identifier, literal
from sid_xarray.core.replay.values import Ref
from sid_xarray.core.trace.steps import parse
from sid_xarray.core.trace.table import OPERATORS
from sid_xarray.errors import ProvenanceError

__all__ = ["statements", "to_script"]

_WIDTH = 116


def to_script(view: Provenance, paths: Any = None) -> str:
    """Return a history as a program; see `Provenance.to_script`.

    Raises
    ------
    ProvenanceError
        If there is no history, or it is not that of the values.
    """
    text = _Script(make_plan(view), paths).text()
    ast.parse(text)  # a script that is none must not get out
    return text


def statements(plan: Plan) -> dict[int, str]:
    """Return what every step of a plan is as a line of Python, by the number of the step."""
    script = _Script(plan, None)
    return {call.number: "\n".join(script.statement(call)) for call in plan.calls}


class _Script:
    """The lines of one program, and the names of its variables."""

    def __init__(self, plan: Plan, paths: Any) -> None:
        self.plan, self.paths = plan, paths
        self.traced = any(call.by_trace for call in plan.calls)
        self.taken: set[str] = set()
        self.of: dict[str, str] = {}  # from the id of a step to its expression
        self.results: dict[str, str] = {}  # from the id of a variable to the Dataset that it is in
        self.roots = {key: self._name(plan.names[key], "raw") for key in plan.roots}
        self.of |= self.roots

    def _name(self, text: str, default: str = "array") -> str:
        base = name = identifier(text, default)
        n = 1
        while name in self.taken:
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return name

    def text(self) -> str:
        """Return the program."""
        body: list[str] = []
        for call in self.plan.calls:
            body += self.statement(call)
        body.append(f"return {self._wanted()}")
        roots = list(self.roots.values())
        main = [line for key, step in self.plan.roots.items() for line in self._root(key, step)]
        if self.traced and roots:
            # In a trace, so that plain operations are recorded, and the history is the same.
            first, rest = roots[0], "".join(f", {r}" for r in roots[1:])
            main.append(f"result = {first}.sid.trace(analysis{rest})")
        else:
            main.append(f"result = analysis({', '.join(roots)})")
        everything = "\n".join([*body, *main])
        lines = [
            *self._header(),
            "",
            "import sys",
            *[text for word, text in _IMPORTS if re.search(rf"(?<![\w.]){word}\.", everything)],
            "",
            "import sid_xarray as sid",
            "",
            "",
            f"def analysis({', '.join(roots)}):",
            *[f"    {line}" for line in body],
            "",
            "",
            *main,
            "",
            'if __name__ == "__main__":',
            "    if len(sys.argv) > 1:",
            "        result.sid.to_nsid(sys.argv[1])",
            "    else:",
            "        print(result)",
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _header(self) -> list[str]:
        wanted = self.plan.wanted
        what = (
            "an array was"
            if None in wanted
            else f"{len(wanted)} variables were"
            if len(wanted) > 1
            else "a variable was"
        )
        versions = ", ".join(f"{k} {v}" for k, v in self._agents().items())
        lines = [
            f"How {what} made: {len(self.plan.view)} steps, from the history. Recorded with {versions}.",
            "Recipe: " + ", ".join(sorted(set(wanted.values()))[:4]) + (", …" if len(set(wanted.values())) > 4 else ""),
            "Run it where the raw files are; with a name, such as out.h5, it writes the result there.",
        ]
        if self.plan.problems:
            lines.append(f"{len(self.plan.problems)} step(s) left too little record: see the lines with SystemExit.")
        return [one for line in lines for one in comment(line)]

    def _agents(self) -> Mapping[str, str]:
        last = self.plan.calls[-1].step if self.plan.calls else next(iter(self.plan.roots.values()), None)
        return (last.agents if last is not None else None) or agents()

    # ------------------------------------------------------------ raw arrays

    def _root(self, key: str, step: Step) -> list[str]:
        name = self.roots[key]
        path = self._path(key, step)
        dims, sizes = step.out.get("dims"), step.out.get("shape")
        known = isinstance(dims, list) and isinstance(sizes, list)
        shape = ", ".join(f"{d}: {n}" for d, n in zip(dims or (), sizes or (), strict=False)) if known else ""
        p = step.params
        if path is None:
            said = f"{self.plan.names[key]!r} was an array in memory: {step.out.get('dtype')}, {shape}"
            order = f"open the array here: {name} = sid.open_dataarray(...), and delete this line"
            return [*comment(said), f"raise SystemExit({order!r})"]
        path, _, chosen = path.partition("::")
        opened = f"{name} = sid.open_dataarray({path!r}"
        if chosen:
            return [*comment(f"{step.out.get('dtype')}, {shape}"), f"{opened}, signal={chosen!r})"]
        if not step.op.startswith("sid:open"):
            return [*comment(f"{step.out.get('dtype')}, {shape}"), f"{opened})"]
        seal = f"{p.get('size')} bytes, sha256 of its first and last MiB {p.get('sha256')}"
        place = p.get("h5path")
        if place is not None and p.get("field") is not None:
            place = f"{place}/{p['field']}"
        signal = f", signal={str(place)!r}" if place is not None else ""
        return [*comment(f"{seal}; {shape}"), f"{opened}{signal})"]

    def _path(self, key: str, step: Step) -> str | None:
        file = str(step.params["name"]) if step.op.startswith("sid:open") and "name" in step.params else None
        given = self.paths
        if isinstance(given, Mapping):
            known = (self.plan.names[key], key, *(a for a in aliases(step) if a not in self.plan.names.values()))
            given = next((given[name] for name in known if name in given), None)
        if given is None:
            return file
        given = str(os.fspath(given))
        if os.path.isdir(given):
            return os.path.join(given, file) if file is not None else None
        return given

    # ------------------------------------------------------------ steps

    def statement(self, call: Call) -> list[str]:
        """Return the lines of one call."""
        title = call.plain.name if call.plain is not None else parse(call.step.op)[1]
        name = self._name(title, "step")
        for key, part in call.parts.items():
            self.of[key] = name if part is None else f"{name}[{part!r}]"
            if part is not None:
                self.results[key] = name
        if call.problem:
            return self._missing(call, name)
        lines = self._assigned(name, self._call(call))
        function = call.step.params.get("function")
        if isinstance(function, str):
            said = f"{call.step.params.get('module')}:{call.step.params.get('name')}"
            lines = [
                *comment(f"The function {function!r} is {said}; if no package brings it: sid.register_function"),
                *lines,
            ]
        if not call.options:
            return lines
        said = ", ".join(arguments((), call.options, str))
        return [f"with xr.set_options({said}):", *(f"    {line}" for line in lines)]

    def _missing(self, call: Call, name: str) -> list[str]:
        of = ", ".join(self._operand(o) for o in call.operands)
        lines = comment(f"{call.title} {call.problem}")
        source = call.step.params.get("source")
        if isinstance(source, str):
            lines += [*comment("Its source, as it was:"), *(f"# | {one[2:]}".rstrip() for one in comment(source))]
        parts = [p for p in call.parts.values() if p is not None]
        what = f"a Dataset with {', '.join(map(repr, parts))}" if parts else "the array"
        order = f"{call.title}: write here {name} = ..., {what} made of {of}, and delete this line"
        return [*lines, f"raise SystemExit({order!r})"]

    def _assigned(self, name: str, texts: tuple[str, list[str], str]) -> list[str]:
        """Return an assignment, one argument a line where it would be long."""
        before, args, after = texts
        line = f"{name} = {before}{', '.join(args)}{after}"
        if len(line) <= _WIDTH or not args or not after:
            return [line]
        return [f"{name} = {before}", *(f"    {a}," for a in args), after]

    def _call(self, call: Call) -> tuple[str, list[str], str]:
        """Return a call as what stands before its arguments, these, and what stands behind."""
        operands = [self._operand(o) for o in call.operands]

        def name(ref: Ref) -> str:
            return operands[ref.index]

        def texts(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
            return arguments(args, kwargs, name)

        word = parse(call.step.op)[1]
        plain = call.plain
        if plain is None:
            row = VERBS[word]
            if not row.on:
                return f"sid.{word}(", texts(call.args, call.kwargs), ")"
            place = f"{row.space}.{word}" if row.space else word
            return f"{operands[0]}.sid.{place}(", texts(call.args[1:], call.kwargs), ")"
        if plain.kind == "ufunc":
            return f"np.{plain.name}(", texts(call.args, {}), ")"
        rest = call.args[1:]
        if plain.kind == "method":
            return f"{operands[0]}.{plain.name}(", texts(rest, call.kwargs), ")"
        if plain.kind in ("operator", "reflected"):
            return self._operator(plain.name, operands[0], texts(rest, {}), reflected=plain.kind == "reflected"), [], ""
        if plain.kind == "chain":
            of = call.of or ((), {})
            first = f"{operands[0]}.{plain.via}({', '.join(texts(*of))})"
            if plain.name in OPERATORS:
                return self._operator(plain.name, first, texts(rest, {})), [], ""
            return f"{first}.{plain.name}(", texts(rest, call.kwargs), ")"
        if plain.kind in ("coord", "getitem", "loc"):
            at = ".loc" if plain.kind == "loc" else ""
            return f"{operands[0]}{at}[{literal(rest[0], name)}]", [], ""
        return f"{operands[0]}.{'dt.' if plain.kind == 'dates' else ''}{plain.name}", [], ""

    @staticmethod
    def _operator(name: str, left: str, rest: list[str], *, reflected: bool = False) -> str:
        symbol = OPERATORS[name][0]
        if not rest:
            return f"abs({left})" if name == "abs" else f"{symbol}{left}"
        # A negative number or a complex one would bind to the operator: (-2) ** d.
        right = rest[0] if re.fullmatch(r"[\w.]+(e[+-]?\d+)?", rest[0]) else f"({rest[0]})"
        return f"{right} {symbol} {left}" if reflected else f"{left} {symbol} {right}"

    def _operand(self, operand: Operand) -> str:
        if not operand.names:
            return self.of.get(operand.ids[0], "...")
        names = {self.results.get(key) for key in operand.ids}
        if len(names) == 1 and None not in names:
            steps = self.plan.view._history.steps
            parts = [str(steps[key].part) for key in operand.ids]
            renames = {p: n for p, n in zip(parts, operand.names, strict=True) if p != n}
            (one,) = names
            if renames and self.traced:
                raise ProvenanceError("variables were renamed between verbs; such a history replays, and is no script")
            return f"{one}[{parts!r}]" + (f".rename({renames!r})" if renames else "")
        if self.traced:
            raise ProvenanceError(
                "a Dataset was put together of several results; such a history replays, and is no script"
            )
        inside = ", ".join(f"{n!r}: {self.of.get(k, '...')}" for n, k in zip(operand.names, operand.ids, strict=True))
        return f"xr.Dataset({{{inside}}})"

    def _wanted(self) -> str:
        wanted = self.plan.wanted
        if None in wanted:
            return self.of[wanted[None]]
        if self.traced and len({self.results.get(k) for k in wanted.values()}) != 1:
            inside = ", ".join(f"{self.of[k]}.rename({n!r})" for n, k in wanted.items())
            raise ProvenanceError(f"a Dataset was put together of several results. Write one of them: {inside[:60]}")
        return self._operand(Operand(tuple(wanted.values()), tuple(str(n) for n in wanted)))


_IMPORTS = (
    ("dt", "import datetime as dt"),
    ("np", "import numpy as np"),
    ("xr", "import xarray as xr"),
)
