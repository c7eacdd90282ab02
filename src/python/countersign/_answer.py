"""What the gate printed, held against what was asked for. Only a consistent approval of exactly this gets through.

The program verified the receipt. This proves nothing more; it makes sure that an approval is not read into anything else:
a crash, half an answer, another program's output, or the answer to another question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _json
from ._program import Ended
from .errors import BY_REASON, EXIT_CODES, LocalFault, UsageError


@dataclass(frozen=True)
class Approval:
    """One approval, verified and consumed: the action may run once, with `args` and nothing else."""

    args: dict[str, Any]
    """The approved arguments, as they were checked."""
    nonce: str
    """What the passkey signed beside the arguments. No other approval has it."""
    receipt: dict[str, Any] = field(repr=False)
    """The receipt, which `verify_receipt` or anybody else can check again."""
    id: str
    """The confirmation's id."""
    approver: str
    """Who approved."""
    decided_at: int
    """When, in Unix milliseconds, by the service's clock."""
    key: str
    """The idempotency key. `gate done` records under it how the action ended."""
    key_pinned: bool
    """Whether the approver's passkey is one that you pinned. If not, whose key it is was the service's word once."""
    action_signed: bool
    """Whether the passkey signed the action's text too, and not only the arguments."""


@dataclass(frozen=True)
class Question:
    """What a person is asked, and the canonical JSON of the arguments."""

    username: str
    action: str
    payload: str
    key: str | None
    require_pinned_key: bool = False
    require_signed_action: bool = False


class _Inconsistent(Exception):
    """The answer contradicts itself or the question, and how."""


def approval(ended: Ended, question: Question) -> Approval:
    """The approval that the program printed. Raises the refusal's error, `UsageError`, or `LocalFault` for all else."""
    if ended.code == 2 and not ended.out.strip():
        raise UsageError(ended.said or "countersign refused its arguments")
    try:
        answer = _json.parse(ended.out, doubles=True)
        if type(answer) is not dict:
            raise _Inconsistent("its output is no JSON object")
        _due(answer, tool="countersign", command="gate", exitCode=ended.code)
        if answer.get("result") == "refused":
            raise _refusal(answer, ended.code)
        return _approved(answer, ended.code, question)
    except (_Inconsistent, ValueError, RecursionError) as error:
        how = f"a signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
        said = f", saying {ended.said!r}" if ended.said else ""
        raise LocalFault(f"countersign gave no answer to rely on ({error}); it ended with {how}{said}", key=question.key) from None


def _refusal(answer: Mapping[str, Any], code: int) -> Exception:
    reason, message = answer.get("reason"), answer.get("message")
    kind = BY_REASON.get(reason) if isinstance(reason, str) else None
    if kind is None or EXIT_CODES[kind.reason] != code:
        raise _Inconsistent(f"it refused with the reason {reason!r} and exit code {code}")
    known = {name: answer.get(name) for name in ("key", "id", "url")}
    return kind(
        message if isinstance(message, str) else "no reason was given",
        **{name: value if isinstance(value, str) else None for name, value in known.items()},
    )


def _approved(answer: dict[str, Any], code: int, question: Question) -> Approval:
    if code != 0:
        raise _Inconsistent(f"it ended with exit code {code} and the result {answer.get('result')!r}")
    _due(answer, result="approved", reason=None, username=question.username, approver=question.username)
    _due(answer, action=question.action, exitCode=0)
    if question.key is not None:
        _due(answer, key=question.key)
    args, encoding = answer.get("payload"), answer.get("payloadEncoding")
    if type(args) is not dict or _json.canonical(args) != question.payload:
        raise _Inconsistent("it approves other arguments")
    signed = _json.payload_hash(encoding, question.action, question.payload)
    if signed is None:
        raise _Inconsistent(f"it has the encoding {encoding!r}")
    _due(answer, payloadHash=signed, actionSigned=_action_signed(answer, encoding))
    texts = {name: answer.get(name) for name in ("key", "id", "nonce")}
    times = {name: answer.get(name) for name in ("requestedAt", "decidedAt", "expiresAt")}
    for name, value in texts.items():
        if type(value) is not str or not value:
            raise _Inconsistent(f"it has no {name}")
    for name, value in times.items():
        if type(value) is not int or value < 0:
            raise _Inconsistent(f"it has no {name}")
    pinned, action_signed = answer.get("keyPinned"), answer.get("actionSigned")
    if type(pinned) is not bool or type(action_signed) is not bool:
        raise _Inconsistent("it does not say what was signed, and whose key it was")
    if (question.require_pinned_key and not pinned) or (question.require_signed_action and not action_signed):
        raise _Inconsistent("it lacks what was required of the signature")
    _holds_receipt(answer, signed)
    return Approval(
        args=args, receipt=answer["receipt"], approver=question.username, decided_at=answer["decidedAt"],
        key_pinned=pinned, action_signed=action_signed, key=answer["key"], id=answer["id"], nonce=answer["nonce"],
    )  # fmt: skip


def _action_signed(answer: Mapping[str, Any], encoding: object) -> object:
    # With the action in the signed bytes it must be true. Otherwise a reveal can make it true, and nothing here decides.
    return True if encoding == "jcs-action-payload" else answer.get("actionSigned")


def _holds_receipt(answer: Mapping[str, Any], signed: str) -> None:
    receipt = answer.get("receipt")
    entry = receipt.get("entry") if type(receipt) is dict else None
    if type(entry) is not dict:
        raise _Inconsistent("it has no receipt")
    _due(entry, decision="approved", payloadHash=signed)
    for name in ("id", "nonce", "approver", "payloadEncoding", "requestedAt", "decidedAt"):
        if entry.get(name) != answer.get(name):
            raise _Inconsistent(f"the receipt has another {name}")


def _due(answer: Mapping[str, Any], **due: object) -> None:
    for name, value in due.items():
        # Exact types, because True == 1 and 0 == False; a member that is not there is not the value None.
        if name not in answer or type(answer[name]) is not type(value) or answer[name] != value:
            raise _Inconsistent(f"{name} is {answer.get(name)!r}")
