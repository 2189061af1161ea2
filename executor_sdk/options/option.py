"""One option: which values it takes, in which form it keeps them, and the sentence for any other value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from executor_sdk.errors import DefinitionError

#: So many options no sentence tells.
_MANY: Final = 16


class Kind(Struct, frozen=True):
    """What the options of one type have in common."""

    #: As a sentence and the table of options call it.
    words: str
    #: A value as an author may write it.
    example: str
    #: The kept form of a value from Python; None for a value that is of another kind.
    accept: Callable[[object], Any]
    #: The value in a text.
    read: Callable[[str], object]


class Option(Struct, frozen=True):
    """One option. A number must be at least `least`, and finite."""

    name: str
    kind: Kind
    default: Any
    least: float
    may_be_none: bool

    def accepted(self, value: object) -> Any:
        """`value` in the form in which the kit keeps it: a path, a tuple, a float.

        Raises:
            DefinitionError: it does not fit; the message says what to write instead.
        """
        if value is None and self.may_be_none:
            return None
        fitting = self._fitting(value)
        if fitting is None:
            example = self._meant(value) if isinstance(value, str) else self.example
            raise DefinitionError(
                f"the option {self.name} is {value!r:.80}; it must be {self.expected}: write {self.name}={example}"
            )
        return fitting

    def read(self, text: str, variable: str) -> Any:
        """The value in the text of an environment variable. A blank one means none, where there may be none.

        Raises:
            DefinitionError: no such value is in it; the message names the variable.
        """
        if self.may_be_none and not text:
            return None
        fitting = self._in(text)
        if fitting is None:
            raise DefinitionError(
                f"{variable}={text!r:.80}; it must be {self.expected}: write {variable}={self.example}"
            )
        return fitting

    @property
    def expected(self) -> str:
        """What the option takes, as `a number of seconds, at least 0.001`."""
        if self.kind not in {_INT, _FLOAT}:
            return self.kind.words
        unit = next((f" of {unit}" for suffix, unit in _UNITS.items() if self.name.endswith(suffix)), "")
        return f"{self.kind.words}{unit}, at least {self.least:g}"

    @property
    def example(self) -> str:
        """A value that fits, as an author writes it: the default, if there is one."""
        return _literal(self.default) if isinstance(self.default, int | float) else self.kind.example

    def _fitting(self, value: object) -> Any:
        fitting = self.kind.accept(value)
        is_beyond = isinstance(fitting, int | float) and not self.least <= fitting < math.inf
        return None if is_beyond else fitting

    def _in(self, text: str) -> Any:
        try:
            return self._fitting(self.kind.read(text.strip()))
        except (ValueError, KeyError):
            return None

    def _meant(self, text: str) -> str:
        """What was probably meant by a text in place of a value."""
        meant = self._in(text)
        return self.example if meant is None else _literal(meant)


def options_of(kept: type[Struct], least: Mapping[str, float]) -> dict[str, Option]:
    """The options that are the fields of `kept`, with least values other than 0."""
    defaults = dict(zip(kept.__struct_fields__, kept.__struct_defaults__, strict=True))
    options = {}
    for name, default in defaults.items():
        kind = kept.__annotations__[name].removesuffix(" | None")
        may_be_none = kind != kept.__annotations__[name]
        options[name] = Option(name, _KINDS[kind], default, least.get(name, 0), may_be_none)
    return options


def settle(kept: Struct, options: Mapping[str, Option]) -> None:
    """Bring each field of a new struct into the form in which it is kept.

    Raises:
        DefinitionError: a value that does not fit its option.
    """
    for name, option in options.items():
        force_setattr(kept, name, option.accepted(getattr(kept, name)))


def check_names(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name that no option has.

    Raises:
        DefinitionError: there is one; the message guesses which option was meant.
    """
    for name in given:
        if name not in known:
            guess = closest(name, known)
            there = (
                f"there are: {', '.join(known)}" if len(known) < _MANY else "docs/settings.md has all that there are"
            )
            hint = f"did you mean {guess}?" if guess else there
            raise DefinitionError(f"no option is named {name!r}; {hint}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    # Loaded for those who mistyped only.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1)), None)


def _literal(value: object) -> str:
    return repr(value).removesuffix(".0")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _path(value: object) -> Path | None:
    if isinstance(value, str):
        # A blank path would be the current folder, which nobody means by it.
        return Path(value) if value.strip() else None
    return value if isinstance(value, Path) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _tuple_of(accept: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...] | None]:
    def accept_each(value: object) -> tuple[Any, ...] | None:
        parts = tuple(accept(part) for part in _parts(value))
        return None if None in parts else parts

    return accept_each


def _parts(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _truth_in(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


_INT: Final = Kind("a whole number", "8", _whole, int)
_FLOAT: Final = Kind("a number", "60", _number, float)
_KINDS: Final = {
    "int": _INT,
    "float": _FLOAT,
    "bool": Kind("True or False", "True", _truth, _truth_in),
    "Path": Kind("a path", "'folder/name'", _path, str),
    "tuple[str, ...]": Kind("a tuple of texts", "('example.org',)", _tuple_of(_text), _listed),
    "tuple[Path, ...]": Kind("a tuple of paths", "('/data',)", _tuple_of(_path), _listed),
}
_UNITS: Final = {"_bytes": "bytes", "_ms": "milliseconds", "_s": "seconds"}
