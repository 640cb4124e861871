"""Standing in for the official client: what asks for ``prometheus_client`` gets tallymark.

How is in ``_tallymark_stand_in``, a module beside this package that can be imported without it.
"""

from __future__ import annotations


def install_as_prometheus_client() -> None:
    """
    From now on answer ``import prometheus_client`` with this package, in the whole process.

    Every ``prometheus_client.x`` is then the very module ``tallymark.x``: one registry, one state
    under both names, and what is assigned or patched under one is seen under the other. The
    official client may be installed or not; it is left alone. The metric classes say that their
    module is ``prometheus_client.metrics``, as soon as somebody imports that name.

    Call it before anything imports the official client. Calling it again does nothing. For whole
    processes, whatever they import first, there is the environment variable
    ``TALLYMARK_AS_PROMETHEUS_CLIENT=1``, and the command ``python -m tallymark exec``.

    Raises:
        RuntimeError: The official client is loaded already, so there would be two of everything.

    Example:
        >>> import subprocess, sys
        >>> program = '''
        ... import tallymark
        ... tallymark.install_as_prometheus_client()
        ... from prometheus_client import Counter
        ... print(Counter is tallymark.Counter, repr(Counter("hits", "Hits.")))
        ... '''
        >>> print(subprocess.check_output([sys.executable, "-c", program], text=True), end="")
        True prometheus_client.metrics.Counter(hits)
    """
    import _tallymark_stand_in

    _tallymark_stand_in.install()
