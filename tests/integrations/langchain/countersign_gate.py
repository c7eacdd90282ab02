"""A function runs only with exactly the arguments that a person approved.

Needs Python 3.9 and the program `countersign`. Whatever is not a clean verdict on this receipt for these
arguments raises NotApproved: a crash, a timeout, a missing program and unreadable output too.
"""

import functools
import inspect
import json
import os
import subprocess
import tempfile
import threading

USED = set()  # nonces acted on by this process. Several processes, or a restart: keep them in your database.
_LOCK = threading.Lock()


class NotApproved(Exception):
    """Nothing may run, and why."""


def require_approval(receipt, payload, *, config=None, action=None, approver=None, expect_id=None, max_age=None,
                     countersign="countersign", timeout=30, extra_args=(), once=USED):
    """Returns the report on a receipt file that approves `payload`, or raises NotApproved.

    `payload` is a JSON value, or exact bytes; act with nothing else. `once` is a set of used nonces, or a
    function that stores one and returns True only if it was new: the passkey signs it, an id is the log's word. It is asked before the action runs, so
    an action that fails needs another approval.
    """
    payload = payload if isinstance(payload, bytes) else exact_json(payload)
    # Option, the check that it asks for, value.
    wanted = [("action", "action", action), ("approver", "approver", approver),
              ("expect-id", "id", expect_id), ("max-age", "age", max_age)]
    wanted = [(option, check, value) for option, check, value in wanted if value is not None]
    try:
        # An absolute path is never an option and never "-", and the report must name it.
        path = os.path.abspath(os.fsdecode(receipt))
        command = [countersign, "verify", "--format=json", "--quiet", "--decision=approved", "--payload=-"]
        command += [] if config is None else [f"--config={os.fsdecode(config)}"]
        command += [f"--{option}={value}" for option, _, value in wanted]
        code, printed, said = _run([*command, *extra_args, "--", path], payload, timeout)
    except (OSError, TypeError, ValueError, subprocess.SubprocessError) as error:
        raise NotApproved(f"could not be checked: {error}") from error
    if not printed:
        raise NotApproved(f"no report; countersign ended with {code}, saying {said.decode(errors='replace')!r}")
    try:
        report = json.loads(printed)
        why = _objections(report, path, {"decision", "payload"} | {check for _, check, _ in wanted})
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise NotApproved(f"no report ({error!r}); countersign ended with {code}") from error
    if code != 0 or why:
        raise NotApproved("; ".join([f"countersign ended with {code}", *why]))
    if not _is_first_use(report["nonce"], once):
        raise NotApproved(f"approval {report['nonce']} was used before")
    return report


def _run(command, payload, timeout):
    # Files, not pipes: a child that is left behind cannot keep us waiting past the timeout.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(payload)
        given.seek(0)
        code = subprocess.run(command, stdin=given, stdout=out, stderr=err, timeout=timeout).returncode
        out.seek(0)
        err.seek(0)
        return code, out.read(1 << 20), err.read(1000)


def _objections(report, path, asked):
    due = {"tool": "countersign", "command": "verify", "verdict": "clean", "exitCode": 0, "source": path}
    why = [f"{name} is {report.get(name)!r}" for name in due if report.get(name) != due[name]]
    checks = {check["name"]: check for check in report["checks"]}
    for name in sorted(asked | checks.keys()):
        result = checks[name]["result"] if name in checks else "missing"
        if result == "failed" or (name in asked and result != "passed"):
            why.append(f"{name} {result}: {checks.get(name, {}).get('message')}")
    return why if isinstance(report["nonce"], str) else [*why, "no nonce"]


def _is_first_use(approval, once):
    if callable(once):
        return once(approval) is True
    with _LOCK:
        used = approval in once
        once.add(approval)
        return not used


def exact_json(value):
    """The JSON of a value that JSON can say exactly; of any other, NotApproved."""
    try:
        _refuse_inexact(value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotApproved(f"the arguments have no exact JSON: {error}") from error


def _refuse_inexact(value):
    # Exact types: a tuple would become a list, a key 1 the text "1", and a subclass may mean more than it says.
    if type(value) is dict:
        for name, inner in value.items():
            if type(name) is not str:
                raise TypeError(f"the member name {name!r} is no text")
            _refuse_inexact(inner)
    elif type(value) is list:
        for inner in value:
            _refuse_inexact(inner)
    elif type(value) is int and abs(value) > 2**53:
        raise ValueError("an integer beyond 2**53; write it as text")
    elif type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"{type(value).__name__} is no type of JSON")


def gated(receipt_of, **options):
    """A decorator: the function runs only where `require_approval(receipt_of(arguments), arguments, **options)`
    returns. `arguments` has every parameter by name, defaults included."""

    def wrap(function):
        signature = inspect.signature(function)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        if inspect.iscoroutinefunction(function) or not kinds <= {
            inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        }:
            raise TypeError("only plain functions whose parameters all have names can be gated")

        @functools.wraps(function)
        def run(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            payload = exact_json(dict(bound.arguments))
            require_approval(receipt_of(json.loads(payload)), payload, **options)
            # What was checked is what runs: the caller may have changed its own objects meanwhile.
            return function(**json.loads(payload))

        return run

    return wrap
