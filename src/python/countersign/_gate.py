"""One question to one person, by the program `countersign gate`, and what became of the action afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _json, _options, _program
from ._answer import Approval, Question, approval
from ._program import LOG, Ended, NotRun
from .errors import LocalFault, UsageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options

SLACK_S = 90.0
"""Beyond the times that the gate was given: its requests, its journal, its start. It ends by itself well before."""

LOG_WAIT_S = 60.0
"""The gate's own `--log-wait`, if neither a call nor a config says another."""

_DONE_S = 30.0


def require_approval(
    username: str,
    action: str,
    payload: dict[str, Any],
    timeout_s: float = 300,
    *,
    key: str | None = None,
    ask_again: bool = False,
    **options: Unpack[Options],
) -> Approval:
    """Asks a person, waits, and returns an approval that was verified and used up. Act once, with its `args`.

    `payload` has the action's arguments by name. `key` is an idempotency key: a second call with the same key goes on
    with the same question, and never gets a second approval out of it. `ask_again` asks once more where it is not known
    what became of an earlier request with this key.

    Raises `ApprovalError` for every refusal and every fault, and `UsageError` where nobody could be asked.
    """
    call = _Call(username, action, payload, timeout_s, key, ask_again, options)
    try:
        ended = _program.run(call.command(), call.given, call.limit_s)
    except NotRun as error:
        raise LocalFault(str(error), key=key) from error
    return call.judge(ended)


async def require_approval_async(
    username: str,
    action: str,
    payload: dict[str, Any],
    timeout_s: float = 300,
    *,
    key: str | None = None,
    ask_again: bool = False,
    **options: Unpack[Options],
) -> Approval:
    """As `require_approval`, in an event loop. Cancelling it ends the wait, and approves nothing."""
    call = _Call(username, action, payload, timeout_s, key, ask_again, options)
    try:
        ended = await _program.run_async(call.command(), call.given, call.limit_s)
    except NotRun as error:
        raise LocalFault(str(error), key=key) from error
    return call.judge(ended)


class _Call:
    def __init__(
        self, username: str, action: str, payload: dict[str, Any], timeout_s: float, key: str | None,
        ask_again: bool, options: Options,
    ) -> None:  # fmt: skip
        if type(payload) is not dict:
            raise UsageError(f"the payload is a dict of arguments, not {type(payload).__name__}")
        self._options = _options.checked(options)
        self._question = Question(
            username=_options.text("username", username),
            action=_options.text("action", action),
            # Fixed here: what the caller does to its own objects meanwhile changes nothing.
            payload=_json.canonical(payload),
            key=None if key is None else _options.text("key", key),
            require_pinned_key=bool(options.get("require_pinned_key")),
            require_signed_action=bool(options.get("require_signed_action")),
        )
        self._arguments = [
            "gate", "--format=json", "--payload=-", f"--username={username}", f"--action={action}",
            f"--timeout={_options.duration(timeout_s, 'timeout_s')}", *_options.of_gate(options),
        ]  # fmt: skip
        self._arguments += [] if key is None else [f"--key={key}"]
        self._arguments += ["--ask-again"] if ask_again else []
        self.given = self._question.payload.encode("utf-8")
        log_wait = options.get("log_wait_s")
        # A config may say another wait for the log than the default; then the program's own limit comes first.
        self.limit_s = timeout_s + (10 * LOG_WAIT_S if log_wait is None else log_wait) + SLACK_S

    def command(self) -> list[str]:
        return [_program.find(self._options.get("program")), *self._arguments]

    def judge(self, ended: Ended) -> Approval:
        return approval(ended, self._question)


def record_done(key: str, *, failed: str | None = None, **options: Unpack[Options]) -> bool:
    """Records in the journal how the action of an approval ended: well, or `failed` with a text. Once.

    Returns whether it was recorded, and raises nothing: the action has run, and its result must not be lost. What could
    not be recorded stays unknown in the journal, and is logged.
    """
    try:
        return _was_recorded(key, _program.run(_done(key, failed, options), b"", _DONE_S))
    except (NotRun, UsageError) as error:
        LOG.warning("how the action of %s ended is not recorded: %s", key, error)
        return False


async def record_done_async(key: str, *, failed: str | None = None, **options: Unpack[Options]) -> bool:
    """As `record_done`, in an event loop."""
    try:
        return _was_recorded(key, await _program.run_async(_done(key, failed, options), b"", _DONE_S))
    except (NotRun, UsageError) as error:
        LOG.warning("how the action of %s ended is not recorded: %s", key, error)
        return False


def _done(key: str, failed: str | None, options: Options) -> list[str]:
    _options.checked(options)
    how = "--ok" if failed is None else f"--failed={_options.text('failed', failed)}"
    found = _program.find(options.get("program"))
    return [found, "gate", "done", *_options.of_journal(options), how, "--", _options.text("key", key)]


def _was_recorded(key: str, ended: Ended) -> bool:
    if ended.code != 0:
        LOG.warning("how the action of %s ended is not recorded: %s", key, ended.said or f"exit code {ended.code}")
    return ended.code == 0


def failure_text(error: BaseException) -> str:
    """What the journal says of an action that failed: the kind of the error. Its message may hold a secret."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


