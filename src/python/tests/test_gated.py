"""The decorator: what is asked, what runs, and what is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Fake

from countersign import ApprovalError, InexactError, LocalFault, Rejected, Replayed, Rule, UsageError, gated


@pytest.fixture
def ran() -> list[Any]:
    return []


def deploy_of(fake: Fake, ran: list[Any], **options: Any) -> Any:
    @gated(username="alex", action=lambda args: f"Deploy {args['service']}", **{"program": fake.program, **options})
    def deploy(service: str, version: str = "latest", *, dry: bool = False) -> str:
        """Deploys a service."""
        ran.append((service, version, dry))
        return f"deployed {service}"

    return deploy


def later_of(fake: Fake, ran: list[Any], **options: Any) -> Any:
    @gated(username="alex", action="Deploy", **{"program": fake.program, **options})
    async def deploy(service: str, version: str = "latest") -> str:
        ran.append((service, version))
        return f"deployed {service}"

    return deploy


# What is asked, and what runs.


def test_a_person_is_asked_for_every_argument_by_name(fake: Fake, ran: list[Any]) -> None:
    assert deploy_of(fake, ran)("api") == "deployed api"
    (asked,) = fake.asked
    assert (asked["username"], asked["action"]) == ("alex", "Deploy api")
    assert json.loads(asked["given"]) == {"service": "api", "version": "latest", "dry": False}
    assert ran == [("api", "latest", False)]


def test_async_functions_are_asked_for_too(fake: Fake, ran: list[Any]) -> None:
    assert asyncio.run(later_of(fake, ran)("api", version="2")) == "deployed api"
    assert json.loads(fake.asked[0]["given"]) == {"service": "api", "version": "2"} and ran == [("api", "2")]
    fake.will(reason="rejected")
    with pytest.raises(Rejected):
        asyncio.run(later_of(fake, ran)("api"))
    assert len(ran) == 1


@pytest.mark.parametrize("reason", ["rejected", "expired", "timed-out", "mismatch", "replayed", "unavailable", "local-fault"])
def test_nothing_runs_without_an_approval(fake: Fake, ran: list[Any], reason: str) -> None:
    fake.will(reason=reason)
    with pytest.raises(ApprovalError) as caught:
        deploy_of(fake, ran)("api")
    assert caught.value.reason == reason and ran == [] and fake.done == []


def test_nothing_runs_on_an_approval_of_other_arguments(fake: Fake, ran: list[Any]) -> None:
    fake.will(edit=[[["payload", "version"], "2"]])
    with pytest.raises(LocalFault):
        deploy_of(fake, ran)("api", "1")
    assert ran == []


def test_what_was_checked_is_what_runs(fake: Fake) -> None:
    seen, mine = [], {"soft": True}

    def change(args: dict[str, Any]) -> Any:
        args["filter"]["soft"] = mine["soft"] = "changed after it was read"
        return "Delete" if len(args) == 1 else True

    delete = gated(username="alex", action=change, when=lambda args: bool(change(args)), program=fake.program)(
        lambda filter: seen.append(filter)
    )
    delete(mine)
    assert json.loads(fake.asked[0]["given"]) == {"filter": {"soft": True}}
    assert seen == [{"soft": True}] and seen[0] is not mine


def test_a_function_of_the_arguments_says_whom_to_ask(fake: Fake, ran: list[Any]) -> None:
    def owner(args: dict[str, Any]) -> str:
        return {"api": "alex", "web": "kim"}[args["service"]]

    deploy = gated(username=owner, action="Deploy", program=fake.program)(lambda service: ran.append(service))
    deploy("web")
    assert fake.asked[0]["username"] == "kim"
    with pytest.raises(KeyError):
        deploy("other")
    assert ran == ["web"]


def test_when_says_for_which_arguments_a_person_is_asked(fake: Fake, ran: list[Any]) -> None:
    deploy = deploy_of(fake, ran, when=lambda args: args["service"] == "production")
    fake.will(reason="rejected")
    deploy("staging")
    assert fake.calls == [] and ran == [("staging", "latest", False)]
    with pytest.raises(Rejected):
        deploy("production")
    assert len(ran) == 1
    # A default is an argument like others, and what is not asked for runs as it was read, too.
    deploy_of(fake, ran, when=lambda args: args["version"] != "latest")("api")
    assert len(ran) == 2


@pytest.mark.parametrize("answer", [True, None, 0, "", [], 1])
def test_only_false_means_that_nobody_is_asked(fake: Fake, ran: list[Any], answer: Any) -> None:
    deploy_of(fake, ran, when=lambda args: answer)("api")
    assert len(fake.asked) == 1


def test_a_function_that_raises_asks_nobody_and_runs_nothing(fake: Fake, ran: list[Any]) -> None:
    def broken(args: dict[str, Any]) -> Any:
        raise RuntimeError("broken")

    for options in [{"when": broken}, {"key": broken}]:
        with pytest.raises(RuntimeError):
            deploy_of(fake, ran, **options)("api")
    for options in [{"key": lambda args: 7}, {"key": lambda args: None}]:
        with pytest.raises(TypeError):
            deploy_of(fake, ran, **options)("api")
    for action in [7, lambda args: None, lambda args: "a\0b"]:
        with pytest.raises(UsageError):
            gated(username="alex", action=action, program=fake.program)(lambda x: ran.append(x))(1)
    assert ran == [] and fake.calls == []


@pytest.mark.parametrize("value", [2**53 + 1, float("nan"), b"x", (1,), {1: 2}, {"a": object()}, "\ud800"])
def test_inexact_arguments_are_refused(fake: Fake, ran: list[Any], value: Any) -> None:
    for options in [{}, {"when": lambda args: False}]:
        with pytest.raises(InexactError):
            deploy_of(fake, ran, **options)(value)
    assert ran == [] and fake.calls == []


# Once.


def test_a_node_that_runs_twice_acts_once(fake: Fake, ran: list[Any]) -> None:
    deploy = deploy_of(fake, ran, key=lambda args: f"call-7-{args['service']}")
    deploy("api")
    with pytest.raises(Replayed):
        deploy("api")
    assert len(ran) == 1 and [asked["key"] for asked in fake.asked] == ["call-7-api"] * 2


# How it ended.


def test_how_it_ended_is_recorded(fake: Fake, ran: list[Any]) -> None:
    deploy_of(fake, ran, config="/etc/gate.toml", journal="/var/j.db")("api")
    assert fake.done == [["--config=/etc/gate.toml", "--journal=/var/j.db", "--ok", "--", "made-up-key"]]

    @gated(username="alex", action="Fail", program=fake.program)
    def fail(x: int) -> None:
        raise KeyError("a secret")

    with pytest.raises(KeyError):
        fail(1)
    assert fake.done[1] == ["--failed=builtins.KeyError", "--", "made-up-key"]

    @gated(username="alex", action="Fail", program=fake.program)
    async def fail_later(x: int) -> None:
        raise OSError

    with pytest.raises(OSError):
        asyncio.run(fail_later(1))
    assert fake.done[2][0] == "--failed=builtins.OSError" and len(fake.done) == 3
    asyncio.run(later_of(fake, ran)("api"))
    assert fake.done[3][0] == "--ok"


def test_what_is_not_known_is_not_recorded(fake: Fake) -> None:
    @gated(username="alex", action="Stop", program=fake.program)
    def stop(x: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(1)

    async def begin() -> int:
        return 1

    assert asyncio.run(gated(username="alex", action="Begin", program=fake.program)(lambda: begin())()) == 1
    assert len(fake.asked) == 2 and fake.done == []


def test_a_result_is_not_lost_with_its_record(fake: Fake, ran: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    fake.will(done=5)
    assert deploy_of(fake, ran)("api") == "deployed api"
    assert "is not recorded" in caplog.text


def test_nothing_is_recorded_where_nobody_was_asked(fake: Fake, ran: list[Any]) -> None:
    deploy_of(fake, ran, when=lambda args: False)("api")
    assert fake.calls == []


# Functions.


def test_the_function_keeps_its_name_and_signature(fake: Fake, ran: list[Any]) -> None:
    import inspect

    deploy = deploy_of(fake, ran)
    assert deploy.__name__ == "deploy" and deploy.__doc__ == "Deploys a service."
    assert list(inspect.signature(deploy).parameters) == ["service", "version", "dry"]
    assert inspect.iscoroutinefunction(later_of(fake, ran))


def test_functions_that_cannot_be_gated_are_refused(fake: Fake) -> None:
    def generator(x: int) -> Iterator[int]:
        yield x

    async def async_generator(x: int) -> Any:
        yield x

    class Callable:
        def __call__(self, x: int) -> int:
            return x

    for function in [lambda *a: 0, lambda **a: 0, lambda x, /: 0, generator, async_generator, Callable()]:
        with pytest.raises(TypeError):
            gated(username="alex", action="x")(function)
    with pytest.raises(UsageError, match="no option require_pined_key"):
        gated(username="alex", action="x", require_pined_key=True)  # type: ignore[call-arg]


def test_wrong_arguments_ask_nobody(fake: Fake, ran: list[Any]) -> None:
    for arguments in [{}, {"service": "api", "extra": 1}]:
        with pytest.raises(TypeError):
            deploy_of(fake, ran)(**arguments)
    assert fake.calls == [] and ran == []


def test_excluded_parameters_are_passed_on_and_not_asked_for(fake: Fake) -> None:
    seen = []

    class Deployer:
        @gated(username="alex", action="Deploy", exclude=("self", "session"), key=lambda a: a["session"], program=fake.program)
        def deploy(self, service: str, session: object = None) -> None:
            seen.append((self, service, session))

    deployer = Deployer()
    deployer.deploy("api", session="s-1")
    assert seen == [(deployer, "api", "s-1")]
    assert fake.asked[0]["given"] == '{"service":"api"}' and fake.asked[0]["key"] == "s-1"
    with pytest.raises(TypeError, match="no parameter"):
        gated(username="alex", action="x", exclude=("other",))(lambda x: x)
    with pytest.raises(TypeError, match="no parameter"):
        gated(username="alex", action="x", exclude="xy")(lambda x: x)


@pytest.mark.parametrize("name", ["run_manager", "callbacks", "tool_call_id", "runtime"])
def test_what_a_framework_fills_in_is_refused_by_name(name: str) -> None:
    function = eval(f"lambda service, {name}=None: service")
    with pytest.raises(TypeError, match=f"fills in {name}.*exclude"):
        gated(username="alex", action="x")(function)
    gated(username="alex", action="x", exclude=(name,))(function)


def test_what_a_framework_fills_in_is_refused_by_type() -> None:
    def text(service: str, config: "RunnableConfig | None" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    with pytest.raises(TypeError, match="fills in config"):
        gated(username="alex", action="x")(text)

    def plain(config: str, state: dict[str, Any], store: str) -> None:
        pass

    gated(username="alex", action="x")(plain)


def test_a_rule_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Rule("alex", "Deploy").username = "mallory"  # type: ignore[misc]
