"""The command line of the package: ``python -m tallymark``.

One function reads the arguments; what a command does is in a module of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import _exec

_EXAMPLES = """\
examples:
  python -m tallymark exec -- gunicorn --workers 4 app:app
  python -m tallymark exec --store file:/run/app/metrics.tally -- celery -A app worker
  python -m tallymark exec -- python -c 'import prometheus_client as p; print(p.__name__)'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command of the package.

    Args:
        arguments: Those after ``python -m tallymark``, None for the process's own.

    Returns:
        The status to exit with.

    Raises:
        SystemExit: The arguments are wrong (2), or ask for help (0).

    Example:
        >>> main(["exec", "--", "no-such-command"])
        127
    """
    parser = argparse.ArgumentParser(
        prog="python -m tallymark",
        description="Prometheus metrics that add up across processes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    execute = commands.add_parser(
        "exec",
        usage="python -m tallymark exec [-h] [--store URL] -- COMMAND [ARGUMENT ...]",
        help="run a program with tallymark in place of prometheus_client",
        description="Run a program, and all it starts, with tallymark in place of"
        " prometheus_client. Nothing in the program changes; this process becomes it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    execute.add_argument(
        "--store", metavar="URL", help="where all its processes count: sets TALLYMARK_STORE"
    )
    execute.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)

    # Some versions of argparse take the dashes away, others leave them.
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        execute.error("no COMMAND to run")
    return _exec.run(command, options.store)


if __name__ == "__main__":
    sys.exit(main())
