"""Ties a child process to its supervisor, then becomes the program.

Promise: on Linux the program receives SIGTERM when the supervisor dies, however
it dies, so that ``kill -9`` of the supervisor leaves nothing running for long.
Run as a script by ``newsletter.cli.supervise`` (``python -IS tether.py <pid of
the supervisor> <program> <arguments>``); it imports nothing but the standard
library, since it is started once per program. Elsewhere it only executes the
program; pid files find what was left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); kept across execve


def main() -> None:
    """Tie, then execute; exits 127 with one line when there is no such program."""
    supervisor, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before we were tied
            sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - becoming the program is the job
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
