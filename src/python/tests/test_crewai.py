"""The hooks in a real crew with a scripted model, where it calls tools natively and where it writes them as text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Fake, framework

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
framework("crewai")

from crewai import Agent, Crew, Task  # noqa: E402
from crewai.hooks import clear_all_tool_call_hooks  # noqa: E402
from crewai.llms.base_llm import BaseLLM  # noqa: E402
from crewai.tools import tool  # noqa: E402

from countersign import Rule, UsageError, gated  # noqa: E402
from countersign.crewai import ApprovalHooks  # noqa: E402

PRODUCTION = Rule("alex", lambda args: f"Deploy {args['service']}", when=lambda args: args.get("env") == "production")
ARGUMENTS = {"service": "api", "env": "production"}
WAYS = ["native", "text"]
ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    clear_all_tool_call_hooks()
    yield
    clear_all_tool_call_hooks()


@tool("Deploy Service")
def deploy(service: str, env: str = "staging") -> str:
    """Deploys a service."""
    ran.append((service, env))
    if service == "broken":
        raise OSError("it acted, and then failed")
    return f"deployed {service}"


class Scripted(BaseLLM):
    """Calls one tool once, and then says that it is done. It keeps what it was told."""

    def __init__(self, way: str, name: str, arguments: Any) -> None:
        super().__init__(model="scripted")
        self._way, self._name, self._arguments = way, name, arguments
        self._calls, self._told = 0, ""

    def supports_function_calling(self) -> bool:
        return self._way == "native"

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        if self._calls > 1:
            self._told = json.dumps(messages, default=str)
            return "Thought: I now know the final answer\nFinal Answer: done"
        if self._way == "native":
            function = {"name": self._name, "arguments": json.dumps(self._arguments)}
            return [{"id": "call_1", "type": "function", "function": function}]
        return f"Thought: go\nAction: {self._name}\nAction Input: {json.dumps(self._arguments)}"


def run(way: str, arguments: Any, used: Any = deploy, name: str = "deploy_service") -> str:
    """All that the model was told at its second call."""
    model = Scripted(way, name, arguments)
    agent = Agent(role="ops", goal="deploy", backstory="an operator", tools=[used], llm=model, verbose=False, cache=False)
    task = Task(description="deploy it", expected_output="done", agent=agent)
    assert "done" in str(Crew(agents=[agent], tasks=[task], verbose=False, cache=False).kickoff())
    return model._told


def gate(fake: Fake, rule: Rule = PRODUCTION, **options: Any) -> ApprovalHooks:
    hooks = ApprovalHooks({"Deploy Service": rule}, program=fake.program, **options)
    hooks.register()
    return hooks


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_runs_with_what_was_approved(fake: Fake, way: str) -> None:
    gate(fake, key=lambda context: f"crew:{context.tool_name}")
    assert "deployed api" in run(way, ARGUMENTS) and ran == [("api", "production")]
    (asked,) = fake.asked
    assert json.loads(asked["given"]) == ARGUMENTS
    assert (asked["action"], asked["key"]) == ("Deploy api", "crew:deploy_service")
    # The same key is the same question.
    assert "replayed" in run(way, ARGUMENTS) and len(ran) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["rejected", "timed-out", "local-fault"])
def test_a_refusal_is_the_result_of_the_tool(fake: Fake, way: str, reason: str) -> None:
    fake.will(reason=reason)
    gate(fake)
    assert f"was not run. {reason}: the gate refused: {reason}" in run(way, ARGUMENTS)
    assert ran == [] and len(fake.asked) == 1


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_asked_for_other_calls(fake: Fake, way: str) -> None:
    gate(fake)
    assert "deployed api" in run(way, {"service": "api"}) and ran == [("api", "staging")] and fake.calls == []


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_that_fails_blocks(fake: Fake, way: str) -> None:
    def broken(context: Any) -> str:
        raise RuntimeError("broken")

    hooks = gate(fake, key=broken)
    run(way, ARGUMENTS)
    hooks.unregister()
    gate(fake, Rule("alex", lambda args: str(args["not there"])))
    assert "was not run" in run(way, ARGUMENTS)
    assert ran == [] and fake.calls == []


@pytest.mark.parametrize("way", WAYS)
def test_a_lie_runs_nothing(fake: Fake, way: str) -> None:
    fake.will(edit=[[["payload", "service"], "other"]])
    gate(fake)
    assert "local-fault" in run(way, ARGUMENTS) and ran == []


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_that_fails_is_not_run_again_on_one_approval(fake: Fake, way: str) -> None:
    gate(fake)
    run(way, {**ARGUMENTS, "service": "broken"})
    assert len(ran) == 1 and len(fake.asked) == 1
    run(way, ARGUMENTS)
    assert ran[1:] == [("api", "production")] and len(fake.asked) == 2


def test_crewai_itself_would_run_it_again(fake: Fake) -> None:
    """Why the hooks limit it. If this fails, they need not any more."""
    run("text", {**ARGUMENTS, "service": "broken"})
    assert len(ran) > 1


def test_hooks_that_were_taken_away_ask_nobody(fake: Fake) -> None:
    hooks = gate(fake)
    hooks.unregister()
    run("native", ARGUMENTS)
    assert fake.calls == [] and len(ran) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_tool_is_gated_inside(fake: Fake, way: str) -> None:
    @tool("plain")
    @gated(username="alex", action="Deploy", program=fake.program)
    def plain(service: str, version: str = "latest") -> str:
        """Deploys a service."""
        ran.append((service, version))
        return f"deployed {service}"

    assert "deployed api" in run(way, {"service": "api"}, plain, "plain")
    assert ran == [("api", "latest")] and fake.done[0][0] == "--ok"
    fake.will(reason="rejected")
    assert "rejected" in run(way, {"service": "api"}, plain, "plain") and len(ran) == 1


def test_a_wrong_option_is_found_at_once() -> None:
    for rules, options in [({}, {}), ({"deploy": "alex"}, {}), ({"deploy": PRODUCTION}, {"api_key": "x"}),
                           ({"deploy service": PRODUCTION, "Deploy Service": PRODUCTION}, {})]:  # fmt: skip
        with pytest.raises(UsageError):
            ApprovalHooks(rules, **options)  # type: ignore[arg-type]
