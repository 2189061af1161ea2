"""Words of other frameworks that newcomers try on an executor, and what each of them is called here."""

from __future__ import annotations

from typing import Final

_DECORATE: Final = "a function does tasks with @executor.execute('task_type') above it"
_OPEN: Final = "what opens and closes with the process is a lifespan: Executor(..., lifespan=pools)"
_SERVE: Final = "a server serves it: `uvicorn module:executor`, or `executor serve module:executor`"
_INCLUDE: Final = "executor.include(other) takes over another executor, or a class"
_MOUNT: Final = "the four endpoints are all it has; mount it into an application of yours: Mount('/agents', executor)"

_HAS: Final = "an author uses execute, verify, agent_event, health, include and lifespan"

_MEANT: Final = {
    word: meant
    for words, meant in (
        ("activity agent function handler job predict task tool workflow", _DECORATE),
        ("on_event on_shutdown on_startup setup shutdown startup state", _OPEN),
        ("launch listen run serve start worker", _SERVE),
        ("add add_handler include_router register", _INCLUDE),
        ("add_api_route add_middleware api_route get middleware mount post put route router", _MOUNT),
    )
    for word in words.split()
}


def sentence_for(word: str) -> str:
    """What to say to who looks for `word` on an executor."""
    return f"an executor has no {word!r}; {_MEANT.get(word, _HAS)}"
