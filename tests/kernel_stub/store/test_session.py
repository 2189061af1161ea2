"""What a session keeps decoded between transactions."""

from __future__ import annotations

from typing import Any

from kernel_stub.store.session import BodyCache


def test_decoded_runs_are_bounded_by_bytes() -> None:
    """Sixty-four runs of four megabytes would be more than a process should hold."""
    rows = {str(n): [(b"{}", b'{"text":"%b"}' % (b"x" * 1_000), b"{}")] for n in range(10)}

    class Table:
        """Bodies by run id."""

        loads = 0

        def run(self, _: str, /, **values: Any) -> list[Any]:
            self.loads += 1
            return rows[values["run_id"]]

        def run_each(self, name: str, rows: Any) -> None:
            """Nothing is written."""

    table, cache = Table(), BodyCache(max_bytes=3_200)
    for run_id in (*rows, "9", "8", "7", "0"):
        cache.get(table, run_id, 1)

    assert table.loads == 11
    assert cache.size_bytes <= 3_200
    cache.get(table, "0", 1)
    cache.clear()
    assert (table.loads, cache.size_bytes) == (11, 0)
