"""Whole approvals and every lie: the real program against the approval service and the log that can lie.

COUNTERSIGN names the program, and COUNTERSIGN_TESTLOG the service. Nobody has to click: software passkeys decide.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from countersign import (
    ApprovalError,
    Rejected,
    Replayed,
    Unverified,
    gated,
    require_approval,
    require_approval_async,
    verify_receipt,
)

pytestmark = pytest.mark.real
TESTLOG = os.environ.get("COUNTERSIGN_TESTLOG")
PAYLOAD = {"service": "api", "version": "1.4.2", "text": "é\u2028\U0001f600", "large": 1e21, "list": [None, True, 0.5]}
Start = Callable[..., dict[str, Any]]


def service_lies() -> list[dict[str, Any]]:
    """The table of lies, which says how a gate takes each."""
    if TESTLOG is None:
        return []
    listed = subprocess.run([TESTLOG, "lies", "--format", "json"], capture_output=True, check=True)
    return [lie for lie in json.loads(listed.stdout) if lie["kind"] == "service-lie"]


@pytest.fixture
def start(countersign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service, and returns the options with which to ask it."""
    if TESTLOG is None:
        pytest.skip("COUNTERSIGN_TESTLOG names no service")
    monkeypatch.chdir(tmp_path)  # evidence
    running = []

    def begin(*options: str, decide: str = "approve", pinned: bool = True) -> dict[str, Any]:
        command = [str(TESTLOG), "serve", "--entries", "5", "--approvals", "--decide", decide, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        running.append(process)
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        monkeypatch.setenv("COSIGNET_API_KEY", said["apiKey"])
        config = tmp_path / "gate.toml"
        config.write_text(
            f"log = {json.dumps('api+' + said['url'])}\nlog-key = {json.dumps(said['logKey'])}\nrp-id = {json.dumps(said['rpId'])}\n"
            f"allow-origin = {json.dumps(said['allowOrigins'])}\n[gate]\nservice = {json.dumps(said['service'])}\n"
            f"journal = {json.dumps(str(tmp_path / 'gate.db'))}\n"
            + (f"[approvers]\nalex = [{json.dumps(said['approverKeys']['alex'])}]\n" if pinned else "")
        )
        subprocess.run([countersign, "gate", "--init", "--config", config], check=True, capture_output=True)
        return {"program": countersign, "config": config, "log_wait_s": 2, "timeout_s": 3}

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ask(way: str, options: dict[str, Any], **more: Any) -> Any:
    given = {**options, **more}
    payload = given.pop("payload", PAYLOAD)
    if way == "sync":
        return require_approval("alex", "Deploy “api”", payload, **given)
    return asyncio.run(require_approval_async("alex", "Deploy “api”", payload, **given))


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("signed", [True, False])
def test_an_approval_is_verified_and_used_up(start: Start, way: str, signed: bool) -> None:
    options = start(*(["--sign-action"] if signed else []))
    approval = ask(way, options, key="k-1", require_pinned_key=True, require_signed_action=signed)
    assert approval.args == PAYLOAD and approval.key == "k-1" and approval.approver == "alex"
    assert approval.key_pinned and approval.action_signed is signed
    checked = verify_receipt(
        approval.receipt, approval.args, config=options["config"], approver="alex", id=approval.id, program=options["program"],
        action="Deploy “api”" if signed else None,
    )  # fmt: skip
    assert checked.nonce == approval.nonce
    with pytest.raises(Unverified):
        verify_receipt(approval.receipt, {**PAYLOAD, "service": "web"}, config=options["config"], program=options["program"])
    with pytest.raises(Replayed):
        ask(way, options, key="k-1")
    assert ask(way, options, key="k-2").nonce != approval.nonce


def test_a_key_is_pinned_or_the_first_that_was_seen(start: Start) -> None:
    options = start(pinned=False)
    assert not ask("sync", options).key_pinned
    with pytest.raises(Unverified):
        ask("sync", options, require_pinned_key=True)


def test_what_a_person_refuses_does_not_run(start: Start) -> None:
    options = start(decide="reject", pinned=False)
    ran: list[str] = []
    timeout_s = options.pop("timeout_s")
    deploy = gated(username="alex", action="Deploy", timeout_s=timeout_s, **options)(lambda service: ran.append(service))
    with pytest.raises(Rejected):
        deploy("api")
    assert ran == []


def test_a_gated_function_runs_once_and_its_ending_is_recorded(start: Start) -> None:
    options = start()
    ran: list[str] = []
    timeout_s = options.pop("timeout_s")

    @gated(username="alex", action="Deploy", timeout_s=timeout_s, key=lambda args: f"call:{args['service']}", **options)
    def deploy(service: str) -> None:
        ran.append(service)
        if service == "broken":
            raise KeyError("a secret")

    deploy("api")
    for service, error in [("api", Replayed), ("broken", KeyError), ("broken", Replayed)]:
        with pytest.raises(error):
            deploy(service)
    assert ran == ["api", "broken"]
    command = [options["program"], "gate", "export", "--config", options["config"]]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    rows = {row["key"]: row for row in map(json.loads, lines)}
    assert [rows[key]["ending"] for key in ("call:api", "call:broken")] == ["ok", "failed"]
    assert rows["call:broken"]["failure"] == "builtins.KeyError"


def test_ten_at_once_act_once(start: Start) -> None:
    options = start()

    async def ten() -> list[Any]:
        asking = (require_approval_async("alex", "Deploy", PAYLOAD, key="k", **options) for _ in range(10))
        return await asyncio.gather(*asking, return_exceptions=True)

    ended = asyncio.run(ten())
    approved = [one for one in ended if not isinstance(one, BaseException)]
    assert len(approved) == 1 and all(isinstance(one, ApprovalError) for one in ended if one is not approved[0])


@pytest.mark.parametrize("decide", ["approve", "reject"])
def test_the_first_example_of_the_readme_works(
    start: Start, countersign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decide: str
) -> None:
    start(decide=decide, pinned=False)
    # As a reader has it: the program in the PATH, the config beside the script, the journal where it is by default.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "countersign").symlink_to(Path(countersign).absolute())
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = tmp_path / "gate.toml"
    config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("journal")))
    here = Path(__file__).parents[1]
    readme = (here / "README.md").read_text()
    example = readme.partition("```python\n")[2].partition("```")[0]
    (command,) = [line.partition("#")[0] for line in readme.splitlines() if line.startswith("countersign gate --init")]
    subprocess.run(command.split(), check=True, capture_output=True)
    ran = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(here)})
    said = {"approve": "deploying api to production", "reject": "rejected: "}[decide]
    assert ran.returncode == 0 and ran.stdout.startswith("deploying api to staging\n" + said), ran.stderr
    assert "/confirm" in ran.stderr or "http://" in ran.stderr


@pytest.mark.parametrize("lie", service_lies(), ids=lambda lie: str(lie["option"]))
def test_each_lie_is_refused_for_its_reason(start: Start, lie: dict[str, Any]) -> None:
    argument = f":{lie['argument']}" if lie["argument"] and ":" not in lie["option"] else ""
    options = start("--lie", lie["option"] + argument, pinned=lie["gate"]["pinned"])
    for _ in range(lie["gate"]["runs"] - 1):
        ask("sync", options)
    if lie["gate"]["reason"] is None:
        assert ask("sync", options).args == PAYLOAD
        return
    with pytest.raises(ApprovalError) as caught:
        ask("sync", options)
    assert caught.value.reason == lie["gate"]["reason"], caught.value
