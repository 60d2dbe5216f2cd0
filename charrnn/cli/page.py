"""charrnn page"""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import options as opt
from charrnn.config import require
from charrnn.console import megabytes, say, working

EXAMPLES = """Examples:

    charrnn page

    charrnn page fables -o fables.html

    charrnn page --train -o playground.html
"""


def page(
    context: typer.Context,
    named: opt.Named = None,
    learns: Annotated[
        bool, opt.option("Model", "No model: a page in which two small networks learn a text.", "--train")
    ] = False,
    output: Annotated[
        Path | None,
        opt.option(
            "Output", "The page.", "--output", "-o", default="NAME.html; playground.html", check=opt.in_a_folder
        ),
    ] = None,
    model: opt.Model = None,
    counts: opt.Counts = True,
    checkpoints: opt.Checkpoints = None,
    quiet: opt.Quiet = False,
) -> None:
    """Make one page of HTML with the model inside, which writes in any browser, from a disk too.

    It has sliders for temperature and filters, what else could have come, and the units at work. Its weights are those
    of int8, so a seed gives the text of `charrnn sample --precision int8`, by its counts too, where it has such. lstm,
    gru and rnn of plain layers, ensembles too, of characters or bytes, up to 20 MB.

    With `--train`, a page in which an LSTM and a simple RNN learn a text that is pasted there, side by side: live loss,
    samples and gradients.
    """
    told = ""
    if learns:
        given = named is not None or any(opt.typed(context, name) for name in ("model", "counts", "checkpoints"))
        require(not given, "`--train` makes a page that begins without a model: leave out the model, or `--train`")
        text, file = _playground(), output or Path("playground.html")
    else:
        working("reading the model")
        from charrnn import api

        loaded = api.load(named or model, checkpoints=checkpoints, counts=counts)
        say(f"model: {loaded.title}")
        text, told = loaded.told_page()
        file = output or Path(f"{loaded.name}.html")
    file.write_text(text, encoding="utf-8")
    if told:
        say(told)
    say(f"written: {file}, {megabytes(len(text.encode()))}")


def _playground() -> str:
    from charrnn.export.playground import playground

    return playground()
