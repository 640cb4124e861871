"""``python -m tallymark exec``: a command whose Pythons get tallymark for the official client.

The process becomes the command, with another environment: its status, signals and streams are its
own. How a Python below it takes notice is not decided here: the ``.pth`` file that is installed
with this package reads the environment, and where there is none, ``_startup`` does its work.
"""

from __future__ import annotations

import os
import signal
import site
import sys
from collections.abc import Mapping, Sequence

_STARTUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_startup")

# What a shell says of a command that it cannot find, and of one that it finds and cannot start.
_NOT_FOUND = 127
_NOT_STARTED = 126

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def run(command: Sequence[str], store: str | None) -> int:
    """
    Become a command.

    Args:
        command: Its name or path, and its arguments.

        store: The URL of the store that all its processes share, None for what the environment
            says.

    Returns:
        The status to exit with if that did not work, after a line on stderr.

    Example:
        >>> run(["no-such-command"], None)
        127
    """
    environment = _environment(os.environ, store)
    # Python ignores these two, and what is ignored stays so in the command: `yes | head` would
    # never end.
    ignored = [(number, signal.signal(number, signal.SIG_DFL)) for number in _IGNORED_BY_PYTHON]
    try:
        os.execvpe(command[0], list(command), environment)
    except FileNotFoundError:
        reason, status = "no such command", _NOT_FOUND
    except OSError as error:
        reason, status = error.strerror or str(error), _NOT_STARTED
    for number, handler in ignored:
        signal.signal(number, handler)
    print(f"tallymark exec: {command[0]}: {reason}", file=sys.stderr)
    return status


def _environment(current: Mapping[str, str], store: str | None) -> dict[str, str]:
    changed = {**current, "TALLYMARK_AS_PROMETHEUS_CLIENT": "1"}
    if store is not None:
        changed["TALLYMARK_STORE"] = store
    if not _pth_file_is_installed():
        rest = current.get("PYTHONPATH")
        changed["PYTHONPATH"] = os.pathsep.join([_STARTUP, rest] if rest else [_STARTUP])
    return changed


def _pth_file_is_installed() -> bool:
    # Only in these folders Python reads such files; on PYTHONPATH, for one, it does not.
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return any(os.path.isfile(os.path.join(one, "tallymark_stand_in.pth")) for one in folders)
