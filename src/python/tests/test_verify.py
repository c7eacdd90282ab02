"""Receipts, by the real program where there is one, and by programs that lie about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Fake

from countersign import LocalFault, Unverified, UsageError, Violation, verify_receipt

RECEIPTS = Path(__file__).parents[3] / "fixtures" / "receipts"
GOOD = RECEIPTS / "good-payload.json"
PAYLOAD = json.loads((RECEIPTS / "good-payload.payload").read_text())
RECEIPT = json.loads(GOOD.read_text())
TRUST = RECEIPTS / "trust.toml"


def report(path: str = "PATH", **changes: Any) -> dict[str, Any]:
    checks = [{"name": name, "result": "passed", "message": None} for name in ("decision", "payload", "inclusion")]
    return {"tool": "countersign", "command": "verify", "verdict": "clean", "exitCode": 0, "source": path, "id": "i",
            "nonce": "n", "approver": "bruna", "checks": checks, **changes}  # fmt: skip


def saying(fake: Fake, said: dict[str, Any] | str, code: int = 0) -> str:
    text = said if isinstance(said, str) else json.dumps(said)
    path = Path(fake.stub(text))
    # The last argument is the receipt, which a report names.
    script = f'for path; do :; done; sed "s|PATH|$path|" {path}; cat > /dev/null; exit {code}'
    return fake.stub(f"#!/bin/sh\n{script}\n")


@pytest.mark.real
def test_a_receipt_holds_for_its_arguments(countersign: str) -> None:
    for receipt in [GOOD, str(GOOD), RECEIPT]:
        verified = verify_receipt(receipt, PAYLOAD, config=TRUST, approver="bruna", id=RECEIPT["entry"]["id"],
                                  max_age_s=10**9, program=countersign)  # fmt: skip
        assert (verified.nonce, verified.approver) == (RECEIPT["entry"]["nonce"], "bruna")


@pytest.mark.real
def test_a_receipt_holds_for_nothing_else(countersign: str) -> None:
    for changes, kind in [
        ({"payload": {**PAYLOAD, "limit": 1}}, Unverified),
        ({"approver": "mallory"}, Unverified),
        ({"id": "another"}, Unverified),
        ({"max_age_s": 1}, Unverified),
        ({"action": "Delete"}, Unverified),
        ({"config": None}, Unverified),
        ({"config": "/nowhere"}, UsageError),
        ({"receipt": {**RECEIPT, "entry": {**RECEIPT["entry"], "approver": "mallory"}}}, Unverified),
        ({"receipt": {}}, Unverified),
        ({"receipt": RECEIPTS / "rejected-is-not-approved.json"}, Unverified),
    ]:
        options = {"receipt": GOOD, "payload": PAYLOAD, "config": TRUST, "program": countersign, **changes}
        with pytest.raises(kind) as caught:
            verify_receipt(**options)  # type: ignore[arg-type]
        assert type(caught.value) is kind, changes


def test_a_clean_report_of_this_receipt_is_taken(fake: Fake) -> None:
    assert verify_receipt(RECEIPT, PAYLOAD, program=saying(fake, report())).id == "i"


@pytest.mark.parametrize(
    "said",
    ["", "ok", "{}", "[]", "null", "[" * 100_000, '{"checks":[]}', '{"checks":[{}]}',
     report(path="other"), report(verdict="invalid"), report(exitCode=1), report(tool="x"), report(command="gate"),
     report(nonce=None), report(id=7), report(checks=[]),
     report(checks=[{"name": "payload", "result": "passed"}]),
     report(checks=[{"name": "payload", "result": "passed"}, {"name": "decision", "result": "not-checked"}]),
     report(checks=[*report()["checks"], {"name": "approver", "result": "failed"}])],
    ids=lambda said: str(said)[:30],
)  # fmt: skip
def test_any_other_report_is_none(fake: Fake, said: Any) -> None:
    for code in [0, 1, 3, 4, 5, 9]:
        if said == report(exitCode=1) and code == 1:
            continue
        with pytest.raises(LocalFault):
            verify_receipt(RECEIPT, PAYLOAD, program=saying(fake, said, code))


def test_each_exit_code_is_a_reason(fake: Fake) -> None:
    for code, kind in [(1, Unverified), (3, Unverified), (4, Violation), (5, LocalFault), (6, LocalFault)]:
        with pytest.raises(kind) as caught:
            verify_receipt(RECEIPT, PAYLOAD, program=saying(fake, report(exitCode=code, verdict="no"), code))
        assert type(caught.value) is kind
    with pytest.raises(UsageError, match="no such option"):
        verify_receipt(RECEIPT, PAYLOAD, program=fake.stub("#!/bin/sh\necho no such option >&2; exit 2\n"))


def test_a_hang_or_no_program_is_no_receipt(fake: Fake) -> None:
    for program in [fake.stub("#!/bin/sh\nsleep 60\n"), "/nowhere"]:
        with pytest.raises(LocalFault):
            verify_receipt(RECEIPT, PAYLOAD, program=program, timeout_s=0.2)


def test_what_was_asked_for_was_checked(fake: Fake) -> None:
    for options in [{"approver": "bruna"}, {"id": "i"}, {"action": "Deploy"}, {"max_age_s": 1}]:
        with pytest.raises(LocalFault, match="missing"):
            verify_receipt(RECEIPT, PAYLOAD, program=saying(fake, report()), **options)  # type: ignore[arg-type]
