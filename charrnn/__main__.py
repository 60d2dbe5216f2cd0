"""The `charrnn` command, and python -m charrnn."""

import sys
from typing import NoReturn

from charrnn.cli.exit_codes import INTERRUPTED


def main() -> NoReturn:
    """The command line. Ctrl-C ends it without a word also while it is still being loaded."""
    try:
        from charrnn.cli.app import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
