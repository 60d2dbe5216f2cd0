"""Text on grounds of colour."""

from rich.console import Console
from rich.text import Text

from charrnn.console import forget_working, visible


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
