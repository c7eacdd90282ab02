"""Stands in for the program: speaks the contract of `countersign gate`, and lies as a test tells it to.

What it does comes from a file of the folder in FAKE_DIR; what it was given is written there, one line a call.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_DIR"])
CODES = {"rejected": 1, "expired": 1, "mismatch": 1, "replayed": 1, "unverified": 1, "denied": 2, "timed-out": 3,
         "not-logged": 3, "unavailable": 3, "interrupted": 3, "violation": 4, "local-fault": 5}
KNOWN = {"format", "payload", "username", "action", "timeout", "key", "config", "service", "log", "journal", "log-wait",
         "api-key-file", "api-key-env"}
FLAGS = {"ask-again", "require-pinned-key", "require-signed-action"}


def main():
    behaviour = json.loads((FOLDER / "behaviour").read_text())
    arguments = sys.argv[1:]
    given = sys.stdin.buffer.read()
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps({"args": arguments, "given": given.decode(), "key": os.environ.get("COSIGNET_API_KEY"),
                                "pid": os.getpid()}) + "\n")
    if arguments[:2] == ["gate", "done"]:
        sys.exit(behaviour.get("done", 0))
    options = read_options(arguments)
    print("waiting for a person: https://service.example/c/7", file=sys.stderr, flush=True)
    time.sleep(behaviour.get("wait", 0))
    out, code = answer(behaviour, options, given)
    if "raw" in behaviour:
        out, code = behaviour["raw"].encode("utf-8", "surrogateescape"), behaviour.get("code", code)
    code = behaviour.get("code", code)
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
    time.sleep(behaviour.get("hang", 0))
    if "flood" in behaviour:
        while True:
            sys.stdout.buffer.write(b" " * 65536)
    if "signal" in behaviour:
        os.kill(os.getpid(), getattr(signal, behaviour["signal"]))
    sys.exit(code)


def read_options(arguments):
    if arguments[0] != "gate":
        usage(f"no command {arguments[0]}")
    options = {}
    for argument in arguments[1:]:
        name, has_value, value = argument[2:].partition("=")
        if not argument.startswith("--") or name not in (KNOWN if has_value else FLAGS) or name in options:
            usage(f"unexpected argument {argument!r}")
        options[name] = value
    missing = {"payload", "username", "action", "timeout"} - options.keys()
    if missing:
        usage(f"missing {missing}")
    return options


def usage(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def answer(behaviour, options, given):
    key = options.get("key", "made-up-key")
    known = {"tool": "countersign", "version": "0.1.0", "command": "gate", "key": key, "id": "conf-7",
             "url": "https://service.example/c/7", "username": options["username"], "action": options["action"]}
    reason = behaviour.get("reason")
    used = FOLDER / f"used-{hashlib.sha256(key.encode()).hexdigest()}"
    if reason is None:
        try:
            used.touch(exist_ok=False)
        except FileExistsError:
            reason = None if key == "made-up-key" else "replayed"
    if reason is not None:
        refused = {**known, "result": "refused", "reason": reason, "exitCode": CODES.get(reason, 1),
                   "message": f"the gate refused: {reason}", "receipt": None, "payload": None, "nonce": None}
        return json.dumps(edited(refused, behaviour)).encode(), refused["exitCode"]
    payload = json.loads(given)
    encoding = behaviour.get("encoding", "jcs-payload")
    signed = payload if encoding == "jcs-payload" else {"action": options["action"], "payload": payload}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    same = {"id": "conf-7", "nonce": "9GElQcU67oDCjxN4y0p2Y0l5sDwRVzygw-vp0OyICvw", "payloadEncoding": encoding,
            "payloadHash": hashlib.sha256(text.encode()).hexdigest(), "approver": options["username"],
            "requestedAt": 1782000180000, "decidedAt": 1782000222000, "expiresAt": 1782000480000}
    entry = {**same, "type": "approval-log-entry/v1", "decision": "approved"}
    approved = {**known, **same, "result": "approved", "exitCode": 0, "reason": None, "message": None,
                "payload": payload, "keyPinned": behaviour.get("pinned", False),
                "actionSigned": encoding == "jcs-action-payload",
                "receipt": {"type": "approval-receipt/v1", "entry": entry}}
    return json.dumps(edited(approved, behaviour)).encode(), 0


def edited(answer, behaviour):
    """`edit` is a list of a path and a value; no value takes the member away."""
    for path, *value in behaviour.get("edit", []):
        *parents, name = path
        place = answer
        for parent in parents:
            place = place[parent]
        if value:
            place[name] = value[0]
        else:
            place.pop(name, None)
    return answer


main()
