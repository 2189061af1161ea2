"""A test puts other state in place of what the process opens."""

from rates import Analyst, Model, Rates, executor, rates

from executor_sdk import in_process


class FakeRates(Rates):
    def of(self, currency: str) -> float:
        return 3.0


class FakeModel(Model):
    def forecast(self, amount: float) -> str:
        return f"fake {amount}"


class FakeAnalyst(Analyst):
    async def setup(self) -> None:
        self.model = FakeModel()


def test_with_other_rates() -> None:
    with in_process(executor, overrides={rates: FakeRates, Analyst: FakeAnalyst}) as rt:
        done = rt.execute({"amount": 2, "currency": "EUR"}, task_type="swarm")
        assert done.output.answer == "6.0"
        done = rt.execute({"amount": 2, "currency": "EUR"}, task_type="forecast")
        assert done.output.answer == "fake 6.0"
