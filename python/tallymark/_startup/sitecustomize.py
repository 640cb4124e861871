"""What ``python -m tallymark exec`` has Pythons run first that read no ``.pth`` file of ours.

Python imports this name by itself, from a folder that `exec` puts on ``PYTHONPATH``. It installs
the stand-in and gets out of the way: the program sees neither the folder nor this module, and a
``sitecustomize`` that is hidden by this one is run as ever.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_folder = os.path.dirname(__file__)
sys.path.remove(_folder)
_beside_tallymark = os.path.dirname(os.path.dirname(_folder))
if _beside_tallymark not in sys.path:
    # The last one: the program's own packages come first.
    sys.path.append(_beside_tallymark)

import _tallymark_stand_in  # noqa: E402

_tallymark_stand_in.install()

_hidden = PathFinder.find_spec("sitecustomize")
if _hidden and _hidden.loader:
    sys.modules["sitecustomize"] = module_from_spec(_hidden)
    _hidden.loader.exec_module(sys.modules["sitecustomize"])
