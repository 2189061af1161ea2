"""`executor call APP|URL`: have one task done, and its candidate verified."""

from __future__ import annotations

import argparse
import sys

import anyio

from executor_sdk.asking.samples import Sample, choose
from executor_sdk.cli.applications import reached
from executor_sdk.cli.command import (
    Commands,
    Exit,
    add_address,
    add_command,
    add_timeout,
    asking,
    json_given,
    pretty,
)
from executor_sdk.cli.terminal import progress
from executor_sdk.client.asks import Asked, verify_body
from executor_sdk.client.base_url import masked
from executor_sdk.client.exchange import Answer
from executor_sdk.conformance import bodies
from executor_sdk.protocol.plain import Json, NotJsonError, parse


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "call",
        run,
        help="have one task done, with sample inputs where none are given",
        example="executor call my_package.app:executor --input '{\"amounts\": [1, 2]}' --verify",
    )
    add_address(parser)
    parser.add_argument("--task-type", default="", help="default: the first one offered")
    parser.add_argument("--profile", default="", help="default: the first one offered for the task type")
    parser.add_argument("--input", metavar="JSON|@FILE|-", help="default: made from the schema that is published")
    parser.add_argument("--verify", action="store_true", help="have the candidate verified too")
    parser.add_argument("--policy", default=bodies.SCHEMA_ONLY, choices=sorted(bodies.POLICY_HASHES))
    add_timeout(parser)


def run(given: argparse.Namespace) -> int:
    """Print the answer and the verdict; a refusal, or a candidate that is not passed, is judged bad."""
    samples = () if given.input is None else (Sample("", "", json_given(given.input), "file"),)
    with reached(given.address) as base_url, progress(f"waits for {masked(base_url)}", as_json=given.json):
        document = anyio.run(_called, base_url, samples, given)
    _print(document, as_json=given.json)
    good = document["status"] == 200 and (not given.verify or document["verdict"].get("passed") is True)
    return Exit.GOOD if good else Exit.JUDGED_BAD


async def _called(base_url: str, samples: tuple[Sample, ...], given: argparse.Namespace) -> dict[str, Json]:
    async with asking(base_url, given.timeout) as client:
        offered = await client.describe()
        request = bodies.ask(choose(offered, samples, task_type=given.task_type, profile=given.profile))
        answer = await client.send("POST", "/execute", request)
        document: dict[str, Json] = {"request": request, "status": answer.status, "answer": _content(answer)}
        if given.verify and answer.status == 200:
            verify = verify_body(Asked(request, document["answer"]), policy=bodies.binding(given.policy))
            verdict = await client.send("POST", "/verify", verify)
            document |= {"verify_status": verdict.status, "verdict": _content(verdict)}
    return document


def _content(answer: Answer) -> Json:
    """The decoded body; an object whatever it was, so that the output keeps its shape."""
    try:
        content = parse(answer.body)
    except NotJsonError:
        content = None
    return content if isinstance(content, dict) else {"body": answer.excerpt}


def _print(document: dict[str, Json], *, as_json: bool) -> None:
    if as_json:
        print(pretty(document))
        return
    if document["status"] != 200:
        print(f"/execute answered {document['status']}", file=sys.stderr)
    print(pretty(document["answer"]))
    if "verdict" in document:
        print(pretty(document["verdict"]))
