"""`executor doctor APP|URL`: what would go wrong behind a kernel, each with what to do about it."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

import anyio
from msgspec import to_builtins

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.cli.applications import reached
from executor_sdk.cli.checks import Diagnosis, Examined, Gravity, findings
from executor_sdk.cli.command import (
    CommandError,
    Commands,
    Exit,
    add_address,
    add_command,
    add_timeout,
    asking,
    pretty,
)
from executor_sdk.cli.developing.breakage import place_of
from executor_sdk.cli.terminal import counted, progress, show, show_table
from executor_sdk.client.base_url import masked
from executor_sdk.conformance.examination import examine_all
from executor_sdk.conformance.manifest import REQUIREMENTS
from executor_sdk.conformance.results import Grade
from executor_sdk.conformance.target import Target
from executor_sdk.errors import DefinitionError
from executor_sdk.executor import Executor
from executor_sdk.settings import Settings

#: Requirements of the conformance suite that cost the executor no work.
CHEAP: Final = ("EXC-HEALTH-001", "EXC-CAPS-001", "EXC-CAPS-002", "EXC-ERR-001", "EXC-ERR-002", "EXC-ERR-003")

#: Seconds for an answer to /health, beyond which the executor looks absent to those who probe it.
PROMPT_S: Final = 1.0

_LEVELS: Final = {Grade.PASS: Gravity.FINE, Grade.WARN: Gravity.ADVICE}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "doctor",
        run,
        help="say what would go wrong behind a kernel, and what to do about it",
        description="Look at the definition and the options of APP, start it on loopback, and ask it what costs it no "
        "work; of a URL, only the latter. Exit code 1 if there is a problem; advice is exit code 0.",
        example="executor doctor my_package.app:executor",
    )
    add_address(parser)
    parser.add_argument("--all", action="store_true", help="show what is fine, too")
    add_timeout(parser)


def run(given: argparse.Namespace) -> int:
    """Print all findings; a problem is judged bad."""
    with progress(f"looks at {masked(given.address)}", as_json=given.json):
        found = list(_findings(given))
    counts = Counter(one.level for one in found)
    if given.json:
        document = {"address": masked(given.address), "findings": [to_builtins(one) for one in found]}
        print(pretty(document | {"totals": {str(level): counts[level] for level in Gravity}}))
    else:
        _print([one for one in found if given.all or one.level is not Gravity.FINE])
        problems, advice, fine = (counts[level] for level in Gravity)
        advised = f"{counted(advice, 'piece')} of advice"
        show([f"{counted(problems, 'problem')}, {advised}, {fine} fine"])
    return Exit.JUDGED_BAD if counts[Gravity.PROBLEM] else Exit.GOOD


def _findings(given: argparse.Namespace) -> Iterator[Diagnosis]:
    if "://" not in given.address:
        try:
            app = load_app(given.address)
        except AppError as error:
            yield Diagnosis(
                "load", Gravity.PROBLEM, f"{error}{place_of(error.__cause__)}", "mend the module, or the name"
            )
            return
        yield Diagnosis("load", Gravity.FINE, "the module can be imported, and holds an application")
        if isinstance(app, Executor):
            try:
                settings = Settings.from_environment(os.environ, otherwise=app.settings)
            except DefinitionError as error:
                yield Diagnosis("options", Gravity.PROBLEM, error.message, "without it nothing is served")
                return
            yield from findings(Examined(app.registry, settings, os.environ))
    try:
        with reached(given.address) as base_url:
            yield from anyio.run(_asked, base_url, given.timeout)
    except CommandError as error:
        if "://" in given.address:
            raise
        yield Diagnosis("start", Gravity.PROBLEM, str(error), "mend what the log names: a lifespan, or the ledger")


async def _asked(base_url: str, timeout_s: float) -> list[Diagnosis]:
    """What an executor that runs says of itself."""
    async with asking(base_url, timeout_s) as client:
        await client.send("GET", "/health")  # the first may open connections, and more
        began_s = anyio.current_time()
        await client.send("GET", "/health")
        found = [_prompt(anyio.current_time() - began_s)]
    target = Target(base_url, timeout_s=timeout_s)
    titles = {requirement.id: requirement.title for requirement in REQUIREMENTS}
    for name in CHEAP:
        for result in (await examine_all(target, only=name)).values():
            level = _LEVELS.get(result.verdict, Gravity.PROBLEM)
            told = titles[name] if level is Gravity.FINE else f"{titles[name]}: {result.reason}"
            mend = "" if level is Gravity.FINE else f"executor conformance {masked(base_url)} --only {name} shows more"
            found.append(Diagnosis(name, level, told, mend))
    return found


def _prompt(seconds: float) -> Diagnosis:
    if seconds <= PROMPT_S:
        return Diagnosis("latency", Gravity.FINE, f"/health answers within {PROMPT_S:g} s")
    told = f"/health took {seconds:.1f} s, and who probes an executor does not wait long"
    return Diagnosis("latency", Gravity.ADVICE, told, "let the health check ask less, and nothing block the event loop")


def _print(found: list[Diagnosis]) -> None:
    rows = [(str(one.level), one.check, f"{one.sentence}\n→ {one.mend}" if one.mend else one.sentence) for one in found]
    lines = (
        f"{one.level.upper():<8} {one.check}: {one.sentence}" + (f"\n{'':<9}→ {one.mend}" if one.mend else "")
        for one in found
    )
    show_table(("level", "check", "finding"), rows, lines)
