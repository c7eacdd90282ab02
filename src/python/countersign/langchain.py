"""LangChain 1.x: a middleware that asks a person before a tool runs.

    agent = create_agent(model, tools, middleware=[..., ApprovalMiddleware({"deploy": Rule("alex", "Deploy")})])

Put it last, which is innermost: another middleware that edits a call must come before it, so that the edited call is what
is asked for. The tool gets exactly the approved arguments. A refusal is a `ToolMessage` with the status `error`.

The agent is told, and goes on. The question's key is that of the tool call, so that a graph that runs a node again after a
crash goes on with the same question, and never acts twice on one answer.

Without an agent, `@gated` between `@tool` and the function does the same for one tool. There a refusal is raised;
`ToolNode(tools, handle_tool_errors=tell_refusal)` makes it a message.
"""

# No `from __future__ import annotations` here: ToolNode reads the errors that `tell_refusal` takes from its annotation.
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from langchain.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from . import _options
from ._adapter import Allowed, Refused, ask, ask_async, call_key
from ._gate import failure_text, record_done, record_done_async
from ._rule import Rule, checked_rules
from .errors import ApprovalError, InexactError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options

Result = ToolMessage | Command[Any]


class ApprovalMiddleware(AgentMiddleware[Any, Any, Any]):
    """Asks a person for each call of a tool that `rules` names. Others run as they are."""

    def __init__(self, rules: Mapping[str, Rule], **options: "Unpack[Options]") -> None:
        super().__init__()
        self._rules, self._options = checked_rules(rules), _options.checked(options)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]) -> Result:
        """Asks, and then runs the tool with what was approved."""
        call = request.tool_call
        rule = self._rules.get(call["name"])
        if rule is None:
            return handler(request)
        outcome = ask(rule, self._options, call["name"], call["args"], _key(request))
        if isinstance(outcome, Refused):
            return _message(request, outcome)
        try:
            result = handler(_approved(request, outcome))
        except Exception as error:
            if outcome.key is not None and not _goes_on(error):
                record_done(outcome.key, failed=failure_text(error), **self._options)
            raise
        if outcome.key is not None:
            record_done(outcome.key, failed=_failure(result), **self._options)
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """As `wrap_tool_call`, for agents that run in an event loop."""
        call = request.tool_call
        rule = self._rules.get(call["name"])
        if rule is None:
            return await handler(request)
        outcome = await ask_async(rule, self._options, call["name"], call["args"], _key(request))
        if isinstance(outcome, Refused):
            return _message(request, outcome)
        try:
            result = await handler(_approved(request, outcome))
        except Exception as error:
            if outcome.key is not None and not _goes_on(error):
                await record_done_async(outcome.key, failed=failure_text(error), **self._options)
            raise
        if outcome.key is not None:
            await record_done_async(outcome.key, failed=_failure(result), **self._options)
        return result


def tell_refusal(error: ApprovalError | InexactError) -> str:
    """What the agent is told where a gated function was refused. Other errors are none of this function's business."""
    return f"The tool was not run. {error}"


def _key(request: ToolCallRequest) -> str | None:
    config: Mapping[str, Any] = getattr(request.runtime, "config", None) or {}
    thread = (config.get("configurable") or {}).get("thread_id")
    return call_key("langchain", thread, request.tool_call["id"])


def _approved(request: ToolCallRequest, outcome: Allowed) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": outcome.args})


def _message(request: ToolCallRequest, outcome: Refused) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(content=outcome.message, name=call["name"], tool_call_id=call["id"] or "", status="error")


def _failure(result: Result) -> str | None:
    failed = isinstance(result, ToolMessage) and result.status == "error"
    return "the tool returned an error" if failed else None


def _goes_on(error: Exception) -> bool:
    # LangGraph leaves a node with these to run it again later; the tool has not ended.
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)
