"""A conformance run inside a pytest session: items out of the manifest, verdicts out of their ends."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import orjson
import pytest

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.asking.samples import SamplesError, read_samples
from executor_sdk.client.base_url import UnusableUrlError, split
from executor_sdk.conformance import report
from executor_sdk.conformance.examination import examine
from executor_sdk.conformance.manifest import REQUIREMENTS
from executor_sdk.conformance.results import BrokenError, Grade, NotTestableError, Requirement, Result
from executor_sdk.conformance.target import Target
from executor_sdk.testing.server import NotStartedError, serve

#: Name under which a result travels with its test report, from a process of pytest-xdist too.
_PROPERTY: Final = "executor_conformance"


def target_of(config: pytest.Config) -> Target:
    """The target that the options describe; an application is served from `Conformance.pytest_sessionstart` on.

    Raises:
        pytest.UsageError: neither or both of URL and application, or samples that cannot be read.
    """
    url, app = config.getoption("--executor-url"), config.getoption("--executor-app")
    if bool(url) is bool(app):
        raise pytest.UsageError("--conformance needs one of --executor-url URL and --executor-app MODULE:ATTR")
    samples = config.getoption("--executor-samples")
    try:
        given = read_samples(Path(samples)) if samples else ()
        if url:
            split(url)
    except SamplesError as error:
        raise pytest.UsageError(f"--executor-samples: {error}") from None
    except UnusableUrlError as error:
        raise pytest.UsageError(f"--executor-url: {error}") from None
    return Target(
        base_url=url or "",
        samples=given,
        timeout_s=config.getoption("--executor-timeout"),
        burst=config.getoption("--executor-burst"),
    )


class Conformance:
    """The hooks of one run. The checks stand beside the project's own tests, or alone where no test is named."""

    def __init__(self, target: Target, config: pytest.Config) -> None:
        self.target = target
        self.results: dict[str, Result] = {}
        self._app: str | None = config.getoption("--executor-app")
        self._serving = ExitStack()
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = []

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Serve the application under test, unless this session only collects."""
        if self._app is None or session.config.option.collectonly:
            return
        try:
            base_url = self._serving.enter_context(serve(load_app(self._app))).url
        except (AppError, NotStartedError) as error:
            raise pytest.UsageError(f"--executor-app: {error}") from None
        self.target = replace(self.target, base_url=base_url)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add one item for each requirement, before `-k` and `-m` choose."""
        suite = Suite.from_parent(session, name="conformance", nodeid="conformance")
        items.extend(
            RequirementItem.from_parent(suite, name=requirement.id, run=self, requirement=requirement)
            for requirement in REQUIREMENTS
        )

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str:
        """How many requirements are there; pytest counts only what it found in files."""
        return f"requirements to test: {sum(isinstance(item, RequirementItem) for item in items)}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the result travel with the report; a warning is no failure of the session."""
        made = yield
        if isinstance(item, RequirementItem) and call.when == "call" and item.result is not None:
            made.user_properties.append((_PROPERTY, item.result.document()))
            if item.result.verdict is Grade.WARN:
                made.outcome = "passed"
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result, whichever process it comes from."""
        result = result_in(report)
        if result is not None:
            self.results[result.requirement_id] = result

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Our verdicts in pytest's own words and letters."""
        result = result_in(report)
        if result is None or result.verdict in (Grade.PASS, Grade.FAIL):
            return None
        category = "warned" if result.verdict is Grade.WARN else "failed"
        return category, result.verdict[0].upper(), str(result.verdict).upper()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report; a run in which nothing was tested is an error."""
        self._serving.close()
        if session.config.option.collectonly or hasattr(session.config, "workerinput"):
            return
        if not self.results:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        path = session.config.getoption("--conformance-report")
        if path:
            told = self.target.learned.capabilities
            document = report.document(self.results, address=self.target.address, capabilities=told)
            Path(path).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Everything that is no pass, and the score."""
        if terminalreporter.config.option.collectonly:
            return
        terminalreporter.section(f"conformance of {self.target.address}")
        if not self.results:
            terminalreporter.write_line("no requirement was tested: that is an error", red=True)
            return
        good = report.conforms(self.results)
        for line in report.summary(self.results):
            terminalreporter.write_line(line, green=good, red=not good)


class Suite(pytest.Collector):
    """The parent of the requirement items; it collects nothing of its own."""

    def collect(self) -> Iterable[pytest.Item]:
        """Nothing: the items are made for a run, by `pytest_collection_modifyitems`."""
        return []


class RequirementItem(pytest.Item):
    """A requirement as a test."""

    def __init__(self, *, run: Conformance, requirement: Requirement, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # pytest's own keywords, handed on as they came
        self.result: Result | None = None
        self.requirement = requirement
        self._run = run

    def runtest(self) -> None:
        """Run the check, and raise what it raises."""
        self.result, error = anyio.run(examine, self.requirement, self._run.target, self._run.results)
        if error is not None:
            raise error

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The requirement and the sentence; a stack trace only where the suite is at fault."""
        del style
        if not isinstance(excinfo.value, BrokenError | NotTestableError):
            return str(super().repr_failure(excinfo))
        said = self.requirement
        return f"{said.level} {said.title}\n“{said.quote}” ({said.source})\n\n{excinfo.value}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Shown as id and title."""
        return self.path, None, f"{self.name} {self.requirement.title}"


def result_in(report: pytest.TestReport) -> Result | None:
    """The result that a test report carries."""
    carried = next((value for name, value in report.user_properties if name == _PROPERTY), None)
    return Result.read(carried) if report.when == "call" and isinstance(carried, dict) else None
