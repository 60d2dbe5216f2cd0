"""A loop over cases runs all of them and tells which one failed."""

import inspect

import pytest

from tests.cases import each


def test_stacked_loops_run_every_combination_the_upper_one_slowest() -> None:
    seen: list[tuple[object, ...]] = []

    @each("cell", ["rnn", "lstm"])
    @each("size, layers", [((1, 2), 3), ((4, 5), 6)])
    def test(fixture: str, cell: str, size: tuple[int, int], layers: int) -> None:
        seen.append((fixture, cell, size, layers))

    assert list(inspect.signature(test).parameters) == ["fixture"], "the rest is pytest's"
    test(fixture="f")
    assert seen == [("f", cell, *case) for cell in ("rnn", "lstm") for case in (((1, 2), 3), ((4, 5), 6))]


def test_a_failure_ends_the_loop_and_names_its_case() -> None:
    seen: list[tuple[str, int]] = []

    @each("cell", ["rnn", "lstm", "gru"])
    @each("layers", [1, 2])
    def test(cell: str, layers: int) -> None:
        seen.append((cell, layers))
        assert (cell, layers) != ("lstm", 1)

    with pytest.raises(AssertionError) as caught:
        test()
    assert caught.value.__notes__ == ["in the case layers = 1", "in the case cell = 'lstm'"]
    assert seen == [("rnn", 1), ("rnn", 2), ("lstm", 1)]


def test_a_loop_of_no_cases_and_one_over_what_a_test_does_not_take_are_refused() -> None:
    def test(cell: str) -> None: ...

    with pytest.raises(AssertionError, match="no case for cell"):
        each("cell", [])
    with pytest.raises(AssertionError, match="test does not take layers"):
        each("layers", [1])(test)
