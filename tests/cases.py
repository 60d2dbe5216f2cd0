"""Many cases of one test: as cheap as a loop, and a failure still names its case."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def each(names: str, values: Iterable[Any]) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, but within one test: decorators may be stacked for all combinations.

    Fixtures are made once and shared by all cases, `tmp_path` and `monkeypatch` too.
    """
    arguments, cases = [name.strip() for name in names.split(",")], list(values)
    assert cases, f"no case for {names}"

    def decorate(test: Test) -> Test:
        @functools.wraps(test, updated=())
        def looped(*args: Any, **fixtures: Any) -> None:
            for value in cases:
                case = dict(zip(arguments, value if len(arguments) > 1 else [value], strict=True))
                try:
                    test(*args, **fixtures, **case)
                except BaseException as error:
                    error.add_note("in the case " + ", ".join(f"{name} = {value!r}" for name, value in case.items()))
                    raise

        signature = inspect.signature(test)
        left = [parameter for name, parameter in signature.parameters.items() if name not in arguments]
        assert len(left) == len(signature.parameters) - len(arguments), f"{test.__name__} does not take {names}"
        del looped.__wrapped__
        looped.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        if hasattr(test, "pytestmark"):
            looped.pytestmark = test.pytestmark  # type: ignore[attr-defined]
        return looped

    return decorate
