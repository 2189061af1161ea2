"""Tests of where a task to ask for comes from: a file, the published schema, the kernel's documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor_sdk.asking.samples import DOCUMENTS_INPUTS, Sample, SamplesError, choose, read_samples

OFFER = {"task_types": ["swarm", "topic"], "profiles": ["careful"]}


def test_without_schema_and_samples_the_documents_inputs_are_sent() -> None:
    """What the kernel sends in its documents' own run."""
    assert choose(OFFER, ()) == Sample("swarm", "careful", dict(DOCUMENTS_INPUTS), "documents")
    assert choose(None, ()) == Sample("swarm", "default", dict(DOCUMENTS_INPUTS), "documents")


def test_a_published_schema_is_used() -> None:
    """In either shape that it is published in."""
    schema = {"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"]}
    for published in (
        {"schemas": {"swarm": {"input": schema}}},
        {"handlers": [{"task_type": "swarm", "profiles": ["careful"], "input_schema": schema}]},
    ):
        assert choose(OFFER | published, ()) == Sample("swarm", "careful", {"n": 7}, "schema")


def test_a_samples_file_is_read(tmp_path: Path) -> None:
    """Type and profile may be left out: the first offered ones are meant."""
    path = tmp_path / "samples.json"
    path.write_text('{"samples": [{"inputs": {"a": 1}}]}')

    assert choose(OFFER, read_samples(path)) == Sample("swarm", "careful", {"a": 1}, "file")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": []}', '{"samples": [{"task_type": "x"}]}'])
def test_a_samples_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    """With the shape that is expected."""
    path = tmp_path / "samples.json"
    path.write_text(text)

    with pytest.raises(SamplesError, match=r"samples\.json"):
        read_samples(path)
