"""The end of a process: what it has counted goes where it belongs.

A clean exit folds the process's numbers into the totals, and sends what a store of many hosts has
not heard yet. So does SIGTERM, where nobody handles it: a container that is stopped takes its spool
along. What a killed process had counted is in the spool, and whoever drains that next sends it.
"""

import atexit
import os
import signal
import threading
from types import FrameType

from tallymark import _tallymark

atexit.register(_tallymark.leave)


def on_sigterm() -> None:
    """
    Have SIGTERM end this process's part in its store before it ends the process.

    Called when a store of many hosts is chosen. Does nothing outside the main thread, which alone
    may say what signals do, and where the program has a handler of its own: its exit is a clean
    one, or its own business. A program that forks gives it up before its first child: pools count
    on SIGTERM ending their workers at once, also while they start, when Python loses signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
        os.register_at_fork(before=_as_ever, after_in_child=_as_ever)


def _end(number: int, _frame: FrameType | None) -> None:
    _tallymark.leave()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _as_ever() -> None:
    # A thread that forks has no say before; its child has, being a main thread there.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
