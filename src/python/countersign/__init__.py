"""Asks a person before an action runs, verifies the answer without believing the service, and lets it run once.

    from countersign import gated

    @gated(username="alex", action=lambda args: f"Deploy {args['service']}", config="gate.toml")
    def deploy(service: str, version: str) -> None: ...

Whatever is not a verified approval of exactly these arguments raises `ApprovalError`: a refusal, a crash, a program that
is not there, an answer that contradicts itself. The checks are the program's, which this package carries.

The adapters `countersign.langchain`, `countersign.openai_agents`, `countersign.crewai` and `countersign.claude_agent` each
need the package of their framework; nothing else here needs any.
"""

from ._answer import Approval
from ._gate import record_done, record_done_async, require_approval, require_approval_async
from ._gated import gated
from ._options import Options
from ._rule import Arguments, Rule
from ._verify import Verified, verify_receipt
from .errors import (
    ApprovalError,
    Denied,
    Expired,
    InexactError,
    Interrupted,
    LocalFault,
    Mismatch,
    NotLogged,
    Rejected,
    Replayed,
    TimedOut,
    Unavailable,
    Unverified,
    UsageError,
    Violation,
)

__all__ = [
    "Approval",
    "ApprovalError",
    "Arguments",
    "Denied",
    "Expired",
    "InexactError",
    "Interrupted",
    "LocalFault",
    "Mismatch",
    "NotLogged",
    "Options",
    "Rejected",
    "Replayed",
    "Rule",
    "TimedOut",
    "Unavailable",
    "Unverified",
    "UsageError",
    "Verified",
    "Violation",
    "gated",
    "record_done",
    "record_done_async",
    "require_approval",
    "require_approval_async",
    "verify_receipt",
]
