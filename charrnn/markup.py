"""Records as HTML for a notebook (`_repr_html_`): small, without a script, right in the light and in the dark."""

import re
from collections.abc import Iterable, Mapping
from html import escape

# What HTML cannot hold, and what would turn the direction of letters round.
UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# Characters of a text that a notebook shows: some MB of it.
SHOWN = 20_000
# The most surprising ground is reached at so many bits; it lets the page's own through.
FULL_BITS = 12.0
ORANGE, DEEPEST = "236, 112, 20", 0.75
STYLE = "white-space: pre-wrap; overflow-wrap: anywhere; text-align: left; line-height: 1.6"


def safe(text: str) -> str:
    """Text as HTML, within elements and attributes alike: control characters as their pictures, or as U+FFFD."""
    return escape(UNSHOWN.sub(lambda found: _picture(ord(found[0])), text))


def _picture(code: int) -> str:
    return chr(0x2400 + code) if code < 32 else "␡" if code == 127 else "\ufffd"


def table(title: str, facts: Mapping[str, str]) -> str:
    """Facts, one a row."""
    rows = "".join(
        f'<tr><th style="text-align: left">{safe(name)}</th><td style="text-align: left">{safe(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table><caption style="text-align: left">{safe(title)}</caption><tbody>{rows}</tbody></table>'


def written(text: str, said: str) -> str:
    """A text as it is, and what is said of it."""
    return f'<pre style="{STYLE}">{safe(text[:SHOWN])}{_cut(len(text))}</pre><small>{safe(said)}</small>'


def shaded(spans: Iterable[tuple[str, float | None]], said: str) -> str:
    """Texts, each on a ground that is the stronger the more bits it has, and has them as its title; None: as it is."""
    parts, shown = list[str](), 0
    for text, bits in spans:
        if shown < SHOWN and bits is None:
            parts.append(safe(text))
        elif shown < SHOWN and bits is not None:
            strength = min(max(bits, 0.0) / FULL_BITS, 1.0) * DEEPEST
            mark = "↵\n" if text == "\n" else text
            ground = f' style="background: rgba({ORANGE}, {strength:.2f})"' if strength >= 0.04 else ""
            parts.append(f'<span{ground} title="{bits:.2f} bits">{safe(mark)}</span>')
        shown += len(text)
    return f'<pre style="{STYLE}">{"".join(parts)}{_cut(shown)}</pre><small>{safe(said)}</small>'


def _cut(length: int) -> str:
    return f" … {length - SHOWN:,} characters more" if length > SHOWN else ""
