"""The executor keeps the contract: the conformance suite, as anybody else would run it."""

import subprocess
import sys


def test_it_conforms() -> None:
    command = [sys.executable, "-m", "executor_sdk.cli", "conformance", "{{ cookiecutter.package_name }}.executor"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
