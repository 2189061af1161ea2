"""What the executor answers, without a server."""

import pytest
from executor_sdk import Refuse, in_process

from {{ cookiecutter.package_name }}.executor import executor


def test_it_tells_growth_from_decline() -> None:
    with in_process(executor) as runtime:
        assert runtime.execute({"amounts": [5, -2]}).output.decision == "GROWTH"
        assert runtime.execute({"amounts": [-5, 2]}).output.decision == "DECLINE"


def test_its_candidates_are_passed() -> None:
    with in_process(executor) as runtime:
        done = runtime.execute({"amounts": [5]})

        assert done.evidence_inline[0].content == "1 amounts, total 5.00"
        assert runtime.verify(done).status == "passed"


def test_nothing_to_add_up_is_refused_for_good() -> None:
    with in_process(executor) as runtime, pytest.raises(Refuse, match="no amounts"):
        runtime.execute({"amounts": []})
