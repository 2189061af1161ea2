"""The server as a process: without files to open, and by uvicorn's own command line."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.executor_sdk.serving.houses import ROOT, SOON_S, answered

HTTP = "executor_sdk.serving.bounded_http:BoundedHttp"


@contextmanager
def program(*arguments: str, listening: socket.socket | None = None) -> Iterator[subprocess.Popen[str]]:
    """A Python module as a process, stopped in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        pass_fds=[] if listening is None else [listening.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def get(caller: socket.socket, path: str = "/health") -> int:
    """The status of one request on the connection."""
    caller.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    return answered(caller).status


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_process_without_a_file_to_open_serves_on(loop: str) -> None:
    """Newcomers wait or are dropped, the loop does not spin, and all is well when there are files again."""
    with program("tests.executor_sdk.serving.hungry", loop) as process, ExitStack() as stack:
        assert process.stdout is not None
        port, pid = int(process.stdout.readline()), process.pid
        known = stack.enter_context(socket.create_connection(("127.0.0.1", port), SOON_S))
        assert get(known, "/eat") == 200
        spent_s = cpu_s(pid)
        for _ in range(20):
            newcomer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 0.1))
            with suppress(OSError):
                assert get(newcomer) == 0

        assert cpu_s(pid) - spent_s < 0.5
        assert get(known, "/release") == 200
        assert _healthy_again(port)


def test_plain_uvicorn_takes_the_bounds_by_name() -> None:
    """With the defaults: this is the line in the docstring."""
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        fd = str(listening.fileno())
        command = ("uvicorn", "tests.executor_sdk.cli.served:executor", "--http", HTTP, "--fd", fd)
        stack.enter_context(program(*command, listening=listening))
        with socket.create_connection(("127.0.0.1", port), SOON_S) as caller:
            assert get(caller) == 200
        with socket.create_connection(("127.0.0.1", port), SOON_S) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 200)
            assert answered(caller).status == 431


def test_what_a_server_has_loaded_is_not_looked_at_again() -> None:
    """Collections of garbage come less often, and only where the process is the server's own."""
    told = """if True:
        import gc, threading
        from executor_sdk.serving.addresses import LOOPBACK, listen
        from executor_sdk.serving.server import Server, configuration
        import tests.executor_sdk.serving.hungry as hungry

        def serve(in_thread):
            server = Server(configuration(hungry.app, lifespan="off"))
            def stop():
                server.settled.wait()
                print(gc.get_threshold()[0], gc.get_freeze_count() > 10_000)
                server.stop()
            stopping = threading.Thread(target=stop)
            stopping.start()
            with listen(LOOPBACK, 0) as listening:
                if in_thread:
                    thread = threading.Thread(target=server.run, args=([listening],))
                    thread.start()
                    thread.join()
                else:
                    server.run([listening])
            stopping.join()

        print(gc.get_threshold()[0], False)
        serve(True)
        serve(False)
        gc.set_threshold(0)
        serve(False)
    """
    ended = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)

    before, in_thread, alone, never = ended.stdout.splitlines()
    assert (in_thread, alone, never) == (before, "10000 True", "0 True")


@pytest.mark.parametrize(
    ("before", "heard"),
    [
        ("signal.SIG_DFL", "True"),
        ("lambda *_: print('the host hears it')", "the host hears it\nTrue"),
    ],
)
def test_a_signal_handler_of_the_process_is_there_again_after_the_server(before: str, heard: str) -> None:
    """Whoever runs a server as a part of a program keeps the last word about the end of the process."""
    told = f"""if True:
        import os, signal, threading
        from executor_sdk.serving.addresses import LOOPBACK, listen
        from executor_sdk.serving.server import Server, configuration
        import tests.executor_sdk.serving.hungry as hungry

        before = {before}
        signal.signal(signal.SIGTERM, before)
        server = Server(configuration(hungry.app, lifespan="off"))

        def end():
            server.settled.wait()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end).start()
        with listen(LOOPBACK, 0) as listening:
            server.run([listening])
        print(server.started and signal.getsignal(signal.SIGTERM) == before)
    """
    ended = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stdout == heard + "\n"


def _healthy_again(port: int) -> bool:
    """Whether a newcomer is answered, tried for as long as a loop may pause after a failed accept."""
    for _ in range(int(SOON_S)):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as caller:
            if get(caller) == 200:
                return True
    return False


def test_a_signal_that_comes_before_it_is_listened_for_ends_the_server() -> None:
    """A reload that follows the last one at once must not wait for a process that has missed its signal."""
    told = """if True:
        import os, signal
        from contextlib import contextmanager
        from executor_sdk.serving.addresses import LOOPBACK, listen
        from executor_sdk.serving.server import Server, configuration
        import tests.executor_sdk.serving.hungry as hungry

        class Early(Server):
            @contextmanager
            def capture_signals(self):
                os.kill(os.getpid(), signal.SIGTERM)
                with super().capture_signals():
                    yield

        with listen(LOOPBACK, 0) as listening:
            Early(configuration(hungry.app, lifespan="off")).run([listening])
        print("ended")
    """
    ended = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )

    assert ended.stdout == "ended\n"
