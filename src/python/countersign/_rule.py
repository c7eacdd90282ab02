"""For which arguments a person is asked, whom, and what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _json
from .errors import UsageError

Arguments: TypeAlias = "dict[str, Any]"
"""The arguments of a call by name, as they were read back from their canonical JSON."""


@dataclass(frozen=True)
class Ask:
    """One question that has to be put to a person."""

    username: str
    action: str
    payload: Arguments
    timeout_s: float


@dataclass(frozen=True)
class Rule:
    """Whom to ask what, for one tool.

    `username` and `action` are texts, or functions of the arguments. `when` says for which arguments a person is asked;
    without it, for all. Only `False` itself means that nobody is asked: a function that forgets its `return` asks.
    """

    username: str | Callable[[Arguments], str]
    action: str | Callable[[Arguments], str]
    when: Callable[[Arguments], bool] | None = None
    timeout_s: float = 300

    def ask(self, arguments: Mapping[str, Any]) -> tuple[Arguments, Ask | None]:
        """The arguments as anybody would read them, and the question, if there is one.

        The functions each get a copy of their own. What they are given is what is asked for and what runs.
        """
        exact = _json.canonical(dict(arguments))

        def copy() -> Arguments:
            read: Arguments = _json.parse(exact, doubles=True)
            return read

        if self.when is not None and self.when(copy()) is False:
            return copy(), None
        username, action = (made(copy()) if callable(made) else made for made in (self.username, self.action))
        return copy(), Ask(username, action, copy(), self.timeout_s)


def checked_rules(given: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules by the tool's name, as an adapter takes them."""
    for name, rule in given.items():
        if type(name) is not str or not isinstance(rule, Rule):
            raise UsageError(f"rules are a dict from a tool's name to a Rule, which {name!r} is not")
    if not given:
        raise UsageError("no tool is named, so nothing would be gated")
    return dict(given)
