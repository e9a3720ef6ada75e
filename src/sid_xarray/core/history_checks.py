"""Whether a history can be what was written: every address is made again from what it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from sid_xarray.core.history import History, Step, recipe_id

__all__ = ["contradictions", "is_genuine"]


def contradictions(history: History) -> Iterator[str]:
    """Say what in a history cannot be: steps that were edited, and inputs that were cut off.

    Who makes all addresses again after an edit is not found out.

    Parameters
    ----------
    history : History
    """
    for number, step in enumerate(history.steps.values(), 1):
        if is_genuine(step) is False:
            yield f"step {number} ({step.name}) was edited: its address is not that of its parameters and inputs"
        missing = [key for _, key in step.inputs if key not in history.steps]
        if missing:
            yield f"step {number} ({step.name}) was made of step {missing[0]}, which was cut from the history"


def is_genuine(step: Step) -> bool | None:
    """Tell whether the address of a step is that of its content; None if that cannot be told.

    The address of a root leaves out what is only shown, such as the name of a file, and lazy values without a
    fingerprint have a random one.
    """
    out = step.out
    salts = ["", f"{out['tok']}{out.get('axes')}"] if out.get("tok") else [""]
    forms = [step.params]
    if step.is_root:
        forms.append({k: v for k, v in step.params.items() if k != "name"})
    for params in forms:
        if any(recipe_id(step.op, params, step.inputs, step.part, salt) == step.id for salt in salts):
            return True
    random = not out.get("tok") and step.op.startswith(("sid:input@", "sid:unrecorded@"))
    return None if random else False
