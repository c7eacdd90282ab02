"""A question, its answer, and every answer that is none. The program is a fake one."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Fake

import countersign
from countersign import (
    Approval,
    ApprovalError,
    LocalFault,
    Replayed,
    UsageError,
    _gate,
    require_approval,
    require_approval_async,
)
from countersign.errors import BY_REASON, EXIT_CODES

PAYLOAD = {"service": "api", "version": "1.4.2", "replicas": 3, "ratio": 0.5}
WAYS = ["sync", "async"]
Ask = Callable[..., Approval]


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, fake: Fake) -> Ask:
    """Both twins, with the same arguments."""

    def call(payload: Any = None, **options: Any) -> Approval:
        arguments = ("alex", "Deploy api", PAYLOAD if payload is None else payload)
        options = {"program": fake.program, **options}
        if request.param == "sync":
            return require_approval(*arguments, **options)
        return asyncio.run(require_approval_async(*arguments, **options))

    return call


def refusal(ask: Ask, kind: type[Exception] = LocalFault, match: str | None = None, **options: Any) -> Any:
    with pytest.raises(kind, match=match) as caught:
        ask(**options)
    assert type(caught.value) is kind
    return caught.value


# What gets through.


def test_an_approval_has_what_was_approved(ask: Ask) -> None:
    approval = ask()
    assert approval.args == PAYLOAD and list(approval.args) == sorted(PAYLOAD)
    assert (approval.id, approval.approver, approval.decided_at) == ("conf-7", "alex", 1782000222000)
    assert approval.nonce == approval.receipt["entry"]["nonce"] and approval.key == "made-up-key"
    assert (approval.key_pinned, approval.action_signed) == (False, False)
    assert "entry" not in repr(approval)


def test_the_program_gets_each_option_once(ask: Ask, fake: Fake, tmp_path: Any) -> None:
    fake.will(encoding="jcs-action-payload", pinned=True)
    options = {"config": "gate.toml", "journal": tmp_path / "j.db", "service": "https://s.example", "log": "api+https://l.example",
               "api_key_file": "key", "api_key_env": "KEY", "log_wait_s": 5, "key": "k-1", "ask_again": True}
    approval = ask(timeout_s=1.5, require_pinned_key=True, require_signed_action=True, **options)
    assert approval.key_pinned and approval.action_signed
    here = os.getcwd()
    assert fake.asked == [{
        "format": "json", "payload": "-", "username": "alex", "action": "Deploy api", "timeout": "1500ms",
        "config": f"{here}/gate.toml", "journal": str(tmp_path / "j.db"), "service": "https://s.example",
        "log": "api+https://l.example", "api-key-env": "KEY", "api-key-file": f"{here}/key", "log-wait": "5000ms", "key": "k-1",
        "ask-again": "", "require-pinned-key": "", "require-signed-action": "",
        "given": '{"ratio":0.5,"replicas":3,"service":"api","version":"1.4.2"}',
    }]  # fmt: skip
    options = [argument.partition("=")[0] for argument in fake.calls[0]["args"]]
    assert len(options) == len(set(options))


def test_the_key_of_the_service_is_only_in_the_environment(ask: Ask, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGNET_API_KEY", "secret-7")
    ask()
    assert fake.calls[0]["key"] == "secret-7" and "secret-7" not in json.dumps(fake.calls[0]["args"])
    refusal(ask, UsageError, "no option api_key", api_key="secret-7")


def test_the_action_may_look_like_an_option(fake: Fake) -> None:
    require_approval("--key=x", "--help", {}, program=fake.program)
    assert (fake.asked[0]["username"], fake.asked[0]["action"]) == ("--key=x", "--help")


def test_numbers_run_as_they_were_approved(ask: Ask) -> None:
    args = ask({"whole": 2.0, "large": 1e17, "beyond": 123456789012345680000.0, "none": -0.0}).args
    assert args == {"whole": 2, "large": 1e17, "beyond": 123456789012345680000.0, "none": 0}


def test_whoever_watches_sees_the_link_while_it_waits(ask: Ask, fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "countersign"):
        ask()
    assert [record.getMessage() for record in caplog.records] == ["waiting for a person: https://service.example/c/7"]


def test_a_key_is_used_once(ask: Ask) -> None:
    ask(key="call-1")
    assert refusal(ask, Replayed, key="call-1").key == "call-1"
    ask(key="call-2")


def test_the_answer_is_that_to_the_arguments_as_they_were(fake: Fake) -> None:
    mine: dict[str, Any] = {"filter": {"soft": True}}

    async def change() -> Approval:
        waiting = asyncio.ensure_future(require_approval_async("alex", "Delete", mine, program=fake.program))
        await asyncio.sleep(0.05)
        mine["filter"]["soft"] = False
        return await waiting

    fake.will(wait=0.2)
    assert asyncio.run(change()).args == {"filter": {"soft": True}}


# Refusals.


@pytest.mark.parametrize("reason", BY_REASON)
def test_each_reason_is_a_class(ask: Ask, fake: Fake, reason: str) -> None:
    fake.will(reason=reason)
    error = refusal(ask, BY_REASON[reason], key="k")
    assert isinstance(error, ApprovalError) and isinstance(error, PermissionError)
    assert (error.reason, error.key, error.id, error.url) == (reason, "k", "conf-7", "https://service.example/c/7")
    assert error.message == f"the gate refused: {reason}" and str(error) == f"{reason}: {error.message}"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, again.key, again.id) == (type(error), error.message, "k", "conf-7")
    assert getattr(countersign, type(error).__name__) is type(error)


def test_there_are_as_many_reasons_as_the_gate_has() -> None:
    assert len(BY_REASON) == len(EXIT_CODES) == 12 and BY_REASON.keys() == EXIT_CODES.keys()
    assert all(isinstance(kind, type) and kind.reason == reason for reason, kind in BY_REASON.items())


def test_wrong_usage_is_no_answer(ask: Ask, fake: Fake) -> None:
    stub = fake.stub("#!/bin/sh\necho 'error: no --service' >&2; exit 2\n")
    assert "no --service" in str(refusal(ask, UsageError, program=stub))
    for options in [{"timeout_s": 0}, {"timeout_s": -1}, {"timeout_s": float("nan")}, {"timeout_s": float("inf")}, {"timeout_s": "5"},
                    {"timeout_s": True}, {"log_wait_s": -1}, {"key": 7}, {"key": "a\0b"}, {"key": "\udcff"}, {"config": 7},
                    {"service": 7}, {"require_pinned_key": "no"}, {"require_pined_key": True}, {"payload": [1]},
                    {"payload": "x"}]:  # fmt: skip
        refusal(ask, UsageError, **options)
    assert fake.calls == []


def test_inexact_arguments_are_refused_before_anybody_is_asked(ask: Ask, fake: Fake) -> None:
    for value in [2**53 + 1, float("nan"), b"x", (1,), {1: 2}, "\ud800"]:
        refusal(ask, countersign.InexactError, payload={"x": value})
    assert fake.calls == []


# Lies, crashes and silence.


@pytest.mark.parametrize(
    "raw",
    ["", "ok", "{}", "[]", "null", "0", "NaN", "true", '"approved"', "[" * 100_000, "\udcff", '{"result":"approved"}',
     '{"tool":"countersign","command":"gate","result":"approved","exitCode":0}',
     '{"tool":"countersign","command":"verify","verdict":"clean","exitCode":0}',
     '{"tool":"countersign","command":"gate","result":"refused","exitCode":0,"reason":"rejected"}'],
    ids=lambda raw: raw[:40],
)  # fmt: skip
def test_garbage_is_no_approval(ask: Ask, fake: Fake, raw: str) -> None:
    for code in [0, 1, 3, 4, 5]:
        fake.will(raw=raw, code=code)
        refusal(ask, match="no answer to rely on")


def good(fake: Fake) -> dict[str, Any]:
    """What the fake prints for an approval."""
    import subprocess

    fake.will()
    command = [fake.program, "gate", "--payload=-", "--username=alex", "--action=Deploy api", "--timeout=1s", "--key=k"]
    answer = json.loads(subprocess.run(command, input=json.dumps(PAYLOAD), capture_output=True, text=True, check=True).stdout)
    return dict(answer)


OTHERS: dict[str, list[Any]] = {
    "tool": ["other"], "command": ["verify", "gate done"], "result": ["refused", "pending", "clean", True],
    "exitCode": [1, 3, False, "0", 0.5], "reason": ["rejected", "", False], "key": ["another", "", 7],
    "username": ["Alex", "alex ", ["alex"]], "action": ["Deploy", "deploy api", ""],
    "payload": [{}, {**PAYLOAD, "version": "1.4.3"}, {**PAYLOAD, "extra": None}, {**PAYLOAD, "replicas": "3"},
                {**PAYLOAD, "replicas": True}, [PAYLOAD], "x"],
    "payloadHash": ["0" * 64, "", 7], "payloadEncoding": ["raw-payload", "jcs-action-payload", "", 1, ["jcs-payload"]],
    "approver": ["mallory", ""], "nonce": ["", 7, "another"], "id": ["", 7, "another"], "keyPinned": [0, 1, "false"],
    "actionSigned": [0, 1, "true"], "requestedAt": ["now", -1, True, 1.5], "decidedAt": ["now", -1, 1782000222001],
    "expiresAt": ["", -1], "receipt": [{}, [], "x", {"entry": None}, {"entry": []}],
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_an_answer_that_contradicts_itself_or_the_question_is_no_approval(ask: Ask, fake: Fake, name: str) -> None:
    edits = [[[[name]]], [[[name], None]], *([[[name], value]] for value in OTHERS[name])]
    if name == "reason":
        edits = [edit for edit in edits if edit != [[["reason"], None]]]
    for number, edit in enumerate(edits):
        fake.will(edit=edit)
        refusal(ask, match="no answer to rely on", key=f"k-{number}")


def test_a_receipt_of_something_else_is_no_approval(ask: Ask, fake: Fake) -> None:
    entry = good(fake)["receipt"]["entry"]
    for number, name in enumerate(set(entry) - {"type", "expiresAt"}):
        for value in ["another", None, 7]:
            fake.will(edit=[[["receipt", "entry", name], value]])
            refusal(ask, match="no answer to rely on", key=f"k-{number}-{value}")


def test_an_approval_lacks_nothing_that_was_required(ask: Ask) -> None:
    refusal(ask, match="lacks what was required", require_pinned_key=True)
    refusal(ask, match="lacks what was required", require_signed_action=True)


def test_two_readings_of_one_answer_are_none(ask: Ask, fake: Fake) -> None:
    text = json.dumps(good(fake))
    for raw in [text * 2, text + "x", text[:-1], text.replace('"result":', '"result": "refused", "result":'),
                text.replace('"payload":', '"payload": {}, "payload":'), "\ufeff" + text]:  # fmt: skip
        fake.will(raw=raw, code=0)
        refusal(ask, match="no answer to rely on", key="k")
    fake.will(raw=text, code=0)
    assert ask(key="k").args == PAYLOAD


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 101, 125, 126, 127, 137, 255])
def test_an_approval_with_another_exit_code_is_none(ask: Ask, fake: Fake, code: int) -> None:
    fake.will(code=code)
    refusal(ask)


def test_a_refusal_with_another_exit_code_is_a_fault(ask: Ask, fake: Fake) -> None:
    for reason, code in [("rejected", 0), ("rejected", 3), ("violation", 1), ("replayed", 5), ("approved", 1), ("", 0), ("x", 1)]:
        fake.will(reason=reason, code=code)
        refusal(ask)
        fake.will(reason=reason, code=code, edit=[[["exitCode"], code]])
        refusal(ask)


def test_a_crash_is_no_approval(ask: Ask, fake: Fake) -> None:
    for signal in ["SIGKILL", "SIGSEGV", "SIGTERM"]:
        fake.will(signal=signal)
        refusal(ask, match="signal")
    for script in ["kill -9 $$", "exit 1", "exit 0", "exec /nowhere", "exec false", "exec true", "echo approved"]:
        refusal(ask, program=fake.stub(f"#!/bin/sh\n{script}\n"))


def test_no_program_is_no_approval(ask: Ask, fake: Fake, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    for program in ["/nowhere/countersign", str(tmp_path), "", str(plain), "a\0b"]:
        refusal(ask, match="cannot be run", program=program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("countersign._program.metadata.distribution", lambda name: (_ for _ in ()).throw(
        countersign._program.metadata.PackageNotFoundError(name)))  # fmt: skip
    refusal(ask, match="not installed", program=None)


def test_a_program_that_hangs_is_killed_and_is_no_approval(ask: Ask, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gate, "SLACK_S", 0.3)
    options = {"timeout_s": 0.1, "log_wait_s": 0.1}
    started = time.monotonic()
    fake.will(hang=60)
    refusal(ask, match="did not end in time", **options)
    fake.will(wait=60)
    refusal(ask, match="did not end in time", **options)
    for script in ["exec sleep 60", "sleep 60", "trap '' TERM; sleep 60", "sleep 60 & exit 0", "exec >&- 2>&-; sleep 60"]:
        refusal(ask, match="did not end in time", program=fake.stub(f"#!/bin/sh\n{script}\n"), **options)
    assert time.monotonic() - started < 20
    for call in fake.calls:
        assert gone(call["pid"])


def test_a_program_that_prints_without_end_is_killed(ask: Ask, fake: Fake) -> None:
    fake.will(flood=True)
    refusal(ask, match="printed more than")
    assert gone(fake.calls[0]["pid"])


def test_a_cancelled_wait_kills_the_program(fake: Fake) -> None:
    fake.will(wait=60)

    async def cancel() -> None:
        waiting = asyncio.ensure_future(require_approval_async("alex", "Deploy", {}, program=fake.program))
        while not fake.calls:
            await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert gone(fake.calls[0]["pid"])

    asyncio.run(cancel())


def test_an_interrupted_wait_kills_the_program(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.will(wait=60)
    real = countersign._program._ready

    def interrupt(ready: Any, until: float) -> Any:
        if fake.calls:
            raise KeyboardInterrupt
        return real(ready, time.monotonic() + 0.05) if len(ready.get_map()) == 3 else pause()

    def pause() -> Any:
        time.sleep(0.02)
        return iter(())

    monkeypatch.setattr(countersign._program, "_ready", interrupt)
    with pytest.raises(KeyboardInterrupt):
        require_approval("alex", "Deploy", {}, program=fake.program)
    assert gone(fake.calls[0]["pid"])


def test_many_wait_at_once_in_one_loop(fake: Fake) -> None:
    fake.will(wait=0.3)

    async def many() -> list[Approval]:
        return await asyncio.gather(
            *(require_approval_async("alex", "Deploy", {"n": n}, program=fake.program) for n in range(20))
        )

    assert [approval.args["n"] for approval in asyncio.run(many())] == list(range(20))


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
