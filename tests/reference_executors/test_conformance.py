"""Every reference executor conforms to the executor contract, as a stranger would test it: over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from executor_sdk import Executor, Settings
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve
from reference_executors import analyst
from reference_executors.rule_verifier import executor as rule_verifier
from tests.reference_executors.rule_verifier.test_rules import GOOD
from tests.reference_executors.sales_files import row, table

ROOT = Path(__file__).parents[2]


def _verdicts(executor: Executor, sample: Mapping[str, Json], folder: Path) -> dict[str, str]:
    """Run the conformance suite against `executor` and return its verdict on each requirement."""
    samples, report = folder / "samples.json", folder / "report.json"
    samples.write_text(json.dumps({"samples": [dict(sample)]}), encoding="utf-8")
    app = executor.application(Settings(file_roots=(folder,)))
    with serve(app) as served:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--disable-plugin-autoload", "-p", "executor_sdk.conformance.plugin"),
                *("-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider", "--conformance"),
                *("--executor-url", served.url, "--executor-samples", str(samples)),
                *("--conformance-report", str(report)),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    return {result["id"]: result["verdict"] for result in found["requirements"]}


def test_the_analyst_conforms(tmp_path: Path) -> None:
    """Copies, replays, refusals and verdicts are the kit's; the analyst has only its figures."""
    sales = tmp_path / "sales.csv"
    sales.write_bytes(table(row(date="2025-04-01"), row("I-2"), row("I-3", customer="C-2")))
    inputs = {"data_url": sales.as_uri(), "prompt": "Look at the regions."}

    verdicts = _verdicts(analyst.executor, {"task_type": "swarm", "inputs": inputs}, tmp_path)

    assert set(verdicts.values()) == {"pass"}, verdicts


def test_the_rule_verifier_conforms(tmp_path: Path) -> None:
    """An executor whose main work is verifying is an executor all the same."""
    inputs = {"output": GOOD, "cited_files": 1}

    verdicts = _verdicts(rule_verifier.executor, {"task_type": "rule-check", "inputs": inputs}, tmp_path)

    assert set(verdicts.values()) == {"pass"}, verdicts
