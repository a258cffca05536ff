"""Become another program that dies with its supervisor. Run as a script, never imported.

Usage: python -I -S launch.py SUPERVISOR_PID DEATH_SIGNAL UID:GID|- PROGRAM [ARGUMENT...]

`subprocess` could do all this by `preexec_fn` and `user=`, but the supervisor has threads (gRPC),
and Python code between fork and exec may then hang for ever on a lock that a thread held.
After its own exec this small program is alone, at a cost of about 10 ms.
The process id stays the same throughout.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Drop privileges, ask for the death signal, and exec the program."""
    supervisor, death_signal, account, *program = sys.argv[1:]
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: the kernel forgets the death signal when the user changes.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(supervisor):
            sys.exit("the supervisor ended before its child started")
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()
