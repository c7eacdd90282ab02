"""The real program, which COUNTERSIGN names, with a service that answers as a test tells it to. It needs no network.

An approval needs a log, which tests/gate has; here are the contract of the program's answers, and refusals.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from countersign import (
    Denied,
    Expired,
    LocalFault,
    Mismatch,
    Rejected,
    TimedOut,
    Unavailable,
    Unverified,
    UsageError,
    gated,
    record_done,
    require_approval,
    require_approval_async,
)
from countersign._json import canonical

pytestmark = pytest.mark.real
PAYLOAD = {"service": "api", "n": 1.0, "text": "é\u2028\U0001f600", "large": 1e21, "small": 1e-7, "list": [None, True, -0.0]}
TRUST = Path(__file__).parents[3] / "fixtures" / "receipts" / "trust.toml"


class Service:
    """An approval service on this machine. It keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status = "pending"
        self.code = 200
        self.hash: str | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(body)
                service.keys.append(self.headers.get("X-Api-Key"))
                signed = service.hash or hashlib.sha256(canonical(body["payload"]).encode()).hexdigest()
                number = f"conf-{len(service.asked)}"
                expires = int((time.time() + 600) * 1000)
                self.say({"id": number, "url": f"{service.url}/c/{number}", "payloadHash": signed, "expiresAt": expires})

            def do_GET(self) -> None:
                if service.status == "pending":
                    time.sleep(0.2)
                self.say({"id": self.path.split("/")[-1].partition("?")[0], "status": service.status})

            def say(self, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(service.code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def options(countersign: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("COSIGNET_API_KEY", "secret-7")
    journal = tmp_path / "gate.db"
    config = tmp_path / "gate.toml"
    config.write_text(f"{TRUST.read_text()}\n[gate]\nservice = '{service.url}'\njournal = '{journal}'\n")
    subprocess.run([countersign, "gate", "--init", "--config", config], check=True, capture_output=True)
    # Nothing serves a log there: no test here gets as far.
    return {"program": countersign, "config": config, "log": f"api+{service.url}/log", "log_wait_s": 1}


def row(options: dict[str, Any], key: str) -> dict[str, Any]:
    command = [options["program"], "gate", "show", "--config", options["config"], "--format", "json", "--", key]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return dict(json.loads(done.stdout))


def ask(way: str, options: dict[str, Any], **more: Any) -> Any:
    given = {"timeout_s": 1.5, **options, **more}
    payload = given.pop("payload", PAYLOAD)
    if way == "sync":
        return require_approval("alex", "Deploy “api”", payload, **given)
    return asyncio.run(require_approval_async("alex", "Deploy “api”", payload, **given))


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(("status", "kind"), [("rejected", Rejected), ("expired", Expired), ("pending", TimedOut), ("maybe", Unavailable)])
def test_what_the_service_says_is_a_refusal(way: str, service: Service, options: dict[str, Any], status: str, kind: Any) -> None:
    service.status = status
    with pytest.raises(kind) as caught:
        ask(way, options, key="k-1")
    assert type(caught.value) is kind and (caught.value.key, caught.value.id) == ("k-1", "conf-1")
    assert caught.value.url == f"{service.url}/c/conf-1" and caught.value.message
    (asked,) = service.asked
    assert (asked["username"], asked["action"]) == ("alex", "Deploy “api”")
    assert canonical(asked["payload"]) == canonical(PAYLOAD) and service.keys == ["secret-7"]


def test_both_readers_of_json_come_to_one_canonical_form(service: Service, options: dict[str, Any]) -> None:
    service.status = "rejected"
    with pytest.raises(Rejected):
        ask("sync", options, key="k-1")
    assert row(options, "k-1")["payloadHash"] == hashlib.sha256(canonical(PAYLOAD).encode()).hexdigest()


def test_approved_by_word_alone_is_no_approval(service: Service, options: dict[str, Any]) -> None:
    service.status = "approved"
    with pytest.raises(Unverified):
        ask("sync", options)


def test_a_hash_of_something_else_stops_at_once(service: Service, options: dict[str, Any]) -> None:
    service.hash = "0" * 64
    with pytest.raises(Mismatch):
        ask("sync", options)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
def test_a_denied_request_is_denied(service: Service, options: dict[str, Any], code: int) -> None:
    service.code = code
    with pytest.raises(Denied):
        ask("sync", options)


def test_no_service_is_unavailable(service: Service, options: dict[str, Any]) -> None:
    service.close()
    with pytest.raises(Unavailable):
        ask("sync", options)


def test_one_key_is_asked_for_once(service: Service, options: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(TimedOut):
            ask("sync", options, key="k-1")
    service.status = "rejected"
    for _ in range(2):
        with pytest.raises(Rejected):
            ask("async", options, key="k-1")
    with pytest.raises(Mismatch):
        ask("sync", options, key="k-1", payload={})
    assert len(service.asked) == 1


def test_a_cancelled_question_goes_on_under_its_key(service: Service, options: dict[str, Any]) -> None:
    async def cancel() -> None:
        given = {**options, "key": "k-1", "timeout_s": 30}
        waiting = asyncio.ensure_future(require_approval_async("alex", "Deploy “api”", PAYLOAD, **given))
        while not service.asked:
            await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    time.sleep(0.3)
    service.status = "rejected"
    with pytest.raises((Rejected, Unavailable)):
        ask("sync", options, key="k-1")
    assert len(service.asked) == 1


def test_a_journal_that_is_missing_is_a_fault(service: Service, options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LocalFault):
        ask("sync", options, journal=tmp_path / "other.db")
    assert service.asked == []


def test_wrong_usage_asks_nobody(service: Service, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for more in [{"config": "/nowhere"}, {"service": "ftp://x"}, {"service": "http://service.example"}, {"log": "x"}, {"timeout_s": 0.5},
                 {"api_key_file": "/nowhere"}, {"api_key_env": "NOT_SET"}, {"key": ""}, {"ask_again": True}]:  # fmt: skip
        with pytest.raises(UsageError):
            ask("sync", options, **more)
    monkeypatch.delenv("COSIGNET_API_KEY")
    with pytest.raises(UsageError):
        ask("sync", options)
    with pytest.raises(UsageError):
        require_approval("", "Deploy", {}, **options)
    with pytest.raises(UsageError):
        require_approval("alex", "", {}, **options)
    assert service.asked == []


def test_a_gated_function_does_not_run(service: Service, options: dict[str, Any]) -> None:
    ran = []
    service.status = "rejected"
    deploy = gated(username="alex", action="Deploy", timeout_s=2, **options)(lambda service: ran.append(service))
    with pytest.raises(Rejected):
        deploy("api")
    assert ran == [] and len(service.asked) == 1


def test_an_ending_of_what_never_began_is_not_recorded(service: Service, options: dict[str, Any], caplog: Any) -> None:
    service.status = "rejected"
    with pytest.raises(Rejected):
        ask("sync", options, key="-k")
    settings = {"program": options["program"], "config": options["config"]}
    for key in ["-k", "--ok", "nothing"]:
        assert record_done(key, **settings) is False
        assert record_done(key, failed="--why", **settings) is False
    assert "unexpected argument" not in caplog.text and "required" not in caplog.text
