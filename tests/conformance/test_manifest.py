"""Tests that the manifest, the suite and the mutants belong together."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from executor_sdk.conformance import suite
from executor_sdk.conformance.bodies import POLICY_HASHES
from executor_sdk.conformance.manifest import PROOFS, REQUIREMENTS
from executor_sdk.policies.builtin import POLICIES
from tests.conformance.mutants import MUTANTS


def test_every_requirement_has_a_check_and_every_check_a_requirement() -> None:
    """Both ways, so that nothing is promised without proof and nothing is asked without a promise."""
    sources = [path.read_text() for path in Path(suite.__file__).parent.glob("*.py")]

    assert len(PROOFS) == len(REQUIREMENTS) == sum(source.count("\n@Requirement(") for source in sources)


def test_every_requirement_has_a_mutant() -> None:
    """And every mutant errs in a requirement that exists."""
    assert sorted(MUTANTS) == sorted(item.id for item in REQUIREMENTS)


def test_ids_are_unique_and_well_formed() -> None:
    """EXC-AREA-NNN; a number is never reused."""
    assert [name for name, count in Counter(item.id for item in REQUIREMENTS).items() if count > 1] == []
    assert [item.id for item in REQUIREMENTS if not re.fullmatch(r"EXC-[A-Z]+-\d{3}", item.id)] == []


def test_every_requirement_says_why_it_is_one() -> None:
    """A title, a quoted sentence and a fault, none of them blank."""
    assert [item.id for item in REQUIREMENTS if not (item.title and item.quote and item.mutant)] == []


def test_a_prerequisite_is_tested_before_what_builds_on_it() -> None:
    """So that its verdict is known by then."""
    order = [item.id for item in REQUIREMENTS]

    assert [
        item.id
        for item in REQUIREMENTS
        if item.prerequisite is not None and order.index(item.prerequisite) >= order.index(item.id)
    ] == []


def test_the_policy_hashes_are_those_of_the_kit() -> None:
    """The suite states them itself, so that a wrong one in the kit would show."""
    assert dict(POLICY_HASHES) == {name: policy.policy_hash for name, policy in POLICIES.items()}
