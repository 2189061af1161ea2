"""Secrets by reference: an author writes down where a secret stands, and only a call that sends it reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from executor_sdk.errors import SecretError
from executor_sdk.misuse import MisuseError, called_as, is_text_of

#: Bytes of a file that a header can carry; more is no secret for one.
MAX_SECRET_BYTES: Final = 16 * 1024

#: What a header's value is made of here: ASCII that can be seen, and spaces within.
_SENDABLE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")

_TEMPLATE: Final = re.compile(r"[^{}]*\{\}[^{}]*")

_WRITE: Final = "Secret('env:CRM_TOKEN', 'Bearer {}') or Secret('file:/run/secrets/crm')"


class Secret:
    """The value of a header of `task.http`, which stands in the environment or in a file.

    Secret("env:CRM_TOKEN")                 # the variable of this process
    Secret("file:/run/secrets/crm")         # the text of a file, without white space around it
    Secret("env:CRM_TOKEN", "Bearer {}")    # within a template

    It is read at the moment of each call, so a file may change. Its text is the reference and never the value.
    """

    __slots__ = ("reference", "template")

    @called_as(_WRITE)
    def __init__(self, reference: str, template: str = "{}") -> None:
        if not is_text_of(_REFERENCE, reference):
            # Not told: it may be the secret itself.
            raise MisuseError(f"a secret is a reference, env:NAME or file:/PATH; write {_WRITE}")
        if not is_text_of(_TEMPLATE, template):
            raise MisuseError(f"the template of a secret has one {{}} for its value; write {_WRITE}")
        #: Where the value stands.
        self.reference = reference
        #: What is sent, with `{}` in the place of the value.
        self.template = template

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __format__(self, _: str) -> str:
        # What stands in the place of the value would be sent as it is, and a fake in a test would not mind.
        raise MisuseError(f"a secret goes into a header alone, not into another text; write {_WRITE}")

    @property
    def stand_in(self) -> str:
        """What a test's fake is sent: the reference in the place of the value, as `Bearer <env:CRM_TOKEN>`."""
        return self.template.replace("{}", f"<{self.reference}>")

    def resolve(self) -> str:
        """What is to be sent.

        Raises:
            SecretError: it is not there, empty, or nothing that a header can carry; the value is not quoted.
        """
        value = self._value().strip()
        if not value:
            raise SecretError(f"the secret {self.reference} is not set, or empty")
        sent = self.template.replace("{}", value)
        if not _SENDABLE.fullmatch(sent):
            raise SecretError(f"the secret {self.reference} holds what no header can carry: one line of ASCII can")
        return sent

    def _value(self) -> str:
        scheme, _, place = self.reference.partition(":")
        if scheme == "env":
            return os.environ.get(place, "")
        try:
            with Path(place).open("rb") as file:
                data = file.read(MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise SecretError(f"the secret {self.reference} cannot be read: {type(error).__name__}") from None
        if len(data) > MAX_SECRET_BYTES:
            raise SecretError(f"the secret {self.reference} has more than {MAX_SECRET_BYTES} bytes")
        # What is no ASCII is told by `resolve`, without the bytes that a UnicodeDecodeError would quote.
        return data.decode("ascii", "replace")
