"""The callback and the hooks behind the real SDK, with a scripted Claude Code at the other end of its transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import Fake, framework

framework("claude_agent_sdk")

from claude_agent_sdk import ClaudeAgentOptions, PermissionResultAllow, Transport, query  # noqa: E402

from countersign import Rule, UsageError  # noqa: E402
from countersign.claude_agent import Approvals  # noqa: E402

DEPLOY = "mcp__ops__deploy"
PRODUCTION = Rule("alex", lambda args: f"Deploy {args['service']}", when=lambda args: args.get("env") == "production")
ARGUMENTS = {"service": "api", "env": "production"}


class Scripted(Transport):
    """Claude Code: answers the handshake, sends each request in turn, and keeps what the SDK answers."""

    def __init__(self, *requests: dict[str, Any]) -> None:
        self._requests, self.answers, self.hooks = list(requests), [], {}  # type: ignore[var-annotated]
        self._given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def connect(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass

    async def end_input(self) -> None:
        pass

    async def write(self, data: str) -> None:
        message = json.loads(data)
        if message["type"] == "control_request":
            self.hooks = message["request"].get("hooks") or {}
            ready = {"commands": [], "hook_on_failure_supported": True, "hooks_applied": True}
            response = {"subtype": "success", "request_id": message["request_id"], "response": ready}
            await self._given.put({"type": "control_response", "response": response})
        elif message["type"] == "control_response":
            self.answers.append(message["response"].get("response", message["response"]))
            await self._next()
        elif message["type"] == "user":
            await self._next()

    async def _next(self) -> None:
        if not self._requests:
            await self._given.put({})
            return
        request = dict(self._requests.pop(0))
        if request["subtype"] == "hook_callback":
            (matcher,) = self.hooks[request["input"]["hook_event_name"]]
            request["callback_id"] = matcher["hookCallbackIds"][0]
        number = f"r{len(self.answers)}"
        await self._given.put({"type": "control_request", "request_id": number, "request": request})

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        while message := await self._given.get():
            yield message


def permission(arguments: Any = ARGUMENTS, name: str = DEPLOY, call: str = "toolu_1") -> dict[str, Any]:
    return {"subtype": "can_use_tool", "tool_name": name, "input": arguments, "tool_use_id": call}


def hook(event: str, arguments: Any = ARGUMENTS, name: str = DEPLOY, call: str = "toolu_1", **more: Any) -> dict[str, Any]:
    given = {"hook_event_name": event, "tool_name": name, "tool_input": arguments, "tool_use_id": call, **more}
    return {"subtype": "hook_callback", "input": given, "tool_use_id": call}


def answers(options: ClaudeAgentOptions, *requests: dict[str, Any]) -> list[Any]:
    async def go() -> list[Any]:
        scripted = Scripted(*requests)
        async for _ in query(prompt="go", options=options, transport=scripted):
            pass
        return scripted.answers

    return asyncio.run(asyncio.wait_for(go(), 30))


def callback(fake: Fake, *requests: dict[str, Any], **options: Any) -> list[Any]:
    approvals = Approvals({DEPLOY: options.pop("rule", PRODUCTION)}, **{"program": fake.program, **options})
    return answers(ClaudeAgentOptions(can_use_tool=approvals.can_use_tool, hooks=approvals.outcome_hooks()), *requests)


def hooks(fake: Fake, *requests: dict[str, Any], rule: Rule = PRODUCTION) -> list[Any]:
    approvals = Approvals({DEPLOY: rule}, program=fake.program)
    return answers(ClaudeAgentOptions(hooks=approvals.hooks()), *requests)


def decision(answer: Any) -> Any:
    return answer["hookSpecificOutput"]


# The permission callback.


def test_a_tool_is_allowed_with_what_was_approved(fake: Fake) -> None:
    done = hook("PostToolUse", tool_response="deployed")
    allowed, _ = callback(fake, permission(), done)
    assert allowed == {"behavior": "allow", "updatedInput": ARGUMENTS}
    (asked,) = fake.asked
    assert json.loads(asked["given"]) == ARGUMENTS and asked["key"] == "claude-agent:toolu_1"
    assert fake.done == [["--ok", "--", "claude-agent:toolu_1"]]


@pytest.mark.parametrize("reason", ["rejected", "timed-out", "mismatch", "replayed", "local-fault"])
def test_a_refusal_is_a_denial_that_says_why(fake: Fake, reason: str) -> None:
    fake.will(reason=reason)
    (denied,) = callback(fake, permission())
    assert denied == {"behavior": "deny", "message": f"{DEPLOY} was not run. {reason}: the gate refused: {reason}"}


def test_nobody_is_asked_for_other_calls(fake: Fake) -> None:
    (allowed,) = callback(fake, permission({"service": "api"}))
    assert allowed == {"behavior": "allow", "updatedInput": {"service": "api"}} and fake.calls == []


def test_a_tool_that_is_not_gated_needs_another_permission(fake: Fake) -> None:
    (denied,) = callback(fake, permission(name="Bash"))
    assert denied["behavior"] == "deny"

    async def otherwise(name: str, given: dict[str, Any], context: Any) -> Any:
        return PermissionResultAllow(updated_input={**given, "by": name})

    (allowed,) = callback(fake, permission(name="Bash"), otherwise=otherwise)
    assert allowed == {"behavior": "allow", "updatedInput": {**ARGUMENTS, "by": "Bash"}} and fake.calls == []


def test_a_lie_or_a_broken_rule_is_a_denial(fake: Fake) -> None:
    (denied,) = callback(fake, permission(), rule=Rule("alex", lambda args: str(args["x"])))
    assert denied["behavior"] == "deny" and fake.calls == []
    fake.will(edit=[[["payload", "service"], "other"]])
    (denied,) = callback(fake, permission())
    assert denied["behavior"] == "deny" and "local-fault" in denied["message"]


def test_a_call_that_runs_twice_is_allowed_once(fake: Fake) -> None:
    first, again, other = callback(fake, permission(), permission(), permission(call="toolu_2"))
    assert [answer["behavior"] for answer in (first, again, other)] == ["allow", "deny", "allow"]
    assert "replayed" in again["message"]


# The hooks.


def test_a_hook_allows_what_was_approved(fake: Fake) -> None:
    before, _ = hooks(fake, hook("PreToolUse"), hook("PostToolUseFailure", error="a secret"))
    assert decision(before) == {"hookEventName": "PreToolUse", "permissionDecision": "allow", "updatedInput": ARGUMENTS}
    assert fake.done == [["--failed=the tool failed", "--", "claude-agent:toolu_1"]]


def test_a_hook_denies_and_says_why(fake: Fake) -> None:
    fake.will(reason="rejected")
    (before,) = hooks(fake, hook("PreToolUse"))
    assert decision(before)["permissionDecision"] == "deny" and "rejected" in decision(before)["permissionDecisionReason"]
    (before,) = hooks(fake, hook("PreToolUse"), rule=Rule("alex", lambda args: str(args["x"])))
    assert decision(before)["permissionDecision"] == "deny"


def test_a_hook_has_no_opinion_where_nobody_is_asked(fake: Fake) -> None:
    assert hooks(fake, hook("PreToolUse", name="Bash"), hook("PreToolUse", {"service": "api"}), hook("PostToolUse")) == [{}] * 3
    assert fake.calls == []


def test_a_hook_that_fails_or_is_late_blocks() -> None:
    approvals = Approvals({DEPLOY: Rule("alex", "Deploy", timeout_s=900)})
    (before,) = approvals.hooks()["PreToolUse"]
    assert before.on_failure == "block" and before.matcher is None
    assert before.timeout is not None and before.timeout > 900 + 600 + 90


def test_a_wrong_option_is_found_at_once() -> None:
    for rules, options in [({}, {}), ({DEPLOY: "alex"}, {}), ({DEPLOY: PRODUCTION}, {"api_key": "x"})]:
        with pytest.raises(UsageError):
            Approvals(rules, **options)  # type: ignore[arg-type]
