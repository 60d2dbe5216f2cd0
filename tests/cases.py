"""One test for many cases: a loop that says in which of them it failed."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def for_each(**axes: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for every combination of these arguments; a failure tells which. Other arguments are pytest's."""
    cases = [dict(zip(axes, values, strict=True)) for values in itertools.product(*map(list, axes.values()))]
    assert cases, "a test of no cases"

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            for case in cases:
                try:
                    test(**case, **fixtures)
                except Exception as error:
                    error.add_note("the case: " + ", ".join(f"{name} = {value}" for name, value in case.items()))
                    raise

        signature = inspect.signature(test)
        left = [parameter for name, parameter in signature.parameters.items() if name not in axes]
        run.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return run

    return decorate
