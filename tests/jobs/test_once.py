import threading

import pytest

from newsletter.jobs.once import Once


def test_a_job_that_nobody_does_is_done():
    done = []
    assert Once().run("x", lambda: done.append(1)) is True
    assert done == [1]


def test_a_second_hint_returns_at_once_and_makes_the_first_look_again():
    once, began, go_on, looks = Once(), threading.Event(), threading.Event(), []

    def job():
        looks.append(len(looks))
        began.set()
        assert go_on.wait(5)

    first = threading.Thread(target=once.run, args=("x", job))
    first.start()
    assert began.wait(5)
    assert [once.run("x", job) for _ in range(100)] == [False] * 100
    assert looks == [0], "the hints did nothing themselves"
    go_on.set()
    first.join(5)
    assert looks == [0, 1], "a hundred hints cost one more look"


def test_jobs_of_different_keys_run_side_by_side():
    once, began, go_on = Once(), threading.Event(), threading.Event()

    def waiting():
        began.set()
        assert go_on.wait(5)

    first = threading.Thread(target=once.run, args=(("collect", 1), waiting))
    first.start()
    assert began.wait(5)
    assert once.run(("collect", 2), lambda: None) is True
    go_on.set()
    first.join(5)


def test_a_job_that_failed_can_be_done_again():
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once.run("x", lambda: 1 // 0)
    assert once.run("x", lambda: None) is True
