"""Text on grounds of colour."""

from collections.abc import Iterable

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

from charrnn.console import forget_working, visible

# By the steps of a page's colours, on grounds that glare neither in the dark nor in the light: what was expected stays
# as it is; from 8 bits on it is readable without colour too.
GROUNDS = (
    "none", "none", "black on #d5c7a3", "black on #dcb877", "black on #e3a253", "black on #ea8540",
    "underline black on #ef6a38", "bold underline white on #b92b1f",
)  # fmt: skip
SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}


class Shades:
    """Shades text for standard output, as far as that shows colours: on a terminal, and without NO_COLOR."""

    def __init__(self) -> None:
        out = Console(highlight=False)
        self.system = SYSTEMS.get(out.color_system or "")
        styles = [Style.parse(ground) for ground in GROUNDS]
        self._styles = [style.without_color for style in styles] if out.no_color else styles

    def __call__(self, spans: Iterable[tuple[str, float]]) -> str:
        """Texts, each on the ground of its bits; a line end has none, a terminal would colour the line behind it."""
        from charrnn.plotting.shading import steps_of

        given = list(spans)
        texts, bits = [text for text, _ in given], [cost for _, cost in given]
        if self.system is None:
            return "".join(texts)
        return "".join(
            "\n".join(
                self._styles[step].render(part, color_system=self.system) if part else "" for part in text.split("\n")
            )
            for text, step in zip(texts, steps_of(bits), strict=True)
        )


def show_heat(symbols: list[str], heat: list[float]) -> None:
    """Text on stdout, each symbol on a ground that is the redder the more heat it has, the largest being full red."""
    most = max((abs(value) for value in heat), default=0.0) or 1.0
    text = Text()
    for symbol, value in zip(symbols, heat, strict=True):
        share = max(0.0, value / most)
        red, other = round(255 - 65 * share), round(255 - 195 * share)
        shown = "↵\n" if symbol == "\n" else visible(symbol)
        text.append(shown, style=f"black on rgb({red},{other},{other})")
    forget_working()
    Console(highlight=False).print(text, soft_wrap=True)
