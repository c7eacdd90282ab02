"""The fake program as a fixture, and where the real one and the frameworks come from."""

from __future__ import annotations

import importlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class Fake:
    """A program in the place of countersign, what it will do, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.program = self.stub(f"#!/bin/sh\nexec {sys.executable} -I -S {HERE / 'fake_countersign.py'} \"$@\"\n")
        self.will()

    def stub(self, script: str) -> str:
        path = self._folder / f"countersign-{len(list(self._folder.iterdir()))}"
        path.write_text(script)
        path.chmod(stat.S_IRWXU)
        return str(path)

    def will(self, **behaviour: Any) -> None:
        (self._folder / "behaviour").write_text(json.dumps(behaviour))

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self._folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def asked(self) -> list[dict[str, str]]:
        """The questions, each with its options and `given`."""
        found = []
        for call in self.calls:
            if call["args"][:2] != ["gate", "done"]:
                options = {a[2:].partition("=")[0]: a.partition("=")[2] for a in call["args"][1:]}
                found.append({**options, "given": call["given"]})
        return found

    @property
    def done(self) -> list[list[str]]:
        """What was recorded about endings: the arguments after `gate done`."""
        return [call["args"][2:] for call in self.calls if call["args"][:2] == ["gate", "done"]]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("FAKE_DIR", str(folder))
    return Fake(folder)


@pytest.fixture
def countersign() -> str:
    """The real program, which COUNTERSIGN names. Tests that need it are left out without it."""
    program = os.environ.get("COUNTERSIGN")
    if program is None:
        pytest.skip("COUNTERSIGN names no program")
    return program


def framework(name: str) -> Any:
    """A framework's module. Its tests are left out where it is not installed, except where FRAMEWORKS says that it is."""
    if name.partition(".")[0] in os.environ.get("FRAMEWORKS", "").split(","):
        return importlib.import_module(name)
    return pytest.importorskip(name)
