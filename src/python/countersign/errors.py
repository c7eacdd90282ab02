"""Why an action does not run: one class for each reason of the gate, and wrong usage, which is no answer at all."""

from __future__ import annotations

from typing import Any, ClassVar


class UsageError(ValueError):
    """The call cannot be made as it is written: an option, a file or a setting is wrong. Nobody was asked."""


class InexactError(UsageError):
    """The arguments have no exact JSON, so nobody can be shown what would run. Nobody was asked."""


class ApprovalError(PermissionError):
    """There is no approval for this action, and it must not run. The class says why, and `reason` is its word."""

    reason: ClassVar[str] = ""

    def __init__(
        self, message: str, *, key: str | None = None, id: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        """What happened, in one sentence."""
        self.key = key
        """The idempotency key, if the gate got as far as having one."""
        self.id = id
        """The confirmation's id, if somebody was asked."""
        self.url = url
        """Where the person decides, if somebody was asked."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # An OSError is otherwise built again from its arguments alone, and would lose the rest in another process.
        return _rebuilt, (type(self), self.message, self.key, self.id, self.url)


def _rebuilt(
    kind: type[ApprovalError], message: str, key: str | None, id: str | None, url: str | None
) -> ApprovalError:
    return kind(message, key=key, id=id, url=url)


class Rejected(ApprovalError):
    """The person said no."""

    reason = "rejected"


class Expired(ApprovalError):
    """Nobody decided before the confirmation expired."""

    reason = "expired"


class TimedOut(ApprovalError):
    """Nobody decided within `timeout_s`. The same key goes on waiting for the same confirmation."""

    reason = "timed-out"


class Mismatch(ApprovalError):
    """What was approved is not what was asked for: other arguments, another action, person or id."""

    reason = "mismatch"


class Replayed(ApprovalError):
    """The approval was used before."""

    reason = "replayed"


class Unverified(ApprovalError):
    """A check of the receipt failed, or one that is needed could not be made."""

    reason = "unverified"


class NotLogged(ApprovalError):
    """The service says that it was approved, and the log did not have the entry in time."""

    reason = "not-logged"


class Violation(ApprovalError):
    """The log signed two histories. The proof was saved."""

    reason = "violation"


class Unavailable(ApprovalError):
    """The service or the log is out of reach, or it is not known what became of a request."""

    reason = "unavailable"


class Interrupted(ApprovalError):
    """The wait was ended. The same key goes on waiting for the same confirmation."""

    reason = "interrupted"


class Denied(ApprovalError):
    """The service refused the API key or the request."""

    reason = "denied"


class LocalFault(ApprovalError):
    """A fault on this side: no program, one that crashed or said something inconsistent, a damaged journal."""

    reason = "local-fault"


_KINDS: tuple[type[ApprovalError], ...] = (
    Rejected, Expired, TimedOut, Mismatch, Replayed, Unverified, NotLogged, Violation, Unavailable, Interrupted,
    Denied, LocalFault,
)  # fmt: skip

BY_REASON: dict[str, type[ApprovalError]] = {kind.reason: kind for kind in _KINDS}
"""The class of each reason's word."""

EXIT_CODES: dict[str, int] = {
    "rejected": 1, "expired": 1, "mismatch": 1, "replayed": 1, "unverified": 1, "denied": 2, "timed-out": 3,
    "not-logged": 3, "unavailable": 3, "interrupted": 3, "violation": 4, "local-fault": 5,
}  # fmt: skip
"""The exit code that a gate has for each reason. Another one is a gate that contradicts itself."""
