"""Where the gate asks and what it trusts: the options that every call takes, as arguments of the program."""

from __future__ import annotations

import math
import os
from typing import TypedDict

from .errors import UsageError


class Options(TypedDict, total=False):
    """Settings of the gate. What is not given comes from `config`. The API key is never among them: the program reads it
    from a file or from its environment."""

    config: str | os.PathLike[str] | None
    """A TOML file with the service, the log, whom you trust, and the journal."""
    name: str | None
    """Which `[[log]]` of the config is meant, where there are several."""
    service: str | None
    """URL of the approval service."""
    log: str | None
    """Where the log serves its verification bundles, as `api+https://…`."""
    journal: str | os.PathLike[str] | None
    """The journal, which `countersign gate --init` made."""
    log_wait_s: float | None
    """How long an approval may take to get into the log."""
    api_key_file: str | os.PathLike[str] | None
    """A file with the API key."""
    api_key_env: str | None
    """The environment variable with the API key, if it is not COSIGNET_API_KEY."""
    require_pinned_key: bool
    """Refuse an approver whose passkey is not pinned in the config."""
    require_signed_action: bool
    """Refuse an approval whose passkey did not sign the action's text."""
    program: str | os.PathLike[str] | None
    """The program, if it is not the one that this package carries."""


_PATHS = ("config", "journal", "api_key_file")
_TEXTS = ("name", "service", "log", "api_key_env")
_FLAGS = ("require_pinned_key", "require_signed_action")
_KNOWN = {*_PATHS, *_TEXTS, *_FLAGS, "log_wait_s", "program"}


def checked(options: Options) -> Options:
    """The options, or `UsageError` for one that does not exist: a requirement with a typing error must not be lost."""
    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        raise UsageError(f"there is no option {', '.join(unknown)}")
    for name in _FLAGS:
        if options.get(name, False) not in (True, False):
            raise UsageError(f"{name} is True or False")
    return options


def of_gate(options: Options) -> list[str]:
    """The arguments of `countersign gate`."""
    given = of_journal(options)
    for name in _TEXTS:
        given += _text(name, options.get(name))
    given += _path("api_key_file", options.get("api_key_file"))
    given += [f"--{name.replace('_', '-')}" for name in _FLAGS if options.get(name)]
    wait = options.get("log_wait_s")
    return given if wait is None else [*given, f"--log-wait={duration(wait, 'log_wait_s', least=0)}"]


def of_journal(options: Options) -> list[str]:
    """The arguments that find the journal, which is all that a record of an ending needs."""
    return _path("config", options.get("config")) + _path("journal", options.get("journal"))


def of_trust(options: Options) -> list[str]:
    """The arguments of `countersign verify` that say whom to trust."""
    return _path("config", options.get("config"))


def text(name: str, value: object) -> str:
    """A text that a command line can hold as it is."""
    if type(value) is not str:
        raise UsageError(f"{name} is a text, not {type(value).__name__}")
    if "\0" in value:
        raise UsageError(f"{name} has a NUL in it")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is no Unicode text: {error}") from None
    return value


def duration(seconds: object, name: str, least: float = 0.001) -> str:
    """A time as the program reads it."""
    if type(seconds) not in (int, float):
        raise UsageError(f"{name} is a number of seconds, not {type(seconds).__name__}")
    assert isinstance(seconds, (int, float))
    if not math.isfinite(seconds) or not least <= seconds <= 10**9:
        raise UsageError(f"{name} is a number of seconds, not {seconds}")
    return f"{int(seconds * 1000)}ms"


def _text(name: str, value: object) -> list[str]:
    return [] if value is None else [f"--{name.replace('_', '-')}={text(name, value)}"]


def _path(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, (str, os.PathLike)):
        raise UsageError(f"{name} is a path, not {type(value).__name__}")
    # "-" would be stdin, which is the payload's.
    return [f"--{name.replace('_', '-')}={os.path.abspath(text(name, os.fspath(value)))}"]
