"""`executor conformance APP|URL`: the conformance suite without pytest."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import anyio

from executor_sdk.asking.samples import SamplesError, read_samples
from executor_sdk.cli.applications import reached
from executor_sdk.cli.command import CommandError, Commands, Exit, add_command, add_timeout, asking, pretty
from executor_sdk.cli.terminal import progress, show, show_table
from executor_sdk.conformance import report
from executor_sdk.conformance.examination import examine_all
from executor_sdk.conformance.manifest import REQUIREMENTS
from executor_sdk.conformance.results import Grade, Requirement, Result
from executor_sdk.conformance.target import Target


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "conformance",
        run,
        help="test an executor, in any language, against the contract",
        example="executor conformance http://127.0.0.1:8080 --report report.json",
    )
    parser.add_argument("address", nargs="?", metavar="APP|URL", help="module:attribute, or http://…")
    parser.add_argument("--list", action="store_true", help="show the requirements and test nothing")
    parser.add_argument("--only", default="", metavar="PREFIX", help="requirements whose id begins so, as EXC-VERIFY")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="sample tasks, where the schema cannot tell")
    parser.add_argument("--burst", type=int, default=12, metavar="N", help="executions at once under load (default 12)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the verdicts as JSON")
    add_timeout(parser)


def run(given: argparse.Namespace) -> int:
    """Examine and report; anything but a pass or a warning among what was chosen is judged bad."""
    if given.list:
        _print_requirements(as_json=given.json)
        return Exit.GOOD
    if given.address is None:
        raise CommandError(Exit.USAGE, "name what is to be tested: APP or URL")
    if not any(requirement.id.startswith(given.only) for requirement in REQUIREMENTS):
        raise CommandError(Exit.USAGE, f"no requirement begins with {given.only!r}; --list shows them")
    with reached(given.address) as base_url:
        target = _target(base_url, given)
        with progress("asks the executor", as_json=given.json) as now:
            results = anyio.run(_examined, target, given.only, now)
    document = report.document(results, address=target.address, capabilities=target.learned.capabilities)
    if given.report:
        _write(given.report, pretty(document))
    if given.json:
        print(pretty(document))
    else:
        _print_results(results)
    good = all(result.verdict in (Grade.PASS, Grade.WARN) for result in results.values())
    return Exit.GOOD if good else Exit.JUDGED_BAD


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise CommandError(Exit.USAGE, f"--report {path}: {error.strerror or error}") from None


def _target(base_url: str, given: argparse.Namespace) -> Target:
    try:
        samples = read_samples(given.samples) if given.samples else ()
    except SamplesError as error:
        raise CommandError(Exit.USAGE, f"--samples {error}") from None
    return Target(base_url, samples, given.timeout, given.burst)


async def _examined(target: Target, only: str, now: Callable[[str], None]) -> dict[str, Result]:
    def begins(requirement: Requirement) -> None:
        now(f"{REQUIREMENTS.index(requirement) + 1} of {len(REQUIREMENTS)}: {requirement.title}")

    async with asking(target.base_url, target.timeout_s) as client:
        await client.send("GET", "/health")
    return await examine_all(target, only=only, begins=begins)


def _print_results(results: dict[str, Result]) -> None:
    *unpassed, verdict = report.summary(results)
    rows = [
        (str(result.verdict), requirement.id, f"{requirement.title}\n{result.reason}")
        for requirement, result in report.unpassed(results)
    ]
    show_table(("grade", "requirement", "what is wrong"), rows, unpassed)
    show([verdict])


def _print_requirements(*, as_json: bool) -> None:
    if as_json:
        print(pretty([report.facts(requirement) for requirement in REQUIREMENTS]))
        return
    rows = [(requirement.id, str(requirement.level), requirement.title) for requirement in REQUIREMENTS]
    show_table(("id", "level", "requirement"), rows, (f"{name:<15} {level:<6} {title}" for name, level, title in rows))
