"""OpenAI Agents SDK: a guardrail that asks a person before a function tool runs.

    @function_tool(tool_input_guardrails=[approval_guardrail(Rule("alex", "Deploy"), config="gate.toml")])
    def deploy(service: str) -> str: ...

The person sees the arguments as the model wrote them, and the tool runs with the same text. Arguments that have two readings
are refused. A refusal is the tool's output, so the agent is told, and goes on. The question's key is that of the tool call:
a run that is resumed goes on with the same question, and never acts twice on one answer.

A guardrail does not see how the tool ended, so the journal shows that as unknown. `@gated` between `@function_tool` and the
function records it, and runs the function with the checked arguments themselves. Give that tool
`failure_error_function=tell_refusal`: the SDK's own text would tell the agent to try again.

Do not let the SDK run guardrails before its own approval as well (`pre_approval_tool_input_guardrails`): the second run finds
the approval used, and refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import (
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    default_tool_error_function,
)

from . import _json, _options
from ._adapter import Refused, ask_async, call_key
from ._rule import Rule
from .errors import ApprovalError, InexactError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options


def approval_guardrail(rule: Rule, **options: Unpack[Options]) -> ToolInputGuardrail[Any]:
    """The guardrail for one tool. It must be the last of its input guardrails, so that nobody is asked in vain."""
    settings = _options.checked(options)

    async def approval(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        call = data.context
        try:
            # The SDK reads no arguments as none. With the same text, both readers come to the same values.
            arguments = _json.parse(call.tool_arguments) if call.tool_arguments else {}
        except (ValueError, RecursionError) as error:
            return _reject(Refused(f"{call.tool_name} was not run. Its arguments have no exact JSON: {error}"))
        key = call_key("openai-agents", call.tool_call_id)
        outcome = await ask_async(rule, settings, call.tool_name, arguments, key)
        return _reject(outcome) if isinstance(outcome, Refused) else ToolGuardrailFunctionOutput.allow()

    return ToolInputGuardrail(guardrail_function=approval, name="countersign")


def tell_refusal(context: RunContextWrapper[Any], error: Exception) -> str:
    """What the agent is told where a gated function raised: why it was refused, and otherwise what the SDK says."""
    if isinstance(error, (ApprovalError, InexactError)):
        return f"{getattr(context, 'tool_name', 'The tool')} was not run. {error}"
    return default_tool_error_function(context, error)


def _reject(outcome: Refused) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.reject_content(outcome.message)
