"""Checks a receipt that somebody has, offline, by the program `countersign verify`. It asks nobody and uses nothing up."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _json, _options, _program
from ._options import Options
from ._program import Ended, NotRun
from .errors import LocalFault, UsageError, Unverified, Violation


@dataclass(frozen=True)
class Verified:
    """A receipt that holds for these arguments. It does not say whether they ran: that is what a journal is for."""

    id: str
    nonce: str
    approver: str
    report: dict[str, Any] = field(repr=False)
    """The whole report, with every check that was made."""


def verify_receipt(
    receipt: Mapping[str, Any] | str | os.PathLike[str],
    payload: dict[str, Any],
    *,
    config: str | os.PathLike[str] | None = None,
    action: str | None = None,
    approver: str | None = None,
    id: str | None = None,
    max_age_s: float | None = None,
    program: str | os.PathLike[str] | None = None,
    timeout_s: float = 30,
) -> Verified:
    """Verifies that `receipt` approves exactly `payload`, by the trust options of `config`.

    `receipt` is a file, or what `Approval.receipt` has. `approver`, `id`, `action` and `max_age_s` are compared where they
    are given. Raises `Unverified`, `Violation` or `LocalFault`, and `UsageError` where nothing could be checked.
    """
    exact = _json.canonical(payload)
    wanted = [("action", "action", action), ("approver", "approver", approver), ("expect-id", "id", id)]
    command = ["verify", "--format=json", "--quiet", "--decision=approved", "--payload=-"]
    command += _options.of_trust(Options(config=config))
    asked = {"decision", "payload"}
    for option, check, value in wanted:
        if value is not None:
            command.append(f"--{option}={_options.text(check, value)}")
            asked.add(check)
    if max_age_s is not None:
        command.append(f"--max-age={_options.duration(max_age_s, 'max_age_s')}")
        asked.add("age")
    _options.duration(timeout_s, "timeout_s")
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        # An absolute path is never an option and never "-", and the report must name it.
        path = os.path.join(folder, "receipt.json")
        if isinstance(receipt, Mapping):
            with open(path, "x", encoding="utf-8") as file:
                json.dump(receipt, file, ensure_ascii=False, allow_nan=False)
        else:
            path = os.path.abspath(_options.text("receipt", os.fspath(receipt)))
        try:
            found = _program.find(program)
            ended = _program.run([found, *command, "--", path], exact.encode("utf-8"), timeout_s)
        except NotRun as error:
            raise LocalFault(str(error)) from error
    return _judge(ended, path, asked)


def _judge(ended: Ended, path: str, asked: set[str]) -> Verified:
    if ended.code == 2 and not ended.out.strip():
        raise UsageError(ended.said or "countersign refused its arguments")
    try:
        report = _json.parse(ended.out)
        why = _objections(report, path, asked)
        code = report["exitCode"]
        known = Verified(report["id"], report["nonce"], report["approver"], report) if not why else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        said = f", saying {ended.said!r}" if ended.said else ""
        raise LocalFault(f"no report ({error!r}); countersign ended with {ended.code}{said}") from error
    if ended.code == 0 and code == 0 and known is not None:
        return known
    kind = {1: Unverified, 3: Unverified, 4: Violation}.get(ended.code, LocalFault)
    if code != ended.code:
        kind = LocalFault
    raise kind("; ".join([f"countersign ended with {ended.code}", *why]))


def _objections(report: Any, path: str, asked: set[str]) -> list[str]:
    due = {"tool": "countersign", "command": "verify", "verdict": "clean", "exitCode": 0, "source": path}
    why = [f"{name} is {report.get(name)!r}" for name in due if report.get(name) != due[name]]
    checks = {check["name"]: check for check in report["checks"]}
    for name in sorted(asked | checks.keys()):
        result = checks[name]["result"] if name in checks else "missing"
        if result == "failed" or (name in asked and result != "passed"):
            why.append(f"{name} {result}: {checks.get(name, {}).get('message')}")
    for name in ("id", "nonce", "approver"):
        if not isinstance(report.get(name), str) and not why:
            why.append(f"it has no {name}")
    return why
