"""The guardrail in a real run with a scripted model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from conftest import Fake, framework

framework("agents")

from agents import Agent, RunConfig, RunContextWrapper, Runner, function_tool, set_tracing_disabled  # noqa: E402
from agents.items import ModelResponse  # noqa: E402
from agents.models.interface import Model  # noqa: E402
from agents.usage import Usage  # noqa: E402
from openai.types.responses import (  # noqa: E402
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from countersign import Rule, UsageError, gated  # noqa: E402
from countersign.openai_agents import approval_guardrail, tell_refusal  # noqa: E402

set_tracing_disabled(True)
PRODUCTION = Rule("alex", lambda args: f"Deploy {args['service']}", when=lambda args: args.get("env") == "production")
ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Scripted(Model):
    """Calls one tool once, and then says that it is done."""

    def __init__(self, name: str, arguments: Any, call_id: str = "call_1") -> None:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        self._call = ResponseFunctionToolCall(arguments=text, call_id=call_id, name=name, type="function_call")
        self._said = False

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        text = ResponseOutputText(annotations=[], text="done", type="output_text")
        done = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
        output: list[Any] = [done if self._said else self._call]
        self._said = True
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def run(tool: Any, arguments: Any, call_id: str = "call_1") -> str:
    """What the model is told of the tool."""
    agent = Agent(name="ops", tools=[tool], model=Scripted(tool.name, arguments, call_id))
    result = asyncio.run(Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True)))
    assert result.final_output == "done"
    (told,) = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    return str(told)


def deploy_of(rule: Rule, **options: Any) -> Any:
    @function_tool(tool_input_guardrails=[approval_guardrail(rule, **options)])
    def deploy(service: str, env: str = "staging") -> str:
        """Deploys a service."""
        ran.append((service, env))
        return f"deployed {service}"

    return deploy


def test_a_tool_runs_with_what_was_approved(fake: Fake) -> None:
    told = run(deploy_of(PRODUCTION, program=fake.program), {"service": "api", "env": "production"})
    assert told == "deployed api" and ran == [("api", "production")]
    (asked,) = fake.asked
    assert json.loads(asked["given"]) == {"service": "api", "env": "production"}
    assert (asked["action"], asked["key"]) == ("Deploy api", "openai-agents:call_1")


@pytest.mark.parametrize("reason", ["rejected", "timed-out", "mismatch", "replayed", "local-fault"])
def test_a_refusal_is_the_output_of_the_tool(fake: Fake, reason: str) -> None:
    fake.will(reason=reason)
    told = run(deploy_of(PRODUCTION, program=fake.program), {"service": "api", "env": "production"})
    assert told == f"deploy was not run. {reason}: the gate refused: {reason}" and ran == []


def test_nobody_is_asked_for_other_calls(fake: Fake) -> None:
    assert run(deploy_of(PRODUCTION, program=fake.program), {"service": "api", "env": "staging"}) == "deployed api"
    assert ran == [("api", "staging")] and fake.calls == []


def test_a_lie_runs_nothing(fake: Fake) -> None:
    fake.will(edit=[[["payload", "service"], "other"]])
    assert "local-fault" in run(deploy_of(PRODUCTION, program=fake.program), {"service": "api", "env": "production"})
    assert ran == []


@pytest.mark.parametrize(
    "text",
    ['{"service":"api","env":"staging","env":"production"}', '{"service":"api","service":"web"}', '{"service":NaN}',
     '{"service":9007199254740993}', "[]", "null", '"api"', "{"],
)  # fmt: skip
def test_arguments_with_two_readings_run_nothing(fake: Fake, text: str) -> None:
    assert "was not run" in run(deploy_of(Rule("alex", "Deploy"), program=fake.program), text)
    assert ran == [] and fake.calls == []


def test_a_rule_that_fails_runs_nothing(fake: Fake) -> None:
    for rule in [Rule("alex", lambda args: str(args["not there"])), Rule("alex", "Deploy", when=lambda args: args["x"] == 1)]:
        assert "was not run" in run(deploy_of(rule, program=fake.program), {"service": "api"})
    assert ran == [] and fake.calls == []


def test_a_call_that_runs_twice_acts_once(fake: Fake) -> None:
    tool = deploy_of(PRODUCTION, program=fake.program)
    run(tool, {"service": "api", "env": "production"}, "call_9")
    assert "replayed" in run(tool, {"service": "api", "env": "production"}, "call_9")
    run(tool, {"service": "api", "env": "production"}, "call_10")
    assert len(ran) == 2


def test_a_wrong_option_is_found_at_once() -> None:
    with pytest.raises(UsageError):
        approval_guardrail(PRODUCTION, api_key="x")  # type: ignore[call-arg]


def test_a_plain_function_tool_is_gated_inside(fake: Fake) -> None:
    @function_tool(failure_error_function=tell_refusal)
    @gated(username="alex", action="Deploy", exclude=("context",), program=fake.program)
    async def plain(context: RunContextWrapper[Any], service: str, version: str = "latest") -> str:
        """Deploys a service."""
        ran.append((service, version, isinstance(context, RunContextWrapper)))
        return f"deployed {service}"

    assert run(plain, {"service": "api"}) == "deployed api" and ran == [("api", "latest", True)]
    assert json.loads(fake.asked[0]["given"]) == {"service": "api", "version": "latest"} and fake.done[0][0] == "--ok"
    fake.will(reason="rejected")
    assert run(plain, {"service": "api"}) == "plain was not run. rejected: the gate refused: rejected" and len(ran) == 1

    @function_tool(failure_error_function=tell_refusal)
    def broken(x: int) -> str:
        """Fails by itself."""
        raise OSError("a fault of its own")

    assert "error" in run(broken, {"x": 1}) and "not run" not in run(broken, {"x": 1})


def test_a_run_context_is_refused_by_its_type() -> None:
    def injected(wrapper: RunContextWrapper[Any], service: str) -> None: ...

    with pytest.raises(TypeError, match="fills in wrapper"):
        gated(username="alex", action="x")(injected)
