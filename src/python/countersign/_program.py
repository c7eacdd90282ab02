"""Runs the program `countersign`: found without guessing, bounded in time and output, killed when nobody waits for it.

What it says is judged elsewhere. Nothing here is an approval.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LOG = logging.getLogger("countersign")

MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes of stdout: several times a receipt and a payload at their limits of 2 MiB."""

_MAX_LINE = 4096
_READ = 65536

_REAPED_S = 5.0
"""A killed program is gone long before."""


class NotRun(Exception):
    """The program did not run to its end, and why."""


@dataclass(frozen=True)
class Ended:
    """How the program ended: exit code (negative for a signal), stdout, and the end of stderr."""

    code: int
    out: bytes
    said: str


def find(program: str | os.PathLike[str] | None) -> str:
    """The program to run: the one that was named, the one that this package installed, or the one in the PATH."""
    if program is not None:
        return os.fspath(program)
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.distribution("countersign").files or ():
            if file.name == "countersign" and file.parent.name == "bin":
                carried = Path(str(file.locate()))
                if carried.is_file():
                    return str(carried.resolve())
    found = shutil.which("countersign")
    if found is None:
        raise NotRun("the program countersign is not installed")
    return found


class _Lines:
    """Stderr: whole lines go to the log as they come, so that whoever watches sees the link; the last ones are kept."""

    def __init__(self) -> None:
        self._open = b""
        self._kept: list[str] = []

    def feed(self, data: bytes) -> None:
        *whole, self._open = (self._open + data).split(b"\n")
        for line in whole:
            self._line(line)
        self._open = self._open[-_MAX_LINE:]

    def end(self) -> str:
        if self._open:
            self._line(self._open)
        return "\n".join(self._kept)

    def _line(self, line: bytes) -> None:
        text = line[:_MAX_LINE].decode("utf-8", errors="replace").rstrip()
        if text:
            LOG.info("%s", text)
            self._kept = [*self._kept[-7:], text]


def run(command: Sequence[str], given: bytes, limit_s: float) -> Ended:
    """Runs it, with `given` on its stdin. Whatever ends the wait, a signal included, ends the program too."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise NotRun(f"{command[0]} cannot be run: {error}") from error
    with process:
        try:
            out, said = _pump(process, given, time.monotonic() + limit_s)
            return Ended(process.wait(), out, said)
        finally:
            if process.poll() is None:
                _kill(process.pid)


def _pump(process: subprocess.Popen[bytes], given: bytes, until: float) -> tuple[bytes, str]:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None and stdout is not None and stderr is not None
    out, lines, left = bytearray(), _Lines(), memoryview(given)
    with selectors.DefaultSelector() as ready:
        for pipe in (stdin, stdout, stderr):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, selectors.EVENT_WRITE if pipe is stdin else selectors.EVENT_READ)
        while len(ready.get_map()) > 0:
            for stream in _ready(ready, until):
                if stream is stdin:
                    with contextlib.suppress(BrokenPipeError):
                        left = left[os.write(stdin.fileno(), left[:_READ]) :]
                        if left:
                            continue
                    ready.unregister(stdin)
                    stdin.close()
                    continue
                data = os.read(stdout.fileno() if stream is stdout else stderr.fileno(), _READ)
                if not data:
                    ready.unregister(stdout if stream is stdout else stderr)
                elif stream is stderr:
                    lines.feed(data)
                else:
                    out += data
                    _bounded(len(out))
    # Both outputs are closed. A program that goes on without them is held to the same limit.
    try:
        process.wait(max(until - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise NotRun(_TOO_LONG) from None
    return bytes(out), lines.end()


def _ready(ready: selectors.BaseSelector, until: float) -> Iterator[object]:
    left = until - time.monotonic()
    if left <= 0:
        raise NotRun(_TOO_LONG)
    for key, _ in ready.select(left):
        yield key.fileobj


async def run_async(command: Sequence[str], given: bytes, limit_s: float) -> Ended:
    """As `run`, in an event loop. Cancelling it kills the program."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise NotRun(f"{command[0]} cannot be run: {error}") from error
    try:
        return await asyncio.wait_for(_pump_async(process, given), limit_s)
    except BaseException as error:
        if process.returncode is None:
            _kill(process.pid)
        # asyncio waits for the pipes too, and has stopped reading one that was too full: without this it would wait for
        # ever. Where something else holds them they would stay open as long as the loop.
        _close_pipes(process)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _REAPED_S)
        if isinstance(error, asyncio.TimeoutError):
            raise NotRun(_TOO_LONG) from None
        raise


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    transport: asyncio.SubprocessTransport | None = getattr(process, "_transport", None)
    if transport is not None:
        for number in (0, 1, 2):
            pipe = transport.get_pipe_transport(number)
            if pipe is not None and not pipe.is_closing():
                pipe.close()


async def _pump_async(process: asyncio.subprocess.Process, given: bytes) -> Ended:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None and stdout is not None and stderr is not None
    out, lines = bytearray(), _Lines()

    async def feed() -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(given)
            await stdin.drain()
        stdin.close()

    async def read() -> None:
        while data := await stdout.read(_READ):
            out.extend(data)
            _bounded(len(out))

    async def listen() -> None:
        while data := await stderr.read(_READ):
            lines.feed(data)

    await asyncio.gather(feed(), read(), listen())
    return Ended(await process.wait(), bytes(out), lines.end())


_TOO_LONG = "countersign did not end in time and was killed"


def _bounded(size: int) -> None:
    if size > MAX_OUTPUT:
        raise NotRun(f"countersign printed more than {MAX_OUTPUT} bytes and was killed")


def _kill(group: int) -> None:
    # The group, because a wrapper script's child would go on holding our pipes. It leads a session of its own, and is
    # not reaped yet, so the number is still its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
