"""Messages are one readable line, whatever they quote."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import LONGEST, CharrnnError, ConfigError, one_line

from .cases import each


@given(text=st.text(st.characters(), max_size=600))
def test_any_message_is_one_printable_line_of_bounded_length(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= LONGEST + 3
    assert one_line(one_line(line)) == one_line(line) or len(line) > LONGEST
    assert str(CharrnnError(text)) == line


@each("text", ["", "a plain message", "two  spaces, 'é', 海, 🙂 and e\u0301", "x" * LONGEST])
def test_what_can_be_read_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


@each(
    "text, line",
    [
        ("first\n  second\n", "first second"),
        ("a\tb\x1b[31m\u200b\udce9", "a\\tb\\x1b[31m\\u200b\\udce9"),
    ],
)
def test_lines_are_joined_and_what_cannot_be_seen_is_escaped(text: str, line: str) -> None:
    assert one_line(text) == line


def test_of_a_long_message_its_beginning_and_its_end_are_kept() -> None:
    message = f"the shape {tuple(range(1000))} is not what was promised: upgrade charrnn"
    line = str(ConfigError(message))
    assert line.startswith("the shape (0, 1, 2") and line.endswith("promised: upgrade charrnn") and " … " in line
    assert len(line) == LONGEST + 3
