"""How complaints write characters: what can be seen as it is, all else by its number."""

import re
import sys
import unicodedata

from charrnn.text.characters import named

from .cases import each


@each(
    "character, name",
    [
        ("x", "'x'"),
        ("海", "'海'"),
        ("🙂", "'🙂'"),
        ("'", '"\'"'),
        ("\u0301", "U+0301 COMBINING ACUTE ACCENT"),
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
        ("\xa0", "U+00A0 NO-BREAK SPACE"),
        ("\xad", "U+00AD SOFT HYPHEN"),
        (" ", "U+0020 SPACE"),
        ("\u3164", "U+3164 HANGUL FILLER"),
        ("\n", "U+000A '\\n'"),
        ("\x1b", "U+001B '\\x1b'"),
        ("\ue000", "U+E000 '\\ue000'"),
        ("\udc80", "U+DC80 '\\udc80'"),
    ],
)
def test_a_character_is_named_so_that_it_can_be_read(character: str, name: str) -> None:
    assert named(character) == name


def test_no_name_of_any_character_holds_what_cannot_be_seen() -> None:
    for code in range(0, sys.maxunicode + 1, 41):
        name = named(chr(code))
        assert name.isprintable()
        assert not any(
            unicodedata.category(each) in ("Mn", "Me", "Mc", "Cf", "Cc", "Zs") for each in name.replace(" ", "")
        )
        assert re.fullmatch(rf"'.'|\"'\"|'\\\\\\\\'|U\+{code:04X} .+", name), name
