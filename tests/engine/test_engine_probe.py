from __future__ import annotations

import pytest

from mirada.engine import probe


class Clock:
    """Time that passes only in runs: so many seconds each, the last for all that follow."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.runs, self._seconds = 0.0, 0, list(seconds)

    def run(self) -> None:
        self.now += self._seconds[min(self.runs, len(self._seconds) - 1)]
        self.runs += 1


@pytest.fixture
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(*request.param)
    monkeypatch.setattr(probe.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.mark.parametrize("clock", [(0.07, 0.07, 0.07, 0.07, 0.04)], indirect=True)
def test_a_processor_that_is_busy_for_a_moment_does_not_count(clock: Clock) -> None:
    assert probe.fastest_round(clock.run) == pytest.approx(0.04)
    assert clock.now == pytest.approx(0.52)


@pytest.mark.parametrize("clock", [(3.0, 2.0)], indirect=True)
def test_a_slow_network_goes_through_four_times(clock: Clock) -> None:
    assert probe.fastest_round(clock.run) == pytest.approx(2.0)
    assert clock.runs == 4
