"""CrewAI: a pair of hooks that ask a person before a tool runs, and tell the agent of a refusal.

    ApprovalHooks({"deploy": Rule("alex", "Deploy")}, config="gate.toml").register()

Register them last: a hook that comes later could change the arguments after they were approved. The tool gets exactly the
approved arguments. On a refusal the tool's result says why, and the crew goes on.

CrewAI calls hooks for the tools that its agents run, and not where a program calls a tool or a model by itself; `@gated`
between `@tool` and the function guards every call. But where a model calls tools in plain text, CrewAI runs a tool that raised
again, and a refusal raises: the person would be asked again. The hooks ask once.

A hook gets no id of the call, so each call is a new question, unless `key` makes a key. It does not see how the tool ended
either, so the journal shows that as unknown; `@gated` records it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crewai.hooks import (
    ToolCallHookContext,
    register_after_tool_call_hook,
    register_before_tool_call_hook,
    unregister_after_tool_call_hook,
    unregister_before_tool_call_hook,
)
from crewai.utilities.string_utils import sanitize_tool_name

from . import _options
from ._adapter import Refused, ask
from ._program import LOG
from ._rule import Rule, checked_rules
from .errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options


class ApprovalHooks:
    """Asks a person for each call of a tool that `rules` names. Others run as they are."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        *,
        key: Callable[[ToolCallHookContext], str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        # A hook is told the name in the form that models see.
        self._rules = {sanitize_tool_name(name): rule for name, rule in checked_rules(rules).items()}
        if len(self._rules) != len(rules):
            raise UsageError("two of the rules are for one tool")
        self._key, self._options = key, _options.checked(options)
        self._told: dict[int, tuple[dict[str, Any], str]] = {}
        self._limits = _Limits()
        # Bound once, so that what was registered can be found again.
        self._hooks = self.before, self.after

    def register(self) -> None:
        """Registers both hooks, for all crews of this process."""
        register_before_tool_call_hook(self._hooks[0])
        register_after_tool_call_hook(self._hooks[1])

    def unregister(self) -> None:
        """Takes both hooks away. The tools run without approval then."""
        unregister_before_tool_call_hook(self._hooks[0])
        unregister_after_tool_call_hook(self._hooks[1])

    def before(self, context: ToolCallHookContext) -> bool | None:
        """Asks. `False` blocks the tool."""
        # CrewAI runs the tool if a hook raises, so nothing may escape from here.
        try:
            rule = self._rules.get(sanitize_tool_name(context.tool_name))
            if rule is None:
                return None
            key = None if self._key is None else self._key(context)
            outcome = ask(rule, self._options, context.tool_name, context.tool_input, key)
            if isinstance(outcome, Refused):
                self._told[id(context.tool_input)] = context.tool_input, outcome.message
                return False
            # In place: CrewAI passes this very dict to the tool.
            context.tool_input.clear()
            context.tool_input.update(outcome.args)
            if outcome.key is not None:
                self._limits.one_more(context.tool)
            return None
        except Exception as error:
            LOG.error("a call was refused, because its hook failed", exc_info=error)
            return False

    def after(self, context: ToolCallHookContext) -> str | None:
        """Puts the refusal into the result, where CrewAI says only that a hook blocked the tool."""
        self._limits.ended(context.tool)
        # The dict is kept with the text, so that its id is nobody else's meanwhile.
        told = self._told.pop(id(context.tool_input), None)
        return None if told is None else told[1]


class _Limits:
    """Runs a tool no more often than it was approved.

    Where a model calls tools in plain text, CrewAI runs a tool that raised again, up to six times, without asking hooks.
    Its own usage limit stops that: while an approved call is open, the tool may run once more for each approval.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By id, with the tool itself: what it was before, and how many approved calls are open.
        self._open: dict[int, tuple[Any, int | None, int]] = {}

    def one_more(self, tool: Any) -> None:
        if tool is None:
            return
        with self._lock:
            _, own, count = self._open.get(id(tool), (tool, tool.max_usage_count, 0))
            so_far = tool.current_usage_count if count == 0 else tool.max_usage_count
            tool.max_usage_count = so_far + 1 if own is None else min(own, so_far + 1)
            self._open[id(tool)] = tool, own, count + 1

    def ended(self, tool: Any) -> None:
        with self._lock:
            known = self._open.pop(id(tool), None)
            if known is None:
                return
            _, own, count = known
            if count > 1:
                self._open[id(tool)] = tool, own, count - 1
            else:
                tool.max_usage_count = own
