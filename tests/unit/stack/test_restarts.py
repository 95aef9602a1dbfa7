"""When a failed service is started again, and when it is given up."""

from causeline.stack.supervisor.restarts import GiveUp, RestartHistory, RestartIn, RestartPolicy

POLICY = RestartPolicy(
    first_delay_s=1, max_delay_s=5, steady_after_s=60, max_failures=5, max_first_failures=3, window_s=100
)


def fail(
    history: RestartHistory, now: float, *, ran_s: float = 1, ready: bool = True, exit_code: int | None = 1
) -> RestartIn | GiveUp:
    return history.failed(now, ran_s=ran_s, exit_code=exit_code, was_ever_ready=ready)


def test_delays_double_up_to_the_longest() -> None:
    history = RestartHistory(POLICY)
    assert [fail(history, now) for now in (0, 10, 20, 30)] == [
        RestartIn(1),
        RestartIn(2),
        RestartIn(4),
        RestartIn(5),
    ]


def test_one_that_ran_steadily_starts_over_with_the_first_delay() -> None:
    history = RestartHistory(POLICY)
    fail(history, 0)
    fail(history, 10)
    assert fail(history, 80, ran_s=60) == RestartIn(1)


def test_too_many_failures_within_the_window_are_given_up() -> None:
    history = RestartHistory(POLICY)
    for now in (0, 10, 20, 30):
        assert isinstance(fail(history, now), RestartIn)
    assert fail(history, 99.9) == GiveUp("failed 5 times within 100 s")


def test_a_failure_exactly_a_window_old_no_longer_counts() -> None:
    history = RestartHistory(POLICY)
    for now in (0, 10, 20, 30):
        fail(history, now)
    assert isinstance(fail(history, 100), RestartIn)


def test_one_that_was_never_ready_is_given_up_sooner() -> None:
    history = RestartHistory(POLICY)
    fail(history, 0, ready=False)
    fail(history, 1, ready=False, exit_code=None)
    assert fail(history, 2, ready=False) == GiveUp("failed 3 times within 100 s")


def test_a_usage_error_or_a_fault_of_the_machine_is_not_tried_again_before_the_first_success() -> None:
    for exit_code in (2, 4):
        verdict = fail(RestartHistory(POLICY), 0, ready=False, exit_code=exit_code)
        assert verdict == GiveUp(f"ended with exit code {exit_code}, which another start would not change")
        assert isinstance(fail(RestartHistory(POLICY), 0, ready=True, exit_code=exit_code), RestartIn)
