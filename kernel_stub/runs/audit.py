"""Whether the log of a node holds, and whether its tables say what the log says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.errors import ExecutorError
from executor_sdk.protocol.plain import Json, parse
from kernel_stub.errors import TablesDifferError
from kernel_stub.log.head import Head, check_head
from kernel_stub.log.history import compare
from kernel_stub.log.identity import Trusted
from kernel_stub.log.replay import Replay
from kernel_stub.log.walk import Follower, Walk
from kernel_stub.store.port import Log

#: Runs that are looked up at once; each is loaded alone.
_PAGE_RUNS: Final = 256


@dataclass(frozen=True, slots=True)
class Audit:
    """The checks of one node's log; `trusted` are the keys whose signatures count, `outputs` is where outputs are."""

    log: Log
    trusted: Trusted
    outputs: FolderArtifacts

    async def head(self) -> Head:
        """The signed head, as it was last committed.

        Raises:
            BrokenHeadError: the node did not sign it.
        """
        head = await self.log.head()
        check_head(head, self.trusted)
        return head

    async def verify(self, kept: Head | None = None) -> Head:
        """Recompute every hash, signature and link; returns the head that they lead to.

        `kept` is a head that was printed earlier and kept elsewhere: without one, a whole log that was rolled back
        cannot be told from one that never went further.

        Raises:
            LogError: the first entry that does not hold, or what else is wrong with the log as a whole.
        """
        return await self._walk(kept)

    async def replay(self, kept: Head | None = None) -> Replay:
        """Rebuild every task from its events, aggregate every round of every run once more, and compare the tables.

        Raises:
            LogError: as `verify`, or an event cannot follow the ones before it.
            TablesDifferError: a run or a step is not what the log says.
        """
        replay = Replay()
        head = await self._walk(kept, replay.take)
        told = set(replay.runs)
        after = ""
        while run_ids := await self.log.run_ids(after=after, limit=_PAGE_RUNS):
            after = run_ids[-1]
            for run_id in run_ids:
                await self._compare(run_id, head, replay)
                told.discard(run_id)
        if told:
            raise TablesDifferError(f"run {min(told)}", "it has no row")
        return replay

    async def _walk(self, kept: Head | None, follower: Follower | None = None) -> Head:
        head, stray = await self.log.standing()
        walk = Walk(self.trusted, head=head, kept=kept)
        await walk.along(self.log.entries, follower)
        walk.finish(stray)
        return head

    async def _compare(self, run_id: str, head: Head, replay: Replay) -> None:
        stored = await self.log.history(run_id)
        if any((event.event_id or 0) > head.run_events for event in stored.events):
            # The run has moved since the walk began; its rows speak of entries that were not walked along.
            return
        await to_thread.run_sync(compare, stored, replay.tasks, self._output)

    def _output(self, digest: str) -> Json:
        try:
            return parse(self.outputs.read(digest))
        except (ExecutorError, ValueError):
            raise KeyError(digest) from None
