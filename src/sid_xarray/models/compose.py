"""Sums and products of models, written as text: ``"gaussian + gaussian + constant"``."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sid_xarray.errors import ModelError
from sid_xarray.models import load
from sid_xarray.models._composite import Product, Sum
from sid_xarray.models._given import from_formula
from sid_xarray.models._model import FitModel, Param, Term
from sid_xarray.models._search import SumSearch
from sid_xarray.models.formula import Formula, Slopes

__all__ = ["parse"]

_MAX_COMPONENTS = 64


def parse(text: str, *, loader: Callable[[str], FitModel] = load) -> FitModel:
    """Build a model from an expression.

    Parameters
    ----------
    text : str
        Names of models, ``+``, ``*`` and parentheses; or a formula of ``x``. It is read, never run.
    loader : callable, optional
        From a name to a model. By default the models of this library.

    Returns
    -------
    FitModel
        A single name gives that model. If the name of a parameter occurs in two components, these components carry
        their own name in front of all their parameters, numbered where there are two of a kind:
        ``gaussian_center`` and ``lorentzian_center``, ``gaussian1_center`` and ``gaussian2_center``.

    Raises
    ------
    ModelError
        If the text is no such expression, or a name is unknown.

    Examples
    --------
    >>> parse("gaussian + constant").names
    ('height', 'center', 'sigma', 'offset')
    >>> parse("a * exp(-x / t) + b").names
    ('a', 't', 'b')
    >>> parse("gaussian + gaussian + constant").names[2:4]
    ('gaussian1_sigma', 'gaussian2_height')
    """
    if isinstance(text, str) and _says_x(text):
        return from_formula(text)
    tree = _read(text)
    names = [node.id for node in _leaves(tree)]
    if len(names) > _MAX_COMPONENTS:
        raise ModelError(f"a model of {len(names)} components is more than the {_MAX_COMPONENTS} that make sense")
    components = [loader(name) for name in names]
    if len(components) == 1:
        return components[0]
    labels = _labels(names)
    clashing = _clashing(components)
    named = [
        _prefixed(model, f"{label}_" if clashes else "")
        for model, label, clashes in zip(components, labels, clashing, strict=True)
    ]
    todo = iter(zip(labels, named, strict=True))
    return _build(tree, todo.__next__)[1]


def _says_x(text: str) -> bool:
    """Tell whether a text is a formula: models have other names than ``x``."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(tree))


def _read(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelError(f"cannot read the model {text!r}. Write, for instance, 'gaussian + constant'.") from error
    for node in _walk(tree):
        allowed = isinstance(node, ast.Name) or (
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult)
        )
        if not allowed:
            found = ast.get_source_segment(text.strip(), node) or type(node).__name__
            raise ModelError(
                f"a model is made of names, +, * and parentheses, found {found!r} in {text!r}. "
                "Write, for instance, 'gaussian + constant'."
            )
    return tree


def _walk(tree: ast.expr) -> list[ast.expr]:
    """Return a node and what it is made of, operators aside, from left to right."""
    found, todo = [], [tree]
    while todo:
        node = todo.pop()
        found.append(node)
        if isinstance(node, ast.BinOp):
            todo += [node.right, node.left]
    return found


def _leaves(tree: ast.expr) -> list[ast.Name]:
    return [node for node in _walk(tree) if isinstance(node, ast.Name)]


def _labels(names: Sequence[str]) -> list[str]:
    """Number what occurs more than once."""
    many, seen, labels = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        labels.append(f"{name}{seen[name]}" if many[name] > 1 else name)
    return labels


def _clashing(components: Sequence[FitModel]) -> list[bool]:
    owners = Counter(name for model in components for name in model.names)
    return [any(owners[name] > 1 for name in model.names) for model in components]


def _prefixed(model: FitModel, prefix: str) -> FitModel:
    if not prefix:
        return model
    params = tuple(replace(param, name=prefix + param.name) for param in model.params)
    renamed = replace(model, params=params, linear=tuple(prefix + name for name in model.linear), terms=())
    if model.expression is None:
        return renamed
    formula = model.expression.renamed({name: prefix + name for name in model.names})
    return replace(renamed, function=formula, jacobian=Slopes(formula), expression=formula)


def _build(tree: ast.expr, take: Callable[[], tuple[str, FitModel]]) -> tuple[str, FitModel]:
    """Return label and model of a node; leaves come in the order in which they are written."""
    if not isinstance(tree, ast.BinOp):
        return take()
    kind = type(tree.op)
    parts = [_build(node, take) for node in _operands(tree, kind)]
    labels, models = [label for label, _ in parts], tuple(model for _, model in parts)
    return (_sum if kind is ast.Add else _product)(labels, models)


def _operands(tree: ast.expr, kind: type[ast.operator]) -> list[ast.expr]:
    """Flatten a + b + c, however it is bracketed."""
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, kind):
        return _operands(tree.left, kind) + _operands(tree.right, kind)
    return [tree]


def _sum(labels: Sequence[str], models: tuple[FitModel, ...]) -> tuple[str, FitModel]:
    models = _on_axes(models)
    node, terms, begin = Sum(models), [], 0
    for label, model in zip(labels, models, strict=True):
        terms.append(Term(label, model, tuple(range(begin, begin + len(model.params)))))
        begin += len(model.params)
    # A sum is linear in whatever its terms are linear in: no derivative of one holds a parameter of another.
    linear = tuple(name for model in models for name in model.linear)
    return _joined(" + ".join(labels), node, models, linear, tuple(terms))


def _product(labels: Sequence[str], models: tuple[FitModel, ...]) -> tuple[str, FitModel]:
    # In two factors at once it is bilinear: only one of them can count as linear, so take the one that gives most.
    linear = max((model.linear for model in models), key=len)
    # The first factor carries the units of the data; two that did would give their square.
    models = _on_axes((models[0], *(_without_y(model) for model in models[1:])))
    inner = [f"({label})" if " + " in label else label for label in labels]
    return _joined(" * ".join(inner), Product(models), models, linear, ())


def _on_axes(models: tuple[FitModel, ...]) -> tuple[FitModel, ...]:
    """Return models that have the same axes: one that does not vary may stand beside any.

    Raises
    ------
    ModelError
        If their axes differ.
    """
    axes = max((model.axes for model in models), key=len)
    out = []
    for model in models:
        if model.axes != axes:
            formula = model.expression
            if formula is None or set(formula.axes) & set(Formula.names(formula.text)):
                raise ModelError(f"{model.name!r} has the axes {', '.join(model.axes)}, beside {', '.join(axes)}")
            formula = Formula(formula.text, formula.parameters, axes)
            model = replace(model, function=formula, jacobian=Slopes(formula), expression=formula)
        out.append(model)
    return tuple(out)


def _without_y(model: FitModel) -> FitModel:
    params = tuple(replace(param, units=f"x**{param.exponents()[1]}") for param in model.params)
    return replace(model, params=params)


def _joined(
    label: str,
    node: Sum | Product,
    models: tuple[FitModel, ...],
    linear: tuple[str, ...],
    terms: tuple[Term, ...],
) -> tuple[str, FitModel]:
    params: tuple[Param, ...] = tuple(param for model in models for param in model.params)
    exact = all(model.jacobian is not None for model in models)
    inside = [f"\\left({m.formula}\\right)" if isinstance(node, Product) and m.terms else m.formula for m in models]
    formula = _formula(node, models)
    model = FitModel(
        label,
        node.function if formula is None else formula,
        node.guess,
        params,
        jacobian=(node.jacobian if exact else None) if formula is None else Slopes(formula),
        linear=linear if formula is None else formula.linear,
        reference="; ".join(dict.fromkeys(m.reference for m in models if m.reference)),
        formula=(" + " if isinstance(node, Sum) else " \\cdot ").join(inside),
        peak=(all if isinstance(node, Sum) else any)(m.peak for m in models),
        terms=terms,
        expression=formula,
        **_starts(node),
    )
    return label, model


def _starts(node: Sum | Product) -> dict[str, Any]:
    if isinstance(node, Product):
        return {"attempts": 2, "always": 2, "restart": node.restart} if node.has_grid else {}
    search = SumSearch(node.models)
    return {"attempts": search.attempts, "always": search.always, "restart": node.restart, "search": search}


def _formula(node: Sum | Product, models: Sequence[FitModel]) -> Formula | None:
    """Return the formula of the whole, if every part has one of the same axes."""
    parts = [model.expression for model in models if model.expression is not None]
    if len(parts) < len(models) or len({part.axes for part in parts}) > 1:
        return None
    sign = " + " if isinstance(node, Sum) else " * "
    text = sign.join(f"({part.text})" for part in parts)
    return Formula(text, tuple(name for part in parts for name in part.parameters), parts[0].axes)
