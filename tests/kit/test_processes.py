import os
import subprocess
import sys

import pytest

from newsletter.kit.processes import identity, is_gone, started_at


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_lives_is_not_gone(child):
    assert not is_gone(identity())
    assert not is_gone(identity(child.pid))


def test_a_process_that_was_killed_is_gone_before_and_after_its_parent_has_looked(child):
    name = identity(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert is_gone(name)
    child.wait()
    assert is_gone(name)
    assert started_at(child.pid) == ""


def test_a_number_that_was_given_to_another_process_does_not_stand_for_the_first(child):
    place, number, started = identity(child.pid).split(" ")
    assert is_gone(f"{place} {number} {int(started) - 1}")


@pytest.mark.parametrize("part", ["boot", "pid:[", "time:["])
def test_nobody_elsewhere_is_said_to_be_gone(child, part):
    name = identity(child.pid)
    child.kill()
    child.wait()
    start = 0 if part == "boot" else name.index(part) + len(part)
    other = "f" if name[start] != "f" else "0"
    assert not is_gone(name[:start] + other + name[start + 1 :])


def test_without_a_name_nobody_is_gone():
    assert not is_gone("")


def test_no_two_processes_have_one_name(child):
    assert identity() != identity(child.pid)
    assert identity(child.pid) == identity(child.pid)
