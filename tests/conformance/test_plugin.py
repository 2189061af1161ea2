"""Tests of the pytest plugin in a pytest of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from executor_sdk.testing.server import serve
from tests.conformance.model import ModelExecutor
from tests.conformance.mutants import MUTANTS

#: The root of the project, from which `tests.conformance` can be imported.
ROOT = Path(__file__).parents[2]

GOOD = "tests.conformance.model:ModelExecutor"

PLUGIN = ("-p", "executor_sdk.conformance.plugin")


def run(*arguments: str, cwd: Path = ROOT, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own, without the plugins and the configuration of this one."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={cwd}", "-p", "no:cacheprovider"]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{ROOT}", "PATH": "/usr/bin"}
    return subprocess.run(
        [*command, *(PLUGIN if plugin else ()), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_does_nothing_without_its_flag(tmp_path: Path) -> None:
    """A project that has the kit installed runs its own tests, and loads nothing of the suite."""
    (tmp_path / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    assert 'executor_sdk.conformance.manifest' not in sys.modules\n"
        "    assert 'httpx2' not in sys.modules\n"
    )

    ended = run("--executor-url", "http://127.0.0.1:9", cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout
    assert "conformance of" not in ended.stdout


def test_a_good_application_conforms_and_is_reported(tmp_path: Path) -> None:
    """`--executor-app` serves it; the report names it, and has an exchange for each pass."""
    (tmp_path / "app.py").write_text(
        f"from {GOOD.partition(':')[0]} import ModelExecutor\nexecutor = ModelExecutor()\n"
    )

    ended = run("--conformance", "--executor-app", "app", "--conformance-report", "report.json", cwd=tmp_path)

    report = json.loads((tmp_path / "report.json").read_bytes())
    assert ended.returncode == 0, ended.stdout
    assert "the executor conforms: 34 of 34 requirements passed" in ended.stdout
    assert report["conforms"] is True
    assert report["executor"]["provider_family"] == "model-runtime"
    assert all(line["verdict"] == "pass" and line["exchanges"] for line in report["requirements"])


def test_a_broken_must_fails_the_session_and_is_quoted() -> None:
    """The sentence says what the executor did, and which requirement that breaks."""
    with serve(MUTANTS["EXC-VERIFY-005"]()) as served:
        ended = run("--conformance", "--executor-url", served.url)

    assert ended.returncode == 1
    assert "policy binding invalid: …” (recording)" in ended.stdout
    assert "a policy with policy_hash" in ended.stdout
    assert "1 failed, 33 passed" in ended.stdout


def test_a_broken_should_is_a_warning() -> None:
    """It is shown, and does not fail the session."""
    with serve(MUTANTS["EXC-VERIFY-006"]()) as served:
        ended = run("--conformance", "--executor-url", served.url)

    assert ended.returncode == 0, ended.stdout
    assert "1 warned" in ended.stdout
    assert "WARN       EXC-VERIFY-006" in ended.stdout
    assert "the executor conforms: 33 of 34" in ended.stdout


def test_an_absent_executor_fails_and_the_rest_is_not_tested() -> None:
    """What could not be asked counts against, and is listed."""
    ended = run("--conformance", "--executor-url", "http://user:secret@127.0.0.1:9", "-k", "HEALTH or CAPS or EXEC-001")

    assert ended.returncode == 1
    assert "no answer to GET /health" in ended.stdout
    assert "NOT-TESTED EXC-EXEC-001" in ended.stdout
    assert "secret" not in ended.stdout


def test_a_run_that_tests_nothing_is_an_error() -> None:
    """No requirement selected is not the same as none broken."""
    with serve(ModelExecutor()) as served:
        ended = run("--conformance", "--executor-url", served.url, "-k", "nothing_is_called_so")

    assert ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "no requirement was tested: that is an error" in ended.stdout


def test_nothing_tested_beside_tests_that_pass_is_an_error_too(tmp_path: Path) -> None:
    """Else a project would seem to conform because its own tests pass."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")

    with serve(ModelExecutor()) as served:
        ended = run("--conformance", "--executor-url", served.url, "-k", "test_own", "test_own.py", cwd=tmp_path)

    assert "1 passed" in ended.stdout
    assert ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "needs one of --executor-url URL and --executor-app"),
        (("--executor-url", "http://127.0.0.1:9", "--executor-app", "x"), "needs one of"),
        (("--executor-app", "no_such_module"), "cannot load 'no_such_module'"),
        (("--executor-app", "json:loads_"), "cannot load 'json:loads_'"),
        (("--executor-url", "http://127.0.0.1:9", "--executor-samples", "no.json"), "no.json"),
    ],
)
def test_options_that_cannot_work_are_told(arguments: tuple[str, ...], sentence: str) -> None:
    """Before anything is tested."""
    ended = run("--conformance", *arguments)

    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence in ended.stderr


def test_the_environment_sets_options_of_an_application_under_test(tmp_path: Path) -> None:
    """As of one that is served for good: a value that cannot be read is told, and nothing is tested."""
    (tmp_path / "app.py").write_text(
        "import os\nfrom tests.smallest import executor\nos.environ['EXECUTOR_THREADS'] = 'many'\n"
    )

    ended = run("--conformance", "--executor-app", "app", cwd=tmp_path)

    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "EXECUTOR_THREADS='many'; it must be a whole number, at least 1" in ended.stderr


def test_requirements_can_be_listed_and_chosen() -> None:
    """Without an executor that runs."""
    ended = run("--conformance", "--executor-url", "http://127.0.0.1:9", "--collect-only", "-q", "-k", "IDEMP")

    assert ended.returncode == 0, ended.stdout
    assert "conformance::EXC-IDEMP-003" in ended.stdout
    assert "EXC-HEALTH-001" not in ended.stdout
