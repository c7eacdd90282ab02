"""What the adapters share: the rules by tool, the key of a tool call, and an outcome that an agent can be told.

A framework's run must not end because a person said no, and some frameworks run a tool whose check raised. So nothing here
raises: a refusal is a value, and its message is for the agent.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from ._gate import require_approval, require_approval_async
from ._options import Options
from ._program import LOG
from ._rule import Arguments, Ask, Rule
from .errors import ApprovalError, InexactError

_PLAIN = re.compile(r"[0-9A-Za-z._:-]{1,120}")


@dataclass(frozen=True)
class Allowed:
    """The call may run, with these arguments and no others. `key` is `None` where nobody had to be asked."""

    args: Arguments
    key: str | None


@dataclass(frozen=True)
class Refused:
    """The call must not run, and what the agent is told."""

    message: str


def call_key(framework: str, *parts: object) -> str | None:
    """The idempotency key of one tool call: the same if a framework runs the call twice, and of no other call.

    `None` where the call has no id of its own. Each run of it is then a new question.
    """
    *_, own = parts
    if not isinstance(own, str) or not own:
        return None
    text = ":".join([framework, *("" if part is None else str(part) for part in parts)])
    if _PLAIN.fullmatch(text):
        return text
    return f"{framework}:{hashlib.sha256(repr(parts).encode('utf-8', 'backslashreplace')).hexdigest()}"


def ask(rule: Rule, options: Options, name: str, arguments: Any, key: str | None) -> Allowed | Refused:
    """Asks for one call of the tool `name`, if its rule says so."""
    try:
        exact, question = _question(rule, arguments)
        if question is None:
            return Allowed(exact, None)
        approval = require_approval(*_all(question), key=key, **options)
    except Exception as error:
        return _refused(name, error)
    return Allowed(approval.args, approval.key)


async def ask_async(rule: Rule, options: Options, name: str, arguments: Any, key: str | None) -> Allowed | Refused:
    """As `ask`, in an event loop."""
    try:
        exact, question = _question(rule, arguments)
        if question is None:
            return Allowed(exact, None)
        approval = await require_approval_async(*_all(question), key=key, **options)
    except Exception as error:
        return _refused(name, error)
    return Allowed(approval.args, approval.key)


def _question(rule: Rule, arguments: Any) -> tuple[Arguments, Ask | None]:
    if type(arguments) is not dict:
        raise InexactError(f"the arguments are no JSON object but {type(arguments).__name__}")
    return rule.ask(arguments)


def _all(ask: Ask) -> tuple[str, str, Arguments, float]:
    return ask.username, ask.action, ask.payload, ask.timeout_s


def _refused(name: str, error: Exception) -> Refused:
    if isinstance(error, (ApprovalError, InexactError)):
        return Refused(f"{name} was not run. {error}")
    # Wrong usage, or a rule's function failed. Either can come from arguments that a model chose, so it is no end of the
    # run; but a person has to look.
    LOG.error("%s was refused, because nobody could be asked", name, exc_info=error)
    return Refused(f"{name} was not run. Nobody could be asked for an approval: {type(error).__name__}")
