"""Tests against packages that charrnn does not need: run where this folder is named, as `pytest tests/extras` does.

A plain `pytest` leaves them out, for their packages are large; where they are run, none is skipped.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """None leaves it to pytest."""
    named = [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    return None if any(path.resolve().is_relative_to(HERE) for path in named) else True
