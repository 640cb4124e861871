"""Asks Python for a scrape that a server's thread has begun, on a thread of Python's own."""

import threading


def start(question):
    """
    Answer a question on a thread that does not keep the process from ending.

    While a collector runs, nothing but Python is on the thread's stack: so the interpreter can end
    it, when the process ends first.
    """
    threading.Thread(target=_answer, args=(question,), name="tallymark-ask", daemon=True).start()


def _answer(question):
    try:
        families = [list(call()) for call in question.calls()]
        values = [float(function()) for function in question.functions()]
    except BaseException as error:
        question.fail(error)
    else:
        question.answer(families, values)
