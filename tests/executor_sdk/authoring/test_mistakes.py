"""Mistakes of authors, and what they are told: a table to read from top to bottom, each sentence held by a test."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from executor_sdk import (
    Candidate,
    DefinitionError,
    Depends,
    Executor,
    ExecutorClient,
    ExecutorError,
    Progress,
    ReasonCode,
    Refuse,
    Settings,
    Task,
    TryLater,
    Verdict,
    execute,
    in_process,
    verify,
)
from executor_sdk.errors import DuplicateHandlerError, HandlerCrashedError
from executor_sdk.misuse import MisuseError
from executor_sdk.protocol.plain import parse
from executor_sdk.settings import OPTIONS
from executor_sdk.testing import FakeTime, a_task
from executor_sdk.testing.server import LifespanError

#: What is told while decorating. Each line at the margin is what was written, the lines below are the sentence.
WHILE_DECORATING = r"""
# What a handler takes.

def find(ask: str) -> Finding: ...
    find: the inputs of a run step are an object, never a bare string; take a model (class Ask(BaseModel):
    ...) or a dict

def find(ask: list[Ask]) -> Finding: ...
    find: the inputs of a run step are an object, never a bare array; take a model (class Ask(BaseModel): ...)
    or a dict

def find(url: str, limit: int) -> Finding: ...
    find: 'url' takes the inputs already, so nothing is left for 'limit'; put all inputs into one model (class
    Ask(BaseModel): ...), annotate the task as `task: Task`, and anything else as `Annotated[X,
    Depends(make_x)]`, or as a type that a lifespan yields

def find(*asks: Ask) -> Finding: ...
    find: nobody knows what to pass as *asks; name the parameters

def find(**asks: Ask) -> Finding: ...
    find: nobody knows what to pass as **asks; name the parameters

def find(ask: Ask, task) -> Finding: ...
    find: 'ask' takes the inputs already, so nothing is left for 'task'; put all inputs into one model (class
    Ask(BaseModel): ...), annotate the task as `task: Task`, and anything else as `Annotated[X,
    Depends(make_x)]`, or as a type that a lifespan yields

def find(task) -> Finding: ...
    find: annotate the task, as `task: Task`

def find(ask: Ask, candidate: Candidate) -> Finding: ...
    find: 'ask' takes the inputs already, so nothing is left for 'candidate'; put all inputs into one model
    (class Ask(BaseModel): ...), annotate the task as `task: Task`, and anything else as `Annotated[X,
    Depends(make_x)]`, or as a type that a lifespan yields

def find(ask: Missing) -> Finding: ...
    find: the annotation 'Missing' is not known when the decorator runs; define it above the function and
    import it plainly, not under `if TYPE_CHECKING`

def find(ask: "Ask[") -> Finding: ...
    find: an annotation cannot be read: Forward reference must be an expression -- got 'Ask['; write a type, as
    `ask: Ask`

def find(ask: Callable[[], int]) -> Finding: ...
    find: collections.abc.Callable[[], int] has no JSON form (Cannot generate a JsonSchema for
    core_schema.CallableSchema); use a pydantic model, a dataclass, a TypedDict (before Python 3.12 that of
    typing_extensions) or a dict

# What a handler returns.

def find(ask: Ask) -> Callable[[], int]: ...
    find: collections.abc.Callable[[], int] has no JSON form (Cannot generate a JsonSchema for
    core_schema.CallableSchema); use a pydantic model, a dataclass, a TypedDict (before Python 3.12 that of
    typing_extensions) or a dict

def find(ask: Ask) -> None: ...
    find returns None; return the output: a model or a dict

def find(ask: Ask) -> str: ...
    find: its output is no object, but every run's contract demands one with a string `answer`; return a model
    with `answer: str`, or say needs_answer=False if no run uses this task type

def find(ask: Ask) -> list[Finding]: ...
    find: its output is no object, but every run's contract demands one with a string `answer`; return a model
    with `answer: str`, or say needs_answer=False if no run uses this task type

def find(ask: Ask) -> Ask: ...
    find: its output has no `answer`, which every run's contract demands; add `answer: str` to it, or say
    needs_answer=False if no run uses this task type

def find(ask: Ask) -> Finding | Ask: ...
    find: its output has no `answer`, which every run's contract demands; add `answer: str` to it, or say
    needs_answer=False if no run uses this task type

def find(ask: Ask) -> Finding | None: ...
    find: its output has no `answer`, which every run's contract demands; add `answer: str` to it, or say
    needs_answer=False if no run uses this task type

def find(ask: Ask) -> Numbered: ...
    find: `answer` of its output is integer, but every run's contract wants a string; send it as a string, or
    say needs_answer=False if no run uses this task type

def find(ask: Ask) -> Nullable: ...
    find: `answer` of its output may be null, but every run's contract wants a string; write `answer: str`, or
    say needs_answer=False if no run uses this task type

def find(ask: Ask) -> Doubtful: ...
    find: `confidence` of its output is string, but every run's contract wants a number; send it as a number,
    or say needs_answer=False if no run uses this task type

def find(ask: Ask) -> Unsure: ...
    find: `confidence` of its output may be null, but every run's contract wants a number; write `confidence:
    float`, or say needs_answer=False if no run uses this task type

# What a handler is.

def find(ask: Ask) -> Finding: yield Finding(answer="x")
    find is a generator; annotate what it yields, as `AsyncIterator[Progress | Finding]`

def find(ask: Ask) -> Iterator[Progress]: yield Progress(1)
    find yields progress only; yield the output last, as `AsyncIterator[Progress | Finding]`

find = staticmethod(len)
    @executor.execute stands above a staticmethod; put it above a function

find = "find"
    @executor.execute stands above a str; put it above a function

find = 5
    @executor.execute stands above an int; put it above a function

find = Finding
    @executor.execute stands above the class Finding; put @executor.include above the class, and above its
    methods what they do, as `from executor_sdk import execute, verify` has it

executor.verify(Finding)
    @executor.verify stands above the class Finding; put @executor.include above the class, and above its
    methods what they do, as `from executor_sdk import execute, verify` has it

executor.execute("t")(Needy.find)
    Needy.find is a method, and this executor has no instance to call it on; write @executor.include above
    the class, `from executor_sdk import execute, verify`, and @execute(...) or @verify above the method

# What the decorator says.

executor.execute(" ")(find)
    find: the task type is blank; name one, as @executor.execute('swarm')

executor.execute("t", profiles="fast")(find)
    find: profiles is a tuple; write profiles=('fast',)

executor.execute("t", profiles=())(find)
    find: profiles has a blank name or none; leave it out for 'default'

executor.execute("t", profiles=(" ",))(find)
    find: profiles has a blank name or none; leave it out for 'default'

executor.execute("t", timeout_s=0)(find)
    @executor.execute('t'): the option timeout_s is 0; it must be a number of seconds, at least 0.001:
    write timeout_s=60

executor.execute("t", max_concurrency=-1)(find)
    @executor.execute('t'): the option max_concurrency is -1; it must be a whole number, at least 1:
    write max_concurrency=8

executor.execute("t", linger_s=-1)(find)
    @executor.execute('t'): the option linger_s is -1; it must be a number of seconds, at least 0: write linger_s=60

executor.execute(find); executor.execute(again)
    find and again both want task type 'swarm' in profile 'default'; give one of them another task type, or
    profiles=('another',)

executor.execute("t", profiles=5)(find)
    find: profiles is a tuple of texts, not 5; write profiles=('fast',)

executor.execute("t", profiles=["fast", 5])(find)
    find: profiles is a tuple of texts, not ['fast', 5]; write profiles=('fast',)

executor.execute("t", needs_answer="no")(find)
    find: needs_answer is 'no'; it must be True or False: leave it out, or write needs_answer=False

executor.execute(5)(find)
    find: a task type is text, not an int; name one, as @executor.execute('swarm'), and decorate a function
    of several task types several times

executor.execute(["a", "b"])(find)
    find: a task type is text, not a list; name one, as @executor.execute('swarm'), and decorate a function
    of several task types several times

executor.execute(task_type="t")(find)
    @executor.execute takes the task type alone without a name, and all else by name: write
    @executor.execute('swarm', profiles=('fast',))

executor.execute("t", "fast")(find)
    @executor.execute takes the task type alone without a name, and all else by name: write
    @executor.execute('swarm', profiles=('fast',))

executor.execute("t", timeout=5)(find)
    @executor.execute('t'): no option is named 'timeout'; did you mean timeout_s?

executor.execute("t", timeout_s="5")(find)
    @executor.execute('t'): the option timeout_s is '5'; it must be a number of seconds, at least 0.001:
    write timeout_s=5

executor.execute("t", retries=1.5)(find)
    @executor.execute('t'): the option retries is 1.5; it must be a whole number, at least 0: write
    retries=0

executor.execute("t", backoff_s="1")(find)
    @executor.execute('t'): the option backoff_s is '1'; it must be a number of seconds, at least 0: write
    backoff_s=1

executor.execute("t", adopt="yes")(find)
    @executor.execute('t'): the option adopt is 'yes'; it must be True or False: write adopt=True

executor.execute("t", methods=["POST"])(find)
    @executor.execute('t'): no option is named 'methods'; there are: profiles, timeout_s, max_concurrency,
    adopt, linger_s, retries, backoff_s, needs_answer

# What is made for a call.

executor.execute("t")(with_size)
    make_sized: nobody can supply 'size'; annotate it as `Task`, or as `Annotated[X, Depends(make_x)]`, or
    give it a default

executor.execute("t")(in_circle)
    dependencies go in a circle: ping -> pong -> ping; let one of them do without

Depends("store")
    Depends('store') holds no function; write Depends(make_it)

# The executor.

Executor("acme", " ")
    model_id is blank; kernels keep an executor's reputation under it, so name one

Executor("acme", "m-1", timeout=5)
    no option is named 'timeout'; did you mean timeout_s?

Executor("acme", 5)
    model_id is 5; it must be text: write model_id='drivers-1'

Executor("acme", "m-1", settings={"timeout_s": 5})
    settings is a dict; write timeout_s=60, or settings=Settings(timeout_s=60)

Executor("acme", "m-1", port=80)
    no option is named 'port'; docs/settings.md has all that there are

Executor("acme", "m-1", timeout_s=None)
    the option timeout_s is None; it must be a number of seconds, at least 0.001: write timeout_s=25

Executor("acme", "m-1", allow_hosts=5)
    the option allow_hosts is 5; it must be a tuple of texts: write allow_hosts=('example.org',)

Executor("acme", "m-1", ledger="")
    the option ledger is ''; it must be a path: write ledger='folder/name'

Executor("acme", "m-1", file_roots=[5])
    the option file_roots is [5]; it must be a tuple of paths: write file_roots=('/data',)

Executor("acme", "m-1", max_concurrency=2.5)
    the option max_concurrency is 2.5; it must be a whole number, at least 1: write max_concurrency=64

# The verifier and the health check.

executor.verify(without_candidate)
    without_candidate: it takes no candidate; write `candidate: Candidate[Finding]`

executor.verify(yes_or_no)
    yes_or_no: a verifier returns a verdict; write `-> Verdict`

executor.verify(with_task)
    with_task: nobody can supply 'task'; annotate it as `Candidate`, or as `Annotated[X, Depends(make_x)]`, or
    give it a default

executor.verify(judge); executor.verify(judge)
    judge verifies already all that no other verifies; name the task types of one of the two, as
    @executor.verify('forecast') above judge

executor.verify("swarm", "forecast")(judge); executor.verify("forecast")(judge)
    judge and judge both want to verify task type 'forecast'; let one of them call the other

executor.verify(["swarm"])(judge)
    judge: a task type is text, not a list; write @executor.verify('swarm', 'forecast'), or leave the
    parentheses out for all task types that no other verifies

executor.verify("")(judge)
    judge: the task type is blank; name one, as @executor.verify('swarm')

executor.verify(task_type="swarm")(judge)
    @executor.verify has no option 'task_type'; write the task types only, as @executor.verify('swarm',
    'forecast')

executor.health(check); executor.health(check)
    a health check is there already, check; let one function ask all that must be asked, and call check

executor.health(with_size)
    with_size: nobody can supply 'ask'; annotate it as `Annotated[X, Depends(make_x)]`, or give it a default

def find(ask: Ask) -> Verdict: ...
    find returns a verdict, so it is a verifier; put @executor.verify above it

def find(ask: Candidate) -> Finding: ...
    find takes a candidate, so it is a verifier; put @executor.verify above it

executor.verify(yields_verdicts)
    yields_verdicts yields; a verifier returns its verdict: write `return`

executor.health(yields_health)
    yields_health yields; a health check returns True, False or a dict

# Lifespans and classes.

Executor("acme", "m-1", lifespan="pools")
    lifespan='pools' is no asynchronous generator function; write `@asynccontextmanager`, `async def pools() ->
    AsyncIterator[Pools]:`, `yield Pools(...)`, and give the function itself

Executor("acme", "m-1", lifespan=no_pools)
    lifespan=no_pools is no asynchronous generator function; write `@asynccontextmanager`, `async def
    pools() -> AsyncIterator[Pools]:`, `yield Pools(...)`, and give the function itself

Executor("acme", "m-1", lifespan=unknown_pools)
    unknown_pools does not say what it yields; annotate it as `-> AsyncIterator[Pools]`, or as `->
    AsyncIterator[None]` if functions get nothing from it

Executor("acme", "m-1", lifespan=common_pools)
    common_pools yields dict, by which no function could ask for it; yield an instance of a class of your
    own (class Pools: ...)

Executor("acme", "m-1", lifespan=needy_pools)
    needy_pools takes url; a lifespan takes nothing, or the executor as `executor: Executor`, or the settings
    as `settings: Settings`

executor.include(find)
    executor.include takes another executor or a class, and this is a function; write
    @executor.execute('task_type') above find

executor.include(5)
    executor.include takes another executor or a class, and this is an int

executor.include(executor)
    executor.include takes another executor or a class, and this is itself

executor.include(Idle)
    Idle has no method for any task; write `from executor_sdk import execute`, and @execute('swarm') above
    the method

executor.include(Needy)
    Needy.__init__ takes model, but is called with nothing but `self` when the executor starts; give a
    default, or open in `setup` what is needed

executor.include(Opened)
    Opened.setup takes weights, but is called with nothing but `self` when the executor starts; give a
    default, or open in `setup` what is needed

execute("t")(find)
    find is no method of a class; write @executor.execute or @executor.verify above it

execute("t")(without_self)
    Finder.find is a method that takes no `self`; write it first

# Variables of the environment.

Settings.from_environment({"EXECUTOR_TIMEOUT_S": "soon"})
    EXECUTOR_TIMEOUT_S='soon'; it must be a number of seconds, at least 0.001: write EXECUTOR_TIMEOUT_S=25

Settings.from_environment({"EXECUTOR_MAX_CONCURRENCY": "0"})
    EXECUTOR_MAX_CONCURRENCY='0'; it must be a whole number, at least 1: write EXECUTOR_MAX_CONCURRENCY=64

Settings.from_environment({"EXECUTOR_ADOPT": "maybe"})
    EXECUTOR_ADOPT='maybe'; it must be True or False: write EXECUTOR_ADOPT=True
"""

#: What is told when the handler runs.
WHILE_RUNNING = r"""
# A forgotten await, and bytes fetched in the wrong way.

async def find(task: Task): return {"answer": task.fetch(URL)}
    find returned a coroutine at $.answer: put `await` before the call, in an `async def`

async def find(task: Task): return task.fetch(URL)
    find returned a coroutine: put `await` before the call, in an `async def`

async def find(task: Task) -> Finding: return {"answer": task.fetch(URL)}
    find returned a coroutine at $.answer: put `await` before the call, in an `async def`

async def find(task: Task) -> Finding: return task.fetch(URL)
    find returned a coroutine: put `await` before the call, in an `async def`

async def find(task: Task) -> Finding: return Finding(answer=task.fetch(URL))
    find: a coroutine stands where its result was meant; put `await` before the call, in an `async def`

async def find(task: Task): return {"answer": task.fetch(URL).decode()}
    find: a coroutine stands where its result was meant; put `await` before the call, in an `async def`

async def find(task: Task): task.evidence(task.fetch(URL))
    task.evidence was given a coroutine: put `await` before the call, in an `async def`

def find(): return later()
    find returned a coroutine: put `await` before the call, in an `async def`

def find(task: Task): return {"answer": task.fetch(URL)}
    find: task.fetch is for an `async def`; in a plain `def` write task.fetch_sync(...) in its place

async def find(task: Task): return {"answer": task.fetch_sync(URL)}
    find: task.fetch_sync would stop the event loop; write await task.fetch(...)

def find(task: Task): return {"answer": in_own_thread(task.fetch_sync, URL)}
    find: task.fetch_sync is for the thread that a plain `def` handler runs in, not for one of your own; fetch
    there, and hand the bytes on

# Another thing returned than was meant.

def find() -> Finding: return Finding
    find returned the class Finding: make an instance, Finding(...)

def find() -> Finding: return Ask(url="u")
    find returned an Ask; return Finding(...)

def find() -> Finding: return None
    find returned None; return Finding(...)

def find() -> Finding: return "GROWTH"
    find returned a str; return Finding(...)

def find() -> Finding: return {"decision": "GROWTH"}
    find returned what is no Finding: output.answer: Field required

def find() -> Finding: return {"answer": 5}
    find returned what is no Finding: output.answer: Input should be a valid string

def find(): return None
    candidate_output: verifier did not pass candidate; reason_codes=[101]; return an object with the string
    `answer`, not null

def find(): return "GROWTH"
    candidate_output: verifier did not pass candidate; reason_codes=[101]; make it fit output_schema: "GROWTH"
    is not of type "object"

def find(): return ["GROWTH"]
    candidate_output: verifier did not pass candidate; reason_codes=[101]; make it fit output_schema:
    ["GROWTH"] is not of type "object"

def find(): return {"decision": "GROWTH"}
    candidate_output: verifier did not pass candidate; reason_codes=[101]; make it fit output_schema: "answer"
    is a required property

def find(): return {"answer": 5}
    candidate_output.answer: verifier did not pass candidate; reason_codes=[101]; make it fit output_schema: 5
    is not of type "string"

def find(): return Finding
    find returned the class Finding: make an instance, Finding(...)

def find(): return {"answer": later}
    find returned the function later at $.answer: call the function, later(...)

def find(): return Refuse("NO_ROWS", "no rows")
    find returned a Refuse: raise it, raise Refuse(...)

def find(): return {"answer": "x"}, 200
    candidate_output: verifier did not pass candidate; reason_codes=[101]; make it fit output_schema:
    [{"answer":"x"},200] is not of type "object"

def find(): return {"answer": "x", "confidence": "high"}
    candidate_output.confidence: verifier did not pass candidate; reason_codes=[101]; make it fit
    output_schema: "high" is not of type "number"

# What JSON cannot say.

def find(): return {"answer": "x", "rows": (row for row in "ab")}
    find returned a generator at $.rows: make a list of what it yields

def find(): return {"answer": "x", "mean": float("nan")}
    find returned nan at $.mean: JSON has no such number; send null or leave the key out

def find(): return {"answer": "x", "id": 2**64}
    find returned an integer of 65 bits at $.id: beyond 64 bits kernels make a float of it; send a string,
    str(number)

def find() -> Counted: return Counted(answer="x", count=2**64)
    find returned an integer of 65 bits at $.count: beyond 64 bits kernels make a float of it; send a string,
    str(number)

def find(): return {"answer": "x", "data": b"\xff"}
    find returned bytes that are no UTF-8 text at $.data: send base64.b64encode(data).decode(), or keep the
    bytes with task.artifact(data, mime)

def find(): return {"answer": "x", "text": "\ud800"}
    find returned half of a surrogate pair at $.text: such text cannot be sent as UTF-8; replace that part

def find(): return {"answer": "x", "rows": {1: "a", "1": "b"}}
    find returned two keys that become '1' at $.rows: JSON keys are strings; rename one of the keys

def find(): return {"answer": "x", "lock": Lock()}
    find returned a lock at $.lock: JSON has no such type; send a model, a dataclass, a dict or text

def find(): return {"answer": "x" * 70_000}
    candidate_output: candidate structured summary exceeds limit; it has 70013 bytes of 65536; keep the bulk
    as an artifact and cite it

# A generator's result.

def find(): yield Progress(0.5)
    find ended without a result; yield the output last

def find(): yield {"answer": "a"}; yield {"answer": "b"}
    find yielded again after its result; yield the result last

def find(): yield Progress("half"); yield {"answer": "x"}
    find: progress is a number from 0 to 1, not a str; write task.progress(0.5)

# Signals raised in another way than they are meant.

def find(): raise Refuse("NO_ROWS")
    find: Refuse was called with the wrong arguments; write raise Refuse('NO_ROWS', 'the file has no rows')

def find(): raise Refuse(422, "no rows")
    find: Refuse takes a code and a sentence, both are text; write raise Refuse('NO_ROWS', 'the file has no
    rows')

def find(): raise Refuse
    find: Refuse was called with the wrong arguments; write raise Refuse('NO_ROWS', 'the file has no rows')

def find(): raise TryLater("5")
    find: TryLater takes a sentence first, not '5'; write raise TryLater('the model is loading', after_s=5)

def find(): raise TryLater(5)
    find: TryLater takes a sentence first, not 5; write raise TryLater('the model is loading', after_s=5)

def find(): raise TryLater(after_s="5")
    find: after_s is a number of seconds, not '5'; write raise TryLater('the model is loading', after_s=5)

def find(): raise TryLater("busy", 5)
    find: TryLater was called with the wrong arguments; write raise TryLater('the model is loading',
    after_s=5)

def find(): raise Refuse("NO_ROWS", "no rows", details=object())
    find: the details of a Refuse are plain JSON, not an object; write details={'rows': 0}

# The task used in another way than it is meant.

def find(task: Task): task.progress("half")
    find: progress is a number from 0 to 1, not a str; write task.progress(0.5)

def find(task: Task): task.artifact("a,b", "text/csv")
    find: task.artifact keeps bytes, not a str; write task.artifact(text.encode(), mime)

def find(task: Task): task.artifact(b"a,b")
    find: Task.artifact was called with the wrong arguments; write task.artifact(data, 'text/csv')

def find(task: Task): task.evidence({"mean": float("inf")})
    task.evidence was given inf at $.mean: JSON has no such number; send null or leave the key out

def find(task: Task): task.evidence("x", "image/png"); return {"answer": "x"}
    evidence_inline[0]: inline media is forbidden; keep it as an artifact and cite it by reference

def find(task: Task): task.evidence("x" * 70_000); return {"answer": "x"}
    evidence_inline[0]: inline evidence exceeds max bytes; it has 70000 of 65536; keep it as an artifact

async def find(task: Task): await task.fetch(5)
    find: a URI is text, not an int; write task.fetch('https://...')

async def find(task: Task): await task.fetch("https://elsewhere.test/")
    the test has no file for https://elsewhere.test/; say in_process(..., files={uri: bytes})

async def find(task: Task): await task.forward("http://127.0.0.1:8787")
    find: task.forward takes a client, not its address; write task.forward(ExecutorClient(url))

def find(task: Task): task.evidence()
    find: Task.evidence was called with the wrong arguments; write task.evidence('what was found')

def find(task: Task): task.evidence("x", 5); return {"answer": "x"}
    evidence_inline[0]: inline evidence must be {mime, content}; both are strings

# Faults of the author's own code.

def find(): return {"answer": str(1 / 0)}
    find raised ZeroDivisionError; the log has it under reference …

def find(): compute_too_long()
    find did not finish within 0.2 s
"""

#: What is told when the verifier runs.
WHILE_VERIFYING = r"""
def judge(candidate: Candidate): return None
    judge returned None: return Verdict.passed(), or Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return True
    judge returned a bool: return Verdict.passed(), or Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return "passed"
    judge returned a str: return Verdict.passed(), or Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict
    judge returned the class Verdict: return Verdict.passed(), or Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.passed
    judge returned the function passed: return Verdict.passed(), or Verdict.failed(1001, 'why it fails')

async def judge(candidate: Candidate): return later()
    judge returned a coroutine: put `await` before the call, in an `async def`

def judge(candidate: Candidate): return candidate.fetch(URL)
    judge: candidate.fetch is for an `async def`; in a plain `def` write candidate.fetch_sync(...) in its
    place

async def judge(candidate: Candidate): return candidate.fetch_sync(URL)
    judge: candidate.fetch_sync would stop the event loop; write await candidate.fetch(...)

def judge(candidate: Candidate): return Verdict.passed("fine")
    judge: Verdict.passed was called with the wrong arguments; write Verdict.passed(), or
    Verdict.passed(score=0.9)

def judge(candidate: Candidate): return Verdict.passed(score=2)
    judge: the score is 2; it must be between 0 and 1, as score=0.9

def judge(candidate: Candidate): return Verdict.passed(score=float("nan"))
    judge: the score is nan; it must be between 0 and 1, as score=0.9

def judge(candidate: Candidate): return Verdict.passed(score="high")
    judge: the score is 'high'; it must be between 0 and 1, as score=0.9

def judge(candidate: Candidate): return Verdict.failed()
    judge: Verdict.failed was called with the wrong arguments; write Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.failed(5)
    judge: 5 is no reason code of the protocol, and your own are 1000 to 65535; write Verdict.failed(1001,
    'why it fails')

def judge(candidate: Candidate): return Verdict.failed(70_000)
    judge: the reason code 70000 does not fit 16 bits; own codes are 1000 to 65535

def judge(candidate: Candidate): return Verdict.failed("the total differs")
    judge: a reason code is a number, not 'the total differs'; write Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.failed(["x"])
    judge: a reason code is a number, not 'x'; write Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.failed([])
    judge: a failed verdict wants a reason code; write Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.failed(list(range(1000, 1065)))
    judge: a verdict has at most 64 reason codes, not 65

def judge(candidate: Candidate): return Verdict.failed(1001, 5)
    judge: the message of a verdict is a sentence, not an int; write Verdict.failed(1001, 'why it fails')

def judge(candidate: Candidate): return Verdict.inconclusive()
    judge: Verdict.inconclusive was called with the wrong arguments; write
    Verdict.inconclusive(ReasonCode.EVIDENCE_UNREACHABLE, 'no file was cited')

def judge(candidate: Candidate): return Verdict.inconclusive(ReasonCode.SCHEMA_INVALID)
    judge: an inconclusive verdict wants one of EVIDENCE_UNREACHABLE, EVIDENCE_TIMEOUT, EVIDENCE_AUTH_DENIED;
    say failed for anything else

def judge(candidate: Candidate): return Verdict("maybe")
    judge: there is no verdict 'maybe'; say one of passed, failed, inconclusive
"""

#: What is told while a test, a client or a server is written.
WHILE_TRYING = r"""
# Words of other frameworks.

executor.tool(find)
    an executor has no 'tool'; a function does tasks with @executor.execute('task_type') above it

executor.post("/execute")
    an executor has no 'post'; the four endpoints are all it has; mount it into an application of yours:
    Mount('/agents', executor)

executor.run()
    an executor has no 'run'; a server serves it: `uvicorn module:executor`, or `executor serve
    module:executor`

executor.on_event("startup")
    an executor has no 'on_event'; what opens and closes with the process is a lifespan: Executor(...,
    lifespan=pools)

executor.include_router(executor)
    an executor has no 'include_router'; executor.include(other) takes over another executor, or a class

executor.frobnicate
    an executor has no 'frobnicate'; an author uses execute, verify, agent_event, health, include and lifespan

# Executors and options.

Executor("acme")
    Executor was called with the wrong arguments; write Executor('acme', 'drivers-1', timeout_s=60)

# A test in the process.

with in_process("app:executor"): pass
    in_process takes an executor, not a str; write in_process(executor)

with in_process(executor, timeout=5): pass
    no option is named 'timeout'; did you mean timeout_s?

with in_process(executor, files=["u"]): pass
    files has the bytes by URI, not a list; write files={'https://...': b'...'}

with in_process(executor, files={"u": "text"}): pass
    files has the bytes by URI, not a str; write files={'u': b'...'}

with in_process(executor, overrides={check: 5}): pass
    overrides has functions and classes by those that they replace, not an int; write
    overrides={open_sales: FakeSales}

with in_process(executor, time=FakeTime): pass
    time is a clock, not the class FakeTime; write time=FakeTime()

with in_process(executor, time=FakeTime(), ledger="x.sqlite"): pass
    time=FakeTime() goes with a ledger in memory only; leave ledger=... out

with in_process(executor) as rt: rt.execute({})
    the executor does nothing yet; write @executor.execute above a function

with in_process(executor) as rt: rt.execute(Ask(url="u"), task_type="t")
    the inputs are plain JSON, not an Ask; write ask.model_dump(mode='json')

with in_process(executor) as rt: rt.execute({}, cancel_at="half")
    cancel_at is a progress from 0 to 1, not a str; write cancel_at=0.5

with in_process(executor) as rt: rt.verify({"answer": "x"})
    rt.verify takes what rt.execute returned, not a dict; write rt.verify(done)

with in_process(executor) as rt: rt.call(rt.client.capabilities())
    rt.call takes a function, not what it returns; write rt.call(rt.client.describe)

with in_process(Executor("acme", "m-1", lifespan=other_pools)): pass
    other_pools yielded an int, but says that it yields Ask, so this executor does not start

with in_process(Executor("acme", "m-1", lifespan=broken_pools)): pass
    broken_pools raised IndexError, so this executor does not start; the log has the traceback

a_task({}, taks_type="t")
    a request has no field 'taks_type'; there are: task_id, execution_id, task_type, inputs, profile,
    task_contract, stage, attempt_id, seed_bundle

a_task().fetch(URL)
    task.fetch is for an `async def`; in a plain `def` write task.fetch_sync(...) in its place

# A client.

ExecutorClient("127.0.0.1:8787")
    the base URL must look like http://host:port

ExecutorClient("localhost")
    the base URL must look like http://host:port

ExecutorClient(8787)
    the base URL is text, as 'http://host:port'

with in_process(executor) as rt: rt.call(lambda: rt.client.ask({}, task_type="t", as_="Finding"))
    as_ is a type, not text; write as_=Finding

with in_process(executor) as rt: rt.call(lambda: rt.client.ask({}, task_type="t", within="task"))
    within is the task of the handler that asks, not a str; write within=task
"""

#: What a caller is told of its inputs, where the handler takes an `Ask`.
OF_INPUTS = r"""
{}
    inputs.url: Field required

{"url": 5}
    inputs.url: Input should be a valid string

[]
    inputs: Input should be an object

{"url": "u", "rows": [{"id": 18446744073709551616}]}
    inputs.rows[0].id: an integer of 20 digits is beyond 64 bits, so kernels read a float; send a string
"""

URL = "https://data.test/sales.csv"


class Ask(BaseModel):
    """Inputs."""

    url: str


class Finding(BaseModel):
    """An output that runs take."""

    answer: str


class Numbered(BaseModel):
    """An output whose answer is a number."""

    answer: int


class Nullable(BaseModel):
    """An output whose answer may be null."""

    answer: str | None = None


class Doubtful(BaseModel):
    """An output whose confidence is a word."""

    answer: str
    confidence: Literal["high", "low"]


class Unsure(BaseModel):
    """An output whose confidence may be null."""

    answer: str
    confidence: float | None = None


class Counted(BaseModel):
    """An output with a number of any size."""

    answer: str
    count: int


class Defaulted(BaseModel):
    """An output whose answer may be left out by a caller of the model, but is always sent."""

    answer: str = "none"


def find(ask: Ask) -> Finding: ...  # type: ignore[empty-body]
def again(ask: Ask) -> Finding: ...  # type: ignore[empty-body]
def make_sized(size: int) -> str: ...  # type: ignore[empty-body]
def with_size(ask: Ask, store: Annotated[str, Depends(make_sized)]) -> Finding: ...  # type: ignore[empty-body]
def ping(other: str) -> str: ...  # type: ignore[empty-body]
def pong(other: Annotated[str, Depends(ping)]) -> str: ...  # type: ignore[empty-body]
def in_circle(ask: Ask, store: Annotated[str, Depends(ping)]) -> Finding: ...  # type: ignore[empty-body]
def without_candidate() -> Verdict: ...  # type: ignore[empty-body]
def yes_or_no(candidate: Candidate[Finding]) -> bool: ...  # type: ignore[empty-body]
def with_task(candidate: Candidate[Finding], task: Task) -> Verdict: ...  # type: ignore[empty-body]
def judge(candidate: Candidate[Finding]) -> Verdict: ...  # type: ignore[empty-body]
def check() -> bool: ...  # type: ignore[empty-body]


ping.__annotations__["other"] = Annotated[str, Depends(pong)]


async def later() -> str:
    """Text, once it is awaited."""
    return "x"


def in_own_thread(function: Callable[[str], bytes], uri: str) -> bytes:
    """What `function` returns in a thread that is none of the kit's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, uri).result()


class Idle:
    """A class whose methods do no task."""


class Needy:
    """A class that nobody can make."""

    def __init__(self, model: str) -> None: ...

    @execute("t")
    def find(self, ask: Ask) -> Finding: ...  # type: ignore[empty-body]


class Opened(Needy):
    """A class that nobody can open."""

    def __init__(self) -> None: ...
    def setup(self, weights: str) -> None: ...


def yields_verdicts(candidate: Candidate[Finding]) -> Iterator[Verdict]:
    """A verifier that is none."""
    yield Verdict.passed()


def yields_health() -> Iterator[bool]:
    """A health check that is none."""
    yield True


def without_self(ask: Ask) -> Finding: ...  # type: ignore[empty-body]


without_self.__qualname__ = "Finder.find"


async def no_pools() -> int:
    """No generator."""
    return 5


async def unknown_pools():  # type: ignore[no-untyped-def]
    """Does not say what it yields."""
    yield 5


async def common_pools() -> AsyncIterator[dict[str, int]]:
    """Yields what anything may be."""
    yield {}


async def other_pools() -> AsyncIterator[Ask]:
    """Yields another thing than it says."""
    yield 5  # type: ignore[misc]


async def broken_pools() -> AsyncIterator[Ask]:
    """Cannot be opened."""
    yield Ask(url=[][0])


async def needy_pools(url: str) -> AsyncIterator[Ask]:
    """Wants what nobody gives."""
    yield Ask(url=url)


def compute_too_long() -> None:
    """Longer than the executor of these tests lets a handler run."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass


#: Names that occur in the tables only.
IN_TABLES = (
    ExecutorClient, FakeTime, Iterator, Lock, OPTIONS, Progress, ReasonCode, Refuse, Settings, TryLater, a_task, verify
)  # fmt: skip


def rows(table: str) -> list[Any]:
    """What was written and the sentence, from one table; lines that begin with # are headings."""
    found: list[Any] = []
    for block in re.split(r"\n\n+", table.strip()):
        written, *sentence = block.splitlines()
        if not written.startswith("#"):
            found.append(pytest.param(written, " ".join(line.strip() for line in sentence), id=written))
    return found


def written_down(code: str) -> tuple[Executor, dict[str, Any]]:
    """An executor, and the names in its module after `code` ran there."""
    executor = Executor("acme", "m-1")
    names = {**globals(), "executor": executor}
    exec(code, names)  # noqa: S102 - so that the table holds what an author writes, and nothing else
    return executor, names


def sentence_of(error: ExecutorError) -> str:
    """What `error` says, without the reference that is another one each time."""
    said = re.sub(r"; the log has more under reference \w+$", "", error.message)
    return re.sub(r"reference \w+$", "reference …", said)


@pytest.mark.parametrize(("code", "sentence"), rows(WHILE_DECORATING))
def test_told_while_decorating(code: str, sentence: str) -> None:
    """What is wrong and what to write instead, before anything is served."""
    with pytest.raises(DefinitionError) as told:
        executor, names = written_down(code)
        executor.execute("t")(names["find"])

    assert sentence_of(told.value) == sentence


@pytest.mark.parametrize(("code", "sentence"), rows(WHILE_RUNNING))
def test_told_while_running(code: str, sentence: str) -> None:
    """To the caller, and in the log; no coroutine is left over that Python would warn of."""
    executor, names = written_down(code)
    executor.execute(names["find"])

    limit_s = 0.2 if "compute_too_long" in code else 25.0
    with in_process(executor, files={URL: b"rows"}, timeout_s=limit_s) as rt, pytest.raises(ExecutorError) as told:
        rt.execute({})

    assert sentence_of(told.value) == sentence


@pytest.mark.parametrize(("code", "sentence"), rows(WHILE_VERIFYING))
def test_told_while_verifying(code: str, sentence: str) -> None:
    """There is no verdict then, and nobody takes the silence for one."""
    executor, names = written_down(code)
    executor.execute(lambda: {"answer": "x"})
    executor.verify(names["judge"])

    with in_process(executor, files={URL: b"rows"}) as rt, pytest.raises(HandlerCrashedError) as told:
        rt.verify(rt.execute({}))

    assert sentence_of(told.value) == sentence


@pytest.mark.parametrize(("code", "sentence"), rows(WHILE_TRYING))
def test_told_while_trying(code: str, sentence: str, no_network: list[str]) -> None:
    """Before anything is sent, where that can be known."""
    with pytest.raises((ExecutorError, MisuseError, AttributeError, ValueError, LifespanError)) as told:
        written_down(code)

    assert str(told.value) == sentence


def test_a_call_after_the_end_is_told() -> None:
    """Outside of the block there is nobody to answer."""
    with in_process(Executor("acme", "m-1")) as rt:
        pass

    with pytest.raises(MisuseError, match="call it inside of `with in_process"):
        rt.capabilities()


@pytest.mark.parametrize(("text", "sentence"), rows(OF_INPUTS))
def test_told_of_inputs(text: str, sentence: str) -> None:
    """Each field by its path."""
    executor, _ = written_down("executor.execute(find)")
    handler = executor.registry.find("swarm", "default")

    with pytest.raises(ExecutorError) as told:
        handler.read(parse(text.encode()), text.encode())

    assert (told.value.status_code, sentence_of(told.value)) == (422, sentence)


def test_there_are_rows_enough() -> None:
    """An empty table would pass every test above."""
    tables = (WHILE_DECORATING, WHILE_RUNNING, WHILE_VERIFYING, WHILE_TRYING, OF_INPUTS)
    assert sum(len(rows(table)) for table in tables) > 170


# Python destroys such a coroutine before anybody could close it, and says so itself.
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("use", ["len(task.fetch(URL))", "list(task.fetch(URL))", "task.fetch(URL)[0]"])
def test_a_coroutine_used_as_its_result_is_told(use: str) -> None:
    """Python's own sentence stays in the log."""
    executor, names = written_down(f"async def find(task: Task): return {{'answer': {use}}}")
    executor.execute(names["find"])

    with in_process(executor, files={URL: b"rows"}) as rt, pytest.raises(HandlerCrashedError, match="put `await`"):
        rt.execute({})


@pytest.mark.parametrize("returns", [Ask, list[str], Numbered, Nullable, Doubtful, Unsure, Finding | Ask])
def test_an_output_that_no_run_takes_is_for_other_task_types(returns: Any) -> None:
    """`needs_answer=False` says that no run uses the task type."""
    executor = Executor("acme", "m-1")

    def odd(ask: Ask) -> Any: ...

    odd.__annotations__["return"] = returns

    with pytest.raises(DefinitionError, match="say needs_answer=False"):
        executor.execute("t")(odd)
    assert executor.execute("t", needs_answer=False)(odd) is odd


def test_an_answer_with_a_default_is_always_sent() -> None:
    """So it is as good as a required one."""

    @Executor("acme", "m-1").execute("t")
    def defaulted(ask: Ask) -> Defaulted:
        return Defaulted()


def test_two_handlers_for_one_task_type_need_two_profiles() -> None:
    """A handler that is refused takes no profile at all."""
    executor = Executor("acme", "m-1")
    executor.execute("t")(find)
    executor.execute("t", profiles=("fast",))(again)

    with pytest.raises(DuplicateHandlerError, match="again and find both want task type 't' in profile 'fast'"):
        executor.execute("t", profiles=("slow", "fast"))(find)
    assert executor.registry.profiles == ["default", "fast"]
