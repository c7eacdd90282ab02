"""Claude Agent SDK: asks a person before a tool runs, as a permission callback or as a hook.

    approvals = Approvals({"mcp__ops__deploy": Rule("alex", "Deploy")}, config="gate.toml")
    options = ClaudeAgentOptions(hooks=approvals.hooks(), ...)

`hooks()` sees every call of a gated tool, also those that `allowed_tools`, a settings file or the permission mode would let
through. A hook that fails blocks the call.

    options = ClaudeAgentOptions(can_use_tool=approvals.can_use_tool, ...)

`can_use_tool` sees only calls for which Claude Code would ask for permission: a gated tool must not be in `allowed_tools`. A
tool that is not gated is refused there, unless `otherwise` decides about it.

Use one of the two. The tool gets exactly the approved arguments. On a refusal the agent is told why, and goes on. The
question's key is that of the tool call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from claude_agent_sdk import (
    CanUseTool,
    HookContext,
    HookInput,
    HookJSONOutput,
    HookMatcher,
    PermissionResult,
    PermissionResultAllow,
    PermissionResultDeny,
    ToolPermissionContext,
)

from . import _options
from ._adapter import Allowed, Refused, ask_async, call_key
from ._gate import LOG_WAIT_S, SLACK_S, record_done_async
from ._rule import Rule, checked_rules

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options


class Approvals:
    """Asks a person for each call of a tool that `rules` names, by its full name such as `Bash` or `mcp__ops__deploy`."""

    def __init__(
        self, rules: Mapping[str, Rule], *, otherwise: CanUseTool | None = None, **options: Unpack[Options]
    ) -> None:
        self._rules, self._options = checked_rules(rules), _options.checked(options)
        self._otherwise = otherwise
        # Of the calls that may run and whose ending is not known yet.
        self._keys: dict[str, str] = {}

    async def can_use_tool(
        self, tool_name: str, tool_input: dict[str, Any], context: ToolPermissionContext
    ) -> PermissionResult:
        """The permission callback."""
        rule = self._rules.get(tool_name)
        if rule is not None:
            outcome = await self._ask(rule, tool_name, tool_input, context.tool_use_id)
            if isinstance(outcome, Allowed):
                return PermissionResultAllow(updated_input=outcome.args)
            return PermissionResultDeny(message=outcome.message)
        if self._otherwise is not None:
            return await self._otherwise(tool_name, tool_input, context)
        return PermissionResultDeny(message=f"{tool_name} was not run. It needs a permission that nobody gave.")

    def hooks(self) -> dict[Any, list[HookMatcher]]:
        """The hooks for `ClaudeAgentOptions.hooks`: one before each tool, and two that record how it ended."""
        slowest = max(rule.timeout_s for rule in self._rules.values())
        wait = self._options.get("log_wait_s")
        limit = slowest + (10 * LOG_WAIT_S if wait is None else wait) + 2 * SLACK_S
        # A hook that fails or takes too long would otherwise count as no opinion, and the tool would run.
        before = HookMatcher(hooks=[self._before], timeout=limit, on_failure="block")
        return {"PreToolUse": [before], **self.outcome_hooks()}

    def outcome_hooks(self) -> dict[Any, list[HookMatcher]]:
        """The hooks that record in the journal how a tool ended, to use beside `can_use_tool`."""
        return {name: [HookMatcher(hooks=[self._after])] for name in ("PostToolUse", "PostToolUseFailure")}

    async def _before(self, given: HookInput, tool_use_id: str | None, _context: HookContext) -> HookJSONOutput:
        call = cast("dict[str, Any]", given)
        rule = self._rules.get(call["tool_name"])
        if rule is None:
            return {}
        outcome = await self._ask(rule, call["tool_name"], call["tool_input"], call.get("tool_use_id") or tool_use_id)
        if isinstance(outcome, Refused):
            decision: dict[str, Any] = {"permissionDecision": "deny", "permissionDecisionReason": outcome.message}
        elif outcome.key is None:
            # Nobody had to be asked here, which is no word on the permission that Claude Code may want.
            return {}
        else:
            decision = {"permissionDecision": "allow", "updatedInput": outcome.args}
        return cast("HookJSONOutput", {"hookSpecificOutput": {"hookEventName": "PreToolUse", **decision}})

    async def _after(self, given: HookInput, tool_use_id: str | None, _context: HookContext) -> HookJSONOutput:
        call = cast("dict[str, Any]", given)
        key = self._keys.pop(call.get("tool_use_id") or tool_use_id or "", None)
        if key is not None:
            failed = None if call["hook_event_name"] == "PostToolUse" else "the tool failed"
            await record_done_async(key, failed=failed, **self._options)
        return {}

    async def _ask(self, rule: Rule, name: str, arguments: Any, call: str | None) -> Allowed | Refused:
        outcome = await ask_async(rule, self._options, name, arguments, call_key("claude-agent", call))
        if isinstance(outcome, Allowed) and outcome.key is not None and call:
            self._keys[call] = outcome.key
        return outcome
