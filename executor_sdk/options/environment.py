"""Options in environment variables: how the variables are called, and which of them nobody reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from executor_sdk.options.option import Option, closest

#: What the names of the variables begin with.
PREFIX: Final = "EXECUTOR_"

#: What `executor serve` tells the processes that it starts: the application's name, and from which level on to log.
APP_VARIABLE: Final = "EXECUTOR_CLI_APP"
LOG_VARIABLE: Final = "EXECUTOR_CLI_LOG_LEVEL"


def variable_of(option: str) -> str:
    """The variable of an option."""
    return PREFIX + option.upper()


def read(environment: Mapping[str, str], options: Mapping[str, Option]) -> dict[str, Any]:
    """The options that `environment` names.

    Raises:
        DefinitionError: a value that does not fit its option; the message names the variable.
    """
    variables = {name: variable_of(name) for name in options}
    return {
        name: options[name].read(environment[variable], variable)
        for name, variable in variables.items()
        if variable in environment
    }


def unread(environment: Mapping[str, str], options: Mapping[str, Option]) -> str | None:
    """One sentence about variables that are called like ours and mean nothing; None where there are none."""
    told = []
    for name in sorted(environment):
        option = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and name not in {APP_VARIABLE, LOG_VARIABLE} and option not in options:
            guess = closest(option, options)
            told.append(f"{name} (did you mean {variable_of(guess)}?)" if guess else name)
    return f"no option of an executor is set by {', '.join(told)}" if told else None
