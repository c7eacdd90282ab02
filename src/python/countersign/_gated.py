"""The decorator: a function runs only with exactly the arguments that a person approved.

The gate belongs innermost, next to what it guards: below it nothing can change an argument any more.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from . import _json, _options
from ._answer import Approval
from ._gate import failure_text, record_done, record_done_async, require_approval, require_approval_async
from ._rule import Arguments, Ask, Rule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options

P = ParamSpec("P")
R = TypeVar("R")

_INJECTED_NAMES = {"run_manager", "callbacks", "tool_call_id", "runtime"}
"""Parameters that a framework fills in, whatever their type."""

_FRAMEWORKS = {"langchain", "langchain_core", "langgraph", "agents", "crewai", "claude_agent_sdk", "mcp"}
"""Packages whose types in an annotation mean the same: a parameter that no person approves."""

_FRAMEWORK_TYPES = (
    "RunnableConfig", "ToolRuntime", "InjectedState", "InjectedStore", "InjectedToolArg", "InjectedToolCallId",
    "BaseStore", "CallbackManagerFor", "AsyncCallbackManagerFor", "RunContextWrapper", "ToolContext",
    "ToolPermissionContext",
)  # fmt: skip
"""Their names, for annotations that are texts and cannot be looked up."""


def gated(
    *,
    username: str | Callable[[Arguments], str],
    action: str | Callable[[Arguments], str],
    when: Callable[[Arguments], bool] | None = None,
    exclude: Sequence[str] = (),
    key: Callable[[Arguments], str] | None = None,
    timeout_s: float = 300,
    **options: Unpack[Options],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for plain and `async` functions: asks a person, and then runs the function with what was approved.

    Every parameter is part of what is approved, defaults included, under its name. `username`, `action` and `when` are
    as in `Rule`. `exclude` names the parameters that a framework fills in, such as a run configuration; they are passed
    on as they are, and nobody approves them. `key` makes an idempotency key from all arguments, the excluded ones too.

    The arguments must have an exact JSON: texts, numbers, true, false, None, lists and dicts with text keys. The call
    raises `ApprovalError` if there is no approval, and what the function raises is recorded as its failure.
    """
    rule, settings = Rule(username, action, when, timeout_s), _options.checked(options)

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        calls, act = _Calls(function, rule, tuple(exclude), key), cast("Callable[..., Any]", function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                call = calls.bind(args, kwargs)
                if call.ask is None:
                    return await act(**call.arguments(call.exact))
                approval = await require_approval_async(*call.question, key=call.key, **settings)
                try:
                    result = await act(**call.arguments(approval.args))
                except Exception as error:
                    await record_done_async(approval.key, failed=failure_text(error), **settings)
                    raise
                await record_done_async(approval.key, **settings)
                return result

            return cast("Callable[P, R]", run_async)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            call = calls.bind(args, kwargs)
            if call.ask is None:
                return act(**call.arguments(call.exact))
            approval: Approval = require_approval(*call.question, key=call.key, **settings)
            # A cancellation or an exit is none of these: how far the action got is unknown, and stays so.
            try:
                result = act(**call.arguments(approval.args))
            except Exception as error:
                record_done(approval.key, failed=failure_text(error), **settings)
                raise
            if not inspect.isawaitable(result):  # has not begun
                record_done(approval.key, **settings)
            return result

        return cast("Callable[P, R]", run)

    return wrap


class _Call:
    """One call: its exact arguments, the question if there is one, and what a framework filled in."""

    def __init__(self, exact: Arguments, ask: Ask | None, passed: dict[str, Any], key: str | None) -> None:
        self.exact, self.ask, self.key, self._passed = exact, ask, key, passed

    @property
    def question(self) -> tuple[str, str, Arguments, float]:
        assert self.ask is not None
        return self.ask.username, self.ask.action, self.ask.payload, self.ask.timeout_s

    def arguments(self, checked: Arguments) -> dict[str, Any]:
        return {**checked, **self._passed}


class _Calls:
    """A function that can be gated."""

    def __init__(
        self, function: Callable[..., Any], rule: Rule, exclude: tuple[str, ...],
        key: Callable[[Arguments], str] | None,
    ) -> None:  # fmt: skip
        self._signature = signature = inspect.signature(function)
        self._rule, self._exclude, self._key = rule, exclude, key
        plain = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
        if not inspect.isroutine(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("only plain and async functions can be gated")
        if not {parameter.kind for parameter in signature.parameters.values()} <= plain:
            raise TypeError("only functions whose parameters all have names can be gated")
        for name in exclude:
            if name not in signature.parameters:
                raise TypeError(f"exclude names {name}, which is no parameter")
        for name in _injected(function, signature):
            if name not in exclude:
                raise TypeError(f"a framework fills in {name}, and nobody can approve it: name it in exclude=")

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        passed = {name: bound.arguments[name] for name in self._exclude}
        exact, ask = self._rule.ask({name: value for name, value in bound.arguments.items() if name not in passed})
        if self._key is None or ask is None:
            return _Call(exact, ask, passed, None)
        # A copy: the function may change what it is given.
        key = self._key({**_json.parse(_json.canonical(exact), doubles=True), **passed})
        if type(key) is not str:
            raise TypeError("the function for the key returned no text")
        return _Call(exact, ask, passed, key)


def _injected(function: Callable[..., Any], signature: inspect.Signature) -> list[str]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:
        hints = {}  # a name that is not imported, for example; the text itself is looked at
    found = []
    for name, parameter in signature.parameters.items():
        annotation = hints.get(name, parameter.annotation)
        if name in _INJECTED_NAMES or _of_framework(annotation):
            found.append(name)
    return found


def _of_framework(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return any(word in annotation for word in _FRAMEWORK_TYPES)
    parts = [*typing.get_args(annotation), *getattr(annotation, "__metadata__", ())]
    origin = typing.get_origin(annotation)
    kinds = [annotation, type(annotation), *([] if origin is None else [origin])]
    modules = {str(getattr(kind, "__module__", "")).partition(".")[0] for kind in kinds}
    return bool(modules & _FRAMEWORKS) or any(_of_framework(part) for part in parts)
