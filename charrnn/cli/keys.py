"""A prompt on a terminal, with keys and a history: the only file that knows prompt_toolkit."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output

from charrnn.console import answer

if TYPE_CHECKING:
    from charrnn.api.session import Session


class Prompt:
    """The lines that are typed; a key that is a command gives that."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._prompt: PromptSession[str] = PromptSession(
            history=InMemoryHistory(),
            key_bindings=self._keys(),
            bottom_toolbar=self._toolbar,
            output=create_output(stdout=sys.stderr),
            erase_when_done=True,
        )

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                yield self._prompt.prompt("> ")
            except KeyboardInterrupt:
                answer("Ctrl-D or /quit ends; /save keeps the text")
            except EOFError:
                return

    def _toolbar(self) -> AnyFormattedText:
        from charrnn.cli.interactive import described

        keys = "Enter go on  Tab keep  Ctrl-R retry" if self._session.proposal else "Enter go on"
        keys = f"kept: {keys}" if self._session.text and not self._session.proposal else keys
        return f" {keys}  /help  Ctrl-D end   {described(self._session.config)}"

    def _keys(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("tab")
        def keep(event: KeyPressEvent) -> None:
            self._session.keep()
            event.app.invalidate()

        @bindings.add("c-r")
        def retry(event: KeyPressEvent) -> None:
            event.current_buffer.append_to_history()  # what was typed so far is not lost
            event.app.exit(result="/retry")

        return bindings
