"""Declares the metrics that it reads on stdin, and imports what was counted of them elsewhere."""

import json
import sys

from tallymark import CollectorRegistry, Counter, Gauge, Histogram, Summary
from tallymark.distributed_client import NotImported, import_values

registry = CollectorRegistry()
for family in json.load(sys.stdin):
    about = (family["name"], family["help"], family["labels"])
    if family["type"] == "counter":
        Counter(*about, registry=registry)
    elif family["type"] == "summary":
        Summary(*about, registry=registry)
    elif family["type"] == "histogram":
        Histogram(*about, registry=registry, buckets=[float(bound) for bound in family["bounds"]])
    else:
        Gauge(*about, registry=registry, multiprocess_mode=family["mode"])

refused = ""
try:
    imported = import_values(sys.argv[1], prefix=sys.argv[2], registry=registry)
except NotImported as problem:
    imported, refused = problem.imported, str(problem)
except (ImportError, OSError, ValueError) as problem:
    sys.exit(f"error: {problem}")
notes = list(imported.remarks)
if imported.unexplained:
    names = ", ".join(imported.unexplained)
    notes.append(
        f"the store has no metrics that explain {names}; count in them once, and try again"
    )
for note in notes:
    print(f"note: {note}", file=sys.stderr)
changed = [count for count in imported.series.values() if count]
print(f"{sum(changed)} series of {len(changed)} families imported")
if refused:
    sys.exit(f"error: {refused}")
