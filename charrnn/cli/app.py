"""The application: its commands, its exit codes, its one-line errors."""

import atexit
import logging
import os
import signal
import sys
import warnings
from inspect import cleandoc
from typing import Annotated, NoReturn

import typer

from charrnn import __version__
from charrnn.cli import (
    compare,
    compress,
    corpus,
    distil,
    embed,
    evaluate,
    export,
    fill,
    inspect,
    page,
    runs,
    sample,
    score,
    serve,
    train,
)
from charrnn.cli.exit_codes import FAILED, INTERRUPTED, USAGE
from charrnn.cli.failures import told
from charrnn.cli.flags import flags, in_flags
from charrnn.cli.options import utf8_streams
from charrnn.cli.together import Command, Group
from charrnn.cli.usage import complaint
from charrnn.console import ReaderGone, Talk, error, forget_working, write
from charrnn.errors import CharrnnError, ConfigError

COMPLETION = "_CHARRNN_COMPLETE"

app = typer.Typer(
    name="charrnn",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""Examples:

    charrnn train corpus.txt --for 10m

    charrnn sample --temp 0.8 --prompt "Once"

    ppl=$(charrnn eval -q test.txt)""",
)
app.command("train", cls=Command, epilog=train.EXAMPLES)(train.train)
app.command("distil", cls=Command, epilog=distil.EXAMPLES)(distil.distil)
app.command("sample", cls=Command, epilog=sample.EXAMPLES)(sample.sample)
app.command("eval", cls=Command, epilog=evaluate.DEFINITIONS + cleandoc(evaluate.EXAMPLES))(evaluate.evaluate)
app.command("score", cls=Command, epilog=score.EXAMPLES)(score.score)
app.command("compare", cls=Command, epilog=compare.EXAMPLES)(compare.compare)
app.command("fill", cls=Command, epilog=fill.EXAMPLES)(fill.fill)
app.command("embed", cls=Command, epilog=embed.EXAMPLES)(embed.embed)
app.command("compress", cls=Command, epilog=compress.COMPRESS_EXAMPLES)(compress.compress)
app.command("decompress", cls=Command, epilog=compress.DECOMPRESS_EXAMPLES)(compress.decompress)
app.command("page", cls=Command, epilog=page.EXAMPLES)(page.page)
app.command("export", cls=Command, epilog=export.EXAMPLES)(export.export)
app.command("serve", cls=Command, epilog=serve.EXAMPLES)(serve.serve)
app.add_typer(inspect.inspect_app, name="inspect")
app.add_typer(runs.runs_app, name="runs")
app.add_typer(corpus.corpus_app, name="corpus")


def _version(wanted: bool) -> None:
    if wanted:
        from charrnn import native

        write(f"charrnn {__version__}\nint8 {native.used()}\n")
        raise typer.Exit


@app.callback()
def charrnn(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version, and how int8 is computed, and exit."
        ),
    ] = False,
) -> None:
    """Train recurrent language models on your own text, sample from them, and score text with them."""


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; errors end as one line on stderr."""
    utf8_streams()
    Talk.reworded = lambda text: in_flags(text, flags(app))
    try:
        code = app(arguments, standalone_mode=False, prog_name="charrnn")
        return code if isinstance(code, int) else 0
    except ConfigError as problem:
        error(str(problem))
        return USAGE
    except CharrnnError as problem:
        error(str(problem))
        return FAILED
    except typer.TyperException as problem:
        # Without a command there is help on stdout, and nothing to complain of.
        if words := complaint(problem):
            error(words)
        return getattr(problem, "exit_code", USAGE)
    except OSError as problem:
        error(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}")
        return FAILED
    except (ImportError, MemoryError, RuntimeError, SystemError) as problem:
        if (library := told(problem)) is None:
            raise
        error(library)
        return FAILED
    except ReaderGone:
        return 0
    except SystemExit as left:
        # typer leaves this way when the reader of its help has gone, which is no failure, and from shell completion.
        return int(left.code or 0) if COMPLETION in os.environ else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    finally:
        forget_working()
        Talk.reworded = str


def main() -> NoReturn:
    """The `charrnn` command. What libraries have to say of fonts, folders and overflow is nothing to its user."""
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    code = run()
    # All is said and saved: a second Ctrl-C must not interrupt the way out.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """At once: Python would first take torch apart, for half a second in which nothing is left to do."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            pass
        except (OSError, ValueError):
            code = code or FAILED
    os._exit(code)
