"""What is wrong with a request, as OpenAI's clients read it."""

import re
from typing import Any

from charrnn.errors import CharrnnError, VocabularyError

# `name` or `name='value'`, as messages of the library write fields.
FIELD = re.compile(r"`([^`=\s]+)(?:=[^`]*)?`")
BAD, REFUSED, MISSING, NO_METHOD, SLOW, LARGE, KIND, BUSY, FAULT = 400, 401, 404, 405, 408, 413, 415, 429, 500
KINDS = {REFUSED: "authentication_error", BUSY: "rate_limit_error", FAULT: "server_error"}


class Problem(Exception):
    """One line, the status that goes with it and, where it is about a field, that field."""

    def __init__(self, message: str, status: int = BAD, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of it."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def problem_of(error: CharrnnError) -> Problem:
    """What the library complains of: the first field that it names is the parameter."""
    named = FIELD.search(str(error))
    param = named[1] if named else "prompt" if isinstance(error, VocabularyError) else None
    return Problem(str(error).replace("`", "'"), param=param)
