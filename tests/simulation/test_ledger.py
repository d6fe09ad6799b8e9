"""Whatever happens to the ledger, in whatever order: nobody is lost, nobody is served twice."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from simulation import newsroom
from simulation.machine import LedgerMachine

STEPS = int(os.environ.get("NEWSLETTER_TEST_STEPS", "1000"))
STEPS_A_RUN = 50


@pytest.fixture
def room(databases):
    made = newsroom.newsroom(databases)
    yield made
    databases.drop(made.url)


@pytest.mark.timeout(max(180, STEPS // 10))
def test_whatever_happens_nobody_is_lost_and_nobody_is_served_twice(room, tmp_path, monkeypatch):
    monkeypatch.setattr("newsletter.delivery.ledger.PAUSES", (0.0,))
    configured = newsroom.settings(tmp_path)
    profile = settings(
        max_examples=min(STEPS // STEPS_A_RUN, 200),
        stateful_step_count=STEPS_A_RUN,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),  # a run makes a database; that is slow and meant
    )
    LedgerMachine.steps = 0
    LedgerMachine.moves.clear()
    while LedgerMachine.steps < STEPS:
        run_state_machine_as_test(lambda: LedgerMachine(room, configured), settings=profile)
        print(f"{LedgerMachine.steps:,} steps", flush=True)
    print("transitions met:")
    for (before, after), count in LedgerMachine.moves.most_common():
        print(f"  {before:>9} -> {after:<9} {count:>8,}")
