"""Agent events: who is told of them, what becomes of a decision, and that no event is worked on twice by accident."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio
import httpx2
import pytest
from pydantic import BaseModel, field_validator

from executor_sdk import (
    AgentEvent,
    Decision,
    DefinitionError,
    Depends,
    Executor,
    ExecutorError,
    HandlerCrashedError,
    InvalidInputsError,
    InvalidOutputError,
    Refuse,
    TaskTimeoutError,
    TryLater,
    agent_event,
    in_process,
)
from executor_sdk.errors import BodyDiffersError, DuplicateHandlerError, MalformedRequestError, UnknownEventTypeError
from executor_sdk.misuse import MisuseError
from executor_sdk.protocol.agent_events import agent_event_body
from executor_sdk.testing import serve
from executor_sdk.testing.process import InProcess

REPLY = "topic_message_requires_reply"


class Message(BaseModel):
    """A payload."""

    content: str


@dataclass
class Amount:
    """Another one."""

    cents: int


#: No encoder of ours writes such an integer.
HUGE = json.dumps(agent_event_body("payment_update", {"cents": 10**22}, created_at=1)).encode()


class Phone:
    """A state of the process."""


def sender(event: AgentEvent[Any]) -> str:
    """A dependency that asks for the event itself."""
    return f"from {event.source_node_id}"


async def phones() -> AsyncIterator[Phone]:
    """Its lifespan."""
    yield Phone()


@pytest.fixture
def executor() -> Executor:
    """An executor that handles nothing yet."""
    return Executor("acme", "m-1", timeout_s=5)


def deciding(executor: Executor, decision: Any, *event_types: str) -> list[str]:
    """Let `executor` answer events with what is given, or raise it; the list grows with each call."""
    told: list[str] = []

    @executor.agent_event(*event_types)
    async def decides(event: AgentEvent[Any]) -> Decision | None:
        told.append(event.event_id)
        if isinstance(decision, Exception):
            raise decision
        return decision() if callable(decision) else decision  # type: ignore[no-any-return]

    return told


def test_a_function_is_told_what_happened_and_decides(executor: Executor) -> None:
    """The payload is of the type that it names; so is the kernel's answer in the contract's words."""
    seen: list[AgentEvent[Message]] = []

    @executor.agent_event(REPLY)
    async def replies(event: AgentEvent[Message]) -> Decision:
        seen.append(event)
        return Decision.direct("reply", Message(content=event.payload.content.upper()), reason="as asked")

    with in_process(executor) as rt:
        said = rt.agent_event(
            REPLY,
            {"content": "hi", "more": 1},
            event_id="event-1",
            source_node_id="node-2",
            agent_envelope={"protocol": "a2a"},
            allowed_actions=["reply", "ignore"],
            requires_commit=True,
            correlation_id="c-1",
            target_agent_id="agent-1",
            created_at=7,
        )

    (event,) = seen
    assert (event.event_id, event.event_type, event.source_kind, event.created_at) == (
        "event-1", REPLY, "topic_message", 7,
    )  # fmt: skip
    assert (event.source_node_id, event.target_agent_id, event.target_executor) == ("node-2", "agent-1", "core-agent")
    assert (event.requires_commit, event.allowed_actions) == (True, ["reply", "ignore"])
    assert (event.correlation_id, event.dedupe_key) == ("c-1", None)
    assert (event.envelope, event.plain_payload) == ({"protocol": "a2a"}, {"content": "hi", "more": 1})
    assert said.answer.pop("acked_at") > 7
    assert said.answer == {
        "ok": True,
        "decision": {
            "decision_id": "decision-event-1",
            "action": "reply",
            "route": "wattswarm_direct",
            "reason": "as asked",
            "payload": {"content": "HI"},
        },
    }


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (None, {"ok": True}),
        (Decision.failed("no such agent"), {"ok": False, "detail": "no such agent"}),
        (Decision.noop(), {"ok": True, "decision": {"action": "noop", "route": "noop"}}),
        (
            Decision.commit("pay", Amount(3)),
            {"ok": True, "decision": {"action": "pay", "route": "wattetheria_commit", "payload": {"cents": 3}}},
        ),
    ],
)
def test_what_a_decision_looks_like_on_the_wire(executor: Executor, decision: Any, answer: dict[str, Any]) -> None:
    """`ok` tells a kernel whether the event is acknowledged or has failed."""
    deciding(executor, decision)

    with in_process(executor) as rt:
        said = rt.agent_event("payment_request", {}).answer

    said.pop("acked_at")
    said.get("decision", {}).pop("decision_id", None)
    assert said == answer


def test_events_go_to_the_function_of_their_type(executor: Executor) -> None:
    """All others to the bare one, also such as only a later kernel sends; /capabilities tells."""

    @executor.agent_event("dm_received", "friend_request")
    def knows(event: AgentEvent[Message]) -> Decision:
        """Knows people."""
        return Decision.noop("knows")

    with in_process(executor) as rt, pytest.raises(UnknownEventTypeError, match="agent events of type 'new_event'"):
        rt.agent_event("new_event", {})

    @executor.agent_event
    async def others(event: AgentEvent) -> Decision:  # type: ignore[type-arg]
        return Decision.noop("others")

    with in_process(executor) as rt:
        assert rt.agent_event("friend_request", {"content": "x"}).message == "knows"
        assert rt.agent_event("payment_update", [1]).message == "others"
        assert rt.agent_event("new_event", {}).message == "others"
        told = rt.capabilities()["agent_events"]

    assert [one["event_types"] for one in told] == [["dm_received", "friend_request"], None]
    assert told[0]["description"] == "Knows people."
    assert list(told[0]["payload_schema"]["properties"]) == ["content"]


def test_a_payload_that_does_not_fit_is_told_by_field(executor: Executor) -> None:
    """Final: the same event would meet the same type."""

    @executor.agent_event("dm_received")
    async def reads(event: AgentEvent[Message]) -> None: ...

    @executor.agent_event("payment_update")
    async def counts(event: AgentEvent[Amount]) -> None: ...

    with in_process(executor) as rt:
        with pytest.raises(InvalidInputsError, match=r"payload\.content: Field required"):
            rt.agent_event("dm_received", {})
        with pytest.raises(InvalidInputsError, match=r"payload\.cents: an integer of 23 digits"):
            rt._accepted(rt.send("/agent-events", HUGE))
        with pytest.raises(MalformedRequestError, match="missing required field `event_id`"):
            rt._accepted(rt.send("/agent-events", {"event": {"event_type": "dm_received"}}))
        with pytest.raises(MalformedRequestError, match="dedupe_key must not be blank nor longer than 512"):
            rt.agent_event("dm_received", {"content": "x"}, dedupe_key="k" * 513)


def test_functions_get_dependencies_and_states(executor: Executor) -> None:
    """As in every other function; a dependency may ask for the event itself."""
    executor = Executor("acme", "m-1", lifespan=phones)

    @executor.agent_event
    def answers(event: AgentEvent[Message], phone: Phone, by: Annotated[str, Depends(sender)]) -> Decision:
        assert threading.current_thread() is not threading.main_thread()
        return Decision.noop(f"{type(phone).__name__} {by}")

    with in_process(executor) as rt:
        assert rt.agent_event("dm_received", {"content": "x"}, source_node_id="n").message == "Phone from n"


def test_methods_handle_events(executor: Executor) -> None:
    """Of a class that is included, and of another executor."""

    @executor.include
    class Agent:
        async def setup(self) -> None:
            self.name = "agent"

        @agent_event("dm_received")
        async def hears(self, event: AgentEvent[Message]) -> Decision:
            return Decision.noop(f"{self.name} heard {event.payload.content}")

    main = Executor("acme", "main")
    main.include(executor)
    with in_process(main) as rt:
        assert rt.agent_event("dm_received", {"content": "x"}).message == "agent heard x"
    with pytest.raises(DuplicateHandlerError, match=r"decides and Agent\.hears both want to handle event type"):
        deciding(other := Executor("acme", "o"), None, "dm_received")
        other.include(executor)


def deliver(rt: InProcess, **fields: Any) -> dict[str, Any]:
    """Have one event delivered: always the same payload."""
    return rt.agent_event("dm_received", {"n": 1}, **fields).answer


def test_deliveries_of_one_key_are_one_event(executor: Executor) -> None:
    """A copy gets the same bytes; without a key the id tells. The same key with other words is no copy."""
    told = deciding(executor, Decision.noop())

    with in_process(executor) as rt:
        first = deliver(rt, dedupe_key="k", event_id="1")
        assert deliver(rt, dedupe_key="k", event_id="2", created_at=3) == first
        assert deliver(rt, event_id="k") != first
        assert deliver(rt, event_id="k") == deliver(rt, event_id="k")
        assert deliver(rt, event_id="event k", dedupe_key="") != first
        with pytest.raises(BodyDiffersError):
            rt.agent_event("dm_received", {"n": 2}, dedupe_key="k")

    assert told == ["1", "k", "event k"]


def test_a_copy_joins_while_the_event_is_worked_on(executor: Executor) -> None:
    """A kernel that hung up after its 60 s sends the event again."""
    calls: list[str] = []
    go_on = anyio.Event()

    @executor.agent_event
    async def waits(event: AgentEvent[Any]) -> None:
        calls.append(event.event_id)
        await go_on.wait()

    body = agent_event_body("dm_received", {}, created_at=1, dedupe_key="k")
    bodies: list[bytes] = []

    async def deliver_thrice() -> None:
        async def send() -> None:
            bodies.append((await rt.client.send("POST", "/agent-events", body)).body)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(send)
                await anyio.wait_all_tasks_blocked()
                go_on.set()

    with in_process(executor) as rt:
        rt.call(deliver_thrice)

    assert (len(calls), len(bodies), len(set(bodies))) == (1, 3, 1)


@pytest.mark.parametrize(
    ("raised", "kind", "status"),
    [(TryLater("busy", after_s=2), TryLater, 503), (ValueError("x"), HandlerCrashedError, 500)],
)
def test_what_may_pass_is_tried_again(executor: Executor, raised: Exception, kind: Any, status: int) -> None:
    """A kernel sends the same event after 5xx; then the function is called once more, until it ends well."""
    turn = iter([raised, None])

    def decision() -> Decision:
        if (error := next(turn)) is not None:
            raise error
        return Decision.noop()

    told = deciding(executor, decision)
    with in_process(executor) as rt:
        with pytest.raises(kind) as failed:
            deliver(rt, event_id="1")
        assert failed.value.status_code == status
        assert deliver(rt, event_id="1") == deliver(rt, event_id="1")

    assert told == ["1", "1"]


def test_a_refusal_is_final(executor: Executor) -> None:
    """A copy hears it too, without another call."""
    told = deciding(executor, Refuse("BLOCKED", "the sender is blocked"))

    with in_process(executor) as rt:
        for _ in range(2):
            with pytest.raises(Refuse, match="the sender is blocked"):
                deliver(rt, event_id="1")

    assert told == ["1"]


def test_a_deadline_of_its_own(executor: Executor) -> None:
    """Not the executor's."""

    @executor.agent_event("dm_received", timeout_s=0.05)
    async def sleeps(event: AgentEvent[Any]) -> None:
        await anyio.sleep_forever()

    with in_process(executor) as rt, pytest.raises(TaskTimeoutError, match=r"sleeps did not finish within 0\.05 s"):
        deliver(rt)


def test_a_test_may_set_another_deadline(executor: Executor) -> None:
    """In place of what the decorator says, as for handlers."""

    @executor.agent_event("dm_received", timeout_s=600)
    async def sleeps(event: AgentEvent[Any]) -> None:
        await anyio.sleep_forever()

    with in_process(executor, timeout_s=0.05) as rt, pytest.raises(TaskTimeoutError, match=r"within 0\.05 s"):
        deliver(rt)


def test_no_more_events_run_at_once_than_may(executor: Executor) -> None:
    """Of one function; the others wait in the queue."""
    running, most = 0, 0

    @executor.agent_event(max_concurrency=1)
    async def counts(event: AgentEvent[Any]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.wait_all_tasks_blocked()
        running -= 1

    async def deliver_thrice() -> None:
        async with anyio.create_task_group() as group:
            for n in range(3):
                body = agent_event_body("dm_received", {}, created_at=1, event_id=str(n))
                group.start_soon(rt.client.send, "POST", "/agent-events", body)

    with in_process(executor) as rt:
        rt.call(deliver_thrice)

    assert most == 1


def test_where_nobody_handles_events_there_is_no_such_place(executor: Executor) -> None:
    """Kernels take the 404 for the end of it."""
    with in_process(executor) as rt:
        answer = rt.send("/agent-events", agent_event_body("dm_received", {}, created_at=1))

    assert answer.status == 404
    assert b"NOT_FOUND" in answer.body


def test_a_body_has_the_same_bounds_as_any_other(executor: Executor) -> None:
    """Size and method."""
    deciding(executor, None)
    with in_process(executor, max_body_bytes=2_000) as rt:
        assert rt.send("/agent-events", {"event": "x" * 3_000}).status == 413
        assert rt.call(lambda: rt.client.send("GET", "/agent-events")).status == 405


def test_a_large_event_is_read_beside_the_event_loop(executor: Executor) -> None:
    """What a stranger sends must not hold up the others; a small one needs no other thread."""
    readers: list[bool] = []

    class Letter(BaseModel):
        content: str

        @field_validator("content")
        @classmethod
        def note_thread(cls, content: str) -> str:
            readers.append(threading.current_thread() is loop_thread)
            return content

    @executor.agent_event
    async def hear(event: AgentEvent[Letter]) -> None: ...

    with in_process(executor) as rt:

        async def this_thread() -> threading.Thread:
            return threading.current_thread()

        loop_thread = rt.call(this_thread)
        for size in (10, 300_000):
            rt.agent_event("dm_received", {"content": "x" * size})

    assert readers == [True, False]


def test_processes_that_share_a_ledger_work_on_an_event_once(tmp_path: Path) -> None:
    """Whichever gets the copy."""
    executors = [Executor("acme", "m-1", ledger=str(tmp_path / "ledger.sqlite")) for _ in range(2)]
    told = [deciding(one, Decision.noop()) for one in executors]
    path = str(tmp_path / "ledger.sqlite")

    with in_process(executors[0], ledger=path) as rt, in_process(executors[1], ledger=path) as other:
        first = deliver(rt, event_id="1")
        assert deliver(other, event_id="1") == first

    assert told == [["1"], []]


#: As one sees it who has no type checker.
DECISION: Any = Decision


def test_over_a_socket_a_copy_is_told_to_be_one(executor: Executor) -> None:
    """As for the other calls."""
    deciding(executor, Decision.noop())
    body = json.dumps(agent_event_body("dm_received", {}, created_at=1)).encode()

    with serve(executor) as served:
        first, copy = [httpx2.post(f"{served.url}/agent-events", content=body) for _ in range(2)]

    assert "executor-replayed" not in first.headers
    assert (copy.content, copy.headers["executor-replayed"]) == (first.content, "true")


NO_KERNEL = "decides decided what no kernel acts on: "


@pytest.mark.parametrize(
    ("event_type", "decision", "sentence"),
    [
        ("dm_received", Decision.direct("reply"), "a kernel does nothing by itself about 'dm_received'"),
        ("task_result_received", Decision.direct("accept"), "a kernel cannot do 'accept' .* accept_result, reject_re"),
        (REPLY, Decision.direct("reply", {"text": "x"}), "a reply without its text; write"),
        (REPLY, Decision.direct("ignore"), "'ignore' is none of the actions that the event allows: reply"),
        (REPLY, Decision.commit("pay"), "'pay' is none of the actions that the event allows: reply"),
    ],
)
def test_a_decision_that_no_kernel_acts_on_is_told(
    executor: Executor, event_type: str, decision: Decision, sentence: str
) -> None:
    """Here, where its author looks; the kernel would note a failure and say no more."""
    deciding(executor, decision)
    with in_process(executor) as rt, pytest.raises(InvalidOutputError, match=NO_KERNEL + sentence):
        rt.agent_event(event_type, {}, allowed_actions=["reply"] if event_type == REPLY else [])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"ok": True}, r"decides returned a dict: return Decision\.noop\(\)"),
        (Decision, r"decides returned .*: return Decision\.noop\(\)"),
        (Decision.commit("pay", {"amount": float("nan")}), "returned a decision with nan at .*amount"),
    ],
)
def test_what_is_no_decision_is_told(executor: Executor, value: Any, sentence: str) -> None:
    """As for a verifier."""

    deciding(executor, lambda: value)
    with in_process(executor) as rt, pytest.raises(ExecutorError, match=sentence):
        rt.agent_event("dm_received", {})


def test_a_forgotten_await_is_told(executor: Executor) -> None:
    """With its cure."""

    async def later() -> Decision:
        return Decision.noop()

    @executor.agent_event
    def decides(event: AgentEvent[Any]) -> Decision:
        return later()  # type: ignore[return-value]

    with in_process(executor) as rt, pytest.raises(HandlerCrashedError, match="returned a coroutine: put `await`"):
        rt.agent_event("dm_received", {})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DECISION.direct(), r"wrong arguments; write Decision\.direct\('reply'"),
        (lambda: DECISION.direct(" "), "an action has a name, not ' '; write"),
        (lambda: DECISION.commit({"a": 1}), r"not {'a': 1}; write Decision\.commit\("),
        (lambda: DECISION.failed(), r"write Decision\.failed\("),
        (lambda: DECISION.noop(3), r"a reason is a sentence, not an int; write Decision\.noop\("),
        (lambda: DECISION(route="direct"), "there is no route 'direct'; write"),
    ],
)
def test_a_wrong_decision_is_told_where_it_is_made(make: Callable[[], Any], sentence: str) -> None:
    """With what to write instead."""
    with pytest.raises(MisuseError, match=sentence):
        make()


def no_event() -> Decision: ...  # type: ignore[empty-body]
def to_text(event: AgentEvent[Any]) -> str: ...  # type: ignore[empty-body]
def yields(event: AgentEvent[Any]) -> Any:
    """A generator."""
    yield Decision.noop()


def with_payload(event: AgentEvent[Any], message: Message) -> None: ...
def right(event: AgentEvent[Any]) -> None: ...


@pytest.mark.parametrize(
    ("decorate", "sentence"),
    [
        (lambda on: on(no_event), r"no_event: it takes no event; write `event: AgentEvent\[Message\]`"),
        (lambda on: on(to_text), "to_text: a function for agent events returns a decision, or None"),
        (lambda on: on(yields), "yields: a function for agent events returns a decision, or None"),
        (lambda on: on(with_payload), "nobody can supply 'message'; annotate it as `AgentEvent`, or"),
        (lambda on: on("dm_recieved")(right), "no kernel sends an event 'dm_recieved'; did you mean 'dm_received'?"),
        (
            lambda on: on("x")(right),
            r"no kernel sends an event 'x'; there are friend_request, dm_received.*third_party_result\. Events",
        ),
        (lambda on: on(["dm_received"])(right), "an event type is text, not a list; write"),
        (lambda on: on("dm_received", timeout=3), "@executor.agent_event: no option is named 'timeout'; did you mean"),
        (lambda on: on(timeout_s=0)(right), "@executor.agent_event: the option timeout_s is 0"),
        (lambda on: on(on(right)), "right handles already all that no other handles; .* above right"),
        (lambda on: on(Message), "stands above the class Message"),
    ],
)
def test_mistakes_are_told_while_decorating(executor: Executor, decorate: Callable[..., Any], sentence: str) -> None:
    """What is wrong, and what to write instead."""
    with pytest.raises(DefinitionError, match=sentence):
        decorate(executor.agent_event)
    assert len(executor.registry.event_handlers) <= 1
