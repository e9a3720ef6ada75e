"""Whether a history can be what was written: every address is made again from what it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from sid_xarray.core.history import History, is_genuine

__all__ = ["contradictions"]


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
