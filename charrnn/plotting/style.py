"""Pictures as SVG, all of one look. matplotlib takes long to load: it is loaded here, and only for a picture."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings, simplefilter

COLOURS = ("#2f6f9f", "#b3402a", "#5a7d3a", "#8a5aa0", "#b8862b", "#3a8f8a", "#777777", "#c2557f")


@contextmanager
def picture(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] | None = None, **grid: Any
) -> Iterator[tuple[list[Any], io.BytesIO]]:
    """The panels to draw in, and where the SVG is once the block has ended; the same drawing gives the same bytes.

    What the library has to say of fonts is kept from whoever looks.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    drawn = io.BytesIO()
    with pyplot.rc_context({"svg.hashsalt": "charrnn", "font.size": 10}), catch_warnings():
        simplefilter("ignore")
        figure, panels = pyplot.subplots(
            rows, columns, figsize=size or (1.5 + 4.5 * columns, 4 * rows), squeeze=False, layout="constrained", **grid
        )
        for panel in panels.flat:
            panel.spines[["top", "right"]].set_visible(False)
            panel.grid(alpha=0.25)
        yield list(panels.flat), drawn
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def legend(axes: Any, lines: Sequence[Any], names: Sequence[str], **where: Any) -> None:
    """What the lines are, literally: a name may hold $ and begin with _, which mean something to matplotlib."""
    texts = axes.legend(lines, [str(number) for number in range(len(names))], frameon=False, **where).get_texts()
    for text, name in zip(texts, names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
