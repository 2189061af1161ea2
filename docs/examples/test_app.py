"""The test on page one of the README."""

from app import executor

from executor_sdk import in_process

URL = "https://data.example.com/sales.csv"


def test_growth() -> None:
    with in_process(executor, files={URL: b"region,amount\nnorth,5\n"}) as rt:
        done = rt.execute({"data_url": URL})
        assert done.output.decision == "GROWTH" and rt.verify(done).status == "passed"
