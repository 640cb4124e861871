"""
Asks Python for a scrape that a server's thread has begun, on a thread of Python's own.

Threads stay for the next question, and one is there from the start: an interpreter that is ending
makes no new ones, and scrapes that came before are still to be answered.
"""

import os
import queue
import threading


def start(question):
    """
    Answer a question on a thread that does not keep the process from ending.

    While a collector runs, nothing but Python is on the thread's stack: so the interpreter can end
    it, when the process ends first.
    """
    if _idle.acquire(blocking=False):
        _questions.put(question)
        return
    try:
        _start_thread(question)
    except RuntimeError:
        # The interpreter is ending: whichever thread is free first takes it.
        _questions.put(question)


def prepare():
    """Have a thread ready."""
    if not _threads:
        _start_thread(None)


def _start_thread(question):
    thread = threading.Thread(
        target=_answer_all, args=(question,), name="tallymark-ask", daemon=True
    )
    thread.start()
    _threads.append(thread)


def _answer_all(question):
    while True:
        if question is not None:
            _answer(question)
        # Whoever asked may hold what the next one waits for.
        question = None
        _idle.release()
        question = _questions.get()


def _answer(question):
    try:
        families = [list(call()) for call in question.calls()]
        values = [float(function()) for function in question.functions()]
    except BaseException as error:
        question.fail(error)
    else:
        question.answer(families, values)


def _begin():
    # At first, and in a forked child, which has none of the threads.
    global _questions, _idle, _threads
    _questions, _idle, _threads = queue.SimpleQueue(), threading.Semaphore(0), []


_begin()
os.register_at_fork(after_in_child=_begin)
