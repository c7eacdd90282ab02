"""The middleware in a real agent with a scripted model, and a gated function as a plain tool."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from conftest import Fake, framework

framework("langchain")
framework("langgraph")

from langchain.agents import create_agent  # noqa: E402
from langchain.agents.middleware import AgentMiddleware  # noqa: E402
from langchain.tools import InjectedToolCallId, ToolRuntime, tool  # noqa: E402
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: E402
from langchain_core.runnables import RunnableConfig  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.graph import START, MessagesState, StateGraph  # noqa: E402
from langgraph.prebuilt import ToolNode  # noqa: E402
from typing_extensions import Annotated  # noqa: E402

from countersign import Rejected, Rule, UsageError, gated  # noqa: E402
from countersign.langchain import ApprovalMiddleware, tell_refusal  # noqa: E402

WAYS = ["sync", "async"]
ran: list[Any] = []


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def calls(*given: dict[str, Any]) -> Any:
    """A model that calls tools once, and then says that it is done."""
    made = [{"name": "deploy", "id": f"call_{place}", "type": "tool_call", **call} for place, call in enumerate(given)]
    return Scripted(messages=iter([AIMessage("", tool_calls=made), AIMessage("done")]))


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@tool
def deploy(service: str, env: str = "staging", replicas: float = 1) -> str:
    """Deploys a service."""
    if service == "broken":
        raise OSError("a secret")
    ran.append((service, env, replicas))
    return f"deployed {service}"


@tool
def look(path: str) -> str:
    """Looks at a file."""
    ran.append(path)
    return "seen"


PRODUCTION = Rule("alex", lambda args: f"Deploy {args['service']}", when=lambda args: args.get("env") == "production")


def run(way: str, model: Any, middleware: list[Any], thread: str = "t-1", **options: Any) -> list[ToolMessage]:
    agent = create_agent(model, [deploy, look], middleware=middleware, **options)
    given: Any = {"messages": [HumanMessage("go")]}
    config: Any = {"configurable": {"thread_id": thread}}
    state = agent.invoke(given, config) if way == "sync" else asyncio.run(agent.ainvoke(given, config))
    assert state["messages"][-1].content == "done"
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_runs_with_what_was_approved(fake: Fake, way: str) -> None:
    middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    (told,) = run(way, calls({"args": {"service": "api", "env": "production"}}), [middleware])
    assert (told.content, told.status) == ("deployed api", "success") and ran == [("api", "production", 1)]
    (asked,) = fake.asked
    assert json.loads(asked["given"]) == {"service": "api", "env": "production"}
    assert (asked["action"], asked["key"]) == ("Deploy api", "langchain:t-1:call_0")
    assert fake.done == [["--ok", "--", "langchain:t-1:call_0"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["rejected", "timed-out", "mismatch", "replayed", "local-fault"])
def test_a_refusal_is_a_message_to_the_agent(fake: Fake, way: str, reason: str) -> None:
    fake.will(reason=reason)
    middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    (told,) = run(way, calls({"args": {"service": "api", "env": "production"}}), [middleware])
    assert told.status == "error" and told.tool_call_id == "call_0" and told.name == "deploy"
    assert told.content == f"deploy was not run. {reason}: the gate refused: {reason}"
    assert ran == [] and fake.done == []


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_asked_for_other_calls(fake: Fake, way: str) -> None:
    middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    run(way, calls({"args": {"service": "api"}}, {"name": "look", "args": {"path": "x"}}), [middleware])
    assert sorted(map(str, ran)) == ["('api', 'staging', 1)", "x"] and fake.calls == []


@pytest.mark.parametrize("way", WAYS)
def test_a_lie_runs_nothing(fake: Fake, way: str) -> None:
    fake.will(edit=[[["payload", "service"], "other"]])
    middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    (told,) = run(way, calls({"args": {"service": "api", "env": "production"}}), [middleware])
    assert "local-fault" in str(told.content) and ran == []


@pytest.mark.parametrize("way", WAYS)
def test_an_edited_call_is_what_is_asked_for(fake: Fake, way: str) -> None:
    class Edit(AgentMiddleware):
        def _edited(self, request: Any) -> Any:
            args = {**request.tool_call["args"], "service": "edited"}
            return request.override(tool_call={**request.tool_call, "args": args})

        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(self._edited(request))

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            return await handler(self._edited(request))

    last = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    run(way, calls({"args": {"service": "api", "env": "production"}}), [Edit(), last])
    assert json.loads(fake.asked[0]["given"])["service"] == "edited" and ran == [("edited", "production", 1)]


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_that_fails_is_recorded(fake: Fake, way: str) -> None:
    middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
    arguments = {"service": "broken", "env": "production"}
    try:
        run(way, calls({"args": arguments}), [middleware])
    except OSError:
        pass
    (done,) = fake.done
    assert done[0].startswith("--failed=") and "secret" not in done[0]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_model_writes_is_no_crash(fake: Fake, way: str) -> None:
    def broken(args: dict[str, Any]) -> str:
        return str(args["not there"])

    for arguments, rule in [({"replicas": 2**60}, PRODUCTION), ({"service": "x"}, Rule("alex", broken)), ({}, Rule("alex", "a\0b")),
                            ({"service": "x"}, Rule("alex", "Deploy", when=lambda args: args["env"] == "x"))]:  # fmt: skip
        middleware = ApprovalMiddleware({"deploy": rule}, program=fake.program)
        (told,) = run(way, calls({"args": arguments}), [middleware])
        assert told.status == "error" and "was not run" in str(told.content)
    assert ran == [] and fake.calls == []


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_runs_twice_acts_once(fake: Fake, way: str) -> None:
    """The graph dies after the tool ran and before its checkpoint; a new one goes on from the same thread."""
    memory = InMemorySaver()

    class Crash(AgentMiddleware):
        crashed = False

        def _crash(self, result: Any) -> Any:
            if not Crash.crashed:
                Crash.crashed = True
                raise RuntimeError("the process dies here")
            return result

        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return self._crash(handler(request))

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            return self._crash(await handler(request))

    def agent() -> Any:
        middleware = [Crash(), ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)]
        return create_agent(model, [deploy], middleware=middleware, checkpointer=memory)

    model = calls({"args": {"service": "api", "env": "production"}})
    config: Any = {"configurable": {"thread_id": "t-9"}}
    given: Any = {"messages": [HumanMessage("go")]}

    def go(state: Any) -> Any:
        return agent().invoke(state, config) if way == "sync" else asyncio.run(agent().ainvoke(state, config))

    with pytest.raises(RuntimeError, match="dies here"):
        go(given)
    told = [message for message in go(None)["messages"] if isinstance(message, ToolMessage)]
    assert len(ran) == 1 and "replayed" in str(told[0].content)
    assert [asked["key"] for asked in fake.asked] == ["langchain:t-9:call_0"] * 2


def test_a_key_is_of_one_call_of_one_thread(fake: Fake) -> None:
    for thread in ["t-1", "t-2", "with a space and é", "x" * 300]:
        middleware = ApprovalMiddleware({"deploy": PRODUCTION}, program=fake.program)
        run("sync", calls(*[{"args": {"service": "api", "env": "production"}}] * 2), [middleware], thread)
    keys = [asked["key"] for asked in fake.asked]
    assert len(set(keys)) == len(keys) == 8 and all(key.isascii() and len(key) <= 255 and " " not in key for key in keys)


def test_a_wrong_option_is_found_at_once() -> None:
    for rules, options in [({}, {}), ({"deploy": "alex"}, {}), ({7: PRODUCTION}, {}), ({"deploy": PRODUCTION}, {"api_key": "x"})]:
        with pytest.raises(UsageError):
            ApprovalMiddleware(rules, **options)  # type: ignore[arg-type]


# Without an agent.


def node(tools: list[Any], **options: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(tools, **options))
    graph.add_edge(START, "tools")
    return graph.compile()


def call(graph: Any, way: str, arguments: dict[str, Any], name: str) -> ToolMessage:
    message = AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": "call_7", "type": "tool_call"}])
    given: Any = {"messages": [message]}
    state = graph.invoke(given) if way == "sync" else asyncio.run(graph.ainvoke(given))
    told: ToolMessage = state["messages"][-1]
    return told


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_tool_is_gated_inside(fake: Fake, way: str) -> None:
    @tool
    @gated(
        username="alex", action="Deploy", exclude=("config", "tool_call_id"), key=lambda args: args["tool_call_id"],
        program=fake.program,
    )  # fmt: skip
    def plain(
        service: str, config: RunnableConfig, tool_call_id: Annotated[str, InjectedToolCallId], version: str = "latest"
    ) -> str:
        """Deploys a service."""
        ran.append((service, version, tool_call_id, "configurable" in config))
        return f"deployed {service}"

    assert set(plain.tool_call_schema.model_json_schema()["properties"]) == {"service", "version"}
    assert call(node([plain]), way, {"service": "api"}, "plain").content == "deployed api"
    assert ran == [("api", "latest", "call_7", True)]
    assert json.loads(fake.asked[0]["given"]) == {"service": "api", "version": "latest"} and fake.asked[0]["key"] == "call_7"
    fake.will(reason="rejected")
    with pytest.raises(Rejected):
        plain.invoke({"type": "tool_call", "name": "plain", "args": {"service": "api"}, "id": "call_8"})
    told = call(node([plain], handle_tool_errors=tell_refusal), way, {"service": "api"}, "plain")
    assert told.status == "error" and told.content == "The tool was not run. rejected: the gate refused: rejected"
    assert len(ran) == 1


def test_an_async_plain_tool_is_gated_inside(fake: Fake) -> None:
    @tool
    @gated(username="alex", action="Deploy", program=fake.program)
    async def plain(service: str) -> str:
        """Deploys a service."""
        ran.append(service)
        return f"deployed {service}"

    assert call(node([plain]), "async", {"service": "api"}, "plain").content == "deployed api"
    assert ran == ["api"]


def test_what_langchain_fills_in_is_refused_by_its_type() -> None:
    def injected_config(service: str, config: RunnableConfig) -> None: ...
    def injected_id(service: str, call: Annotated[str, InjectedToolCallId]) -> None: ...
    def injected_runtime(service: str, rt: ToolRuntime) -> None: ...
    def optional(service: str, settings: RunnableConfig | None = None) -> None: ...

    for function, name in [(injected_config, "config"), (injected_id, "call"), (injected_runtime, "rt"), (optional, "settings")]:
        with pytest.raises(TypeError, match=f"fills in {name}"):
            gated(username="alex", action="x")(function)
        gated(username="alex", action="x", exclude=(name,))(function)
