"""Runs the official client's own tests on tallymark, and compares the outcomes with a list.

The tests come from the package index, pinned by `tests/official/requirements.txt`; none of them is
kept here. They import ``prometheus_client``, and TALLYMARK_AS_PROMETHEUS_CLIENT makes that
tallymark. What must come out is in `tests/official/expected.txt`: how many tests each file has, and
which of them fail, with the reason. A test that is missing, is skipped, fails, or passes against
the list is an error. Each file runs in a process of its own, since the tests share one registry.

    scripts/official-suite                 all files
    scripts/official-suite test_core.py    only these
    scripts/official-suite --add TESTS     more files, from a git checkout: each test must pass
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

LISTS = Path(__file__).resolve().parent.parent / "tests" / "official"

# The slowest file takes seconds; one that hangs must not take the others' outcomes along.
PATIENCE_SECONDS = 300.0

# Of each test, by name: "passed", "failed", "an error" or "skipped".
Outcomes = dict[str, str]


class Expected:
    """What must come out: the number of tests of each file, and the reasons of those that fail."""

    def __init__(self, text: str) -> None:
        self.counts: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            name, rest = line.split(maxsplit=1)
            if "::" in name:
                self.failures[name] = rest
            else:
                self.counts[name] = int(rest)

    def judge(self, file: str, outcomes: Outcomes) -> list[str]:
        """Say what of a file's outcomes is not as the list has it."""
        wrong = []
        for test, outcome in outcomes.items():
            if test in self.failures and outcome == "passed":
                wrong.append(f"{test}: passes, and is listed as a failure")
            elif test not in self.failures and outcome != "passed":
                wrong.append(f"{test}: {outcome}")
        for test in self.failures:
            if test.startswith(f"{file}::") and test not in outcomes:
                wrong.append(f"{test}: is listed as a failure, and was not run")
        if len(outcomes) != self.counts.get(file):
            wrong.append(f"{file}: {len(outcomes)} tests were run, not {self.counts.get(file)}")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the official client's tests on tallymark.")
    parser.add_argument("files", nargs="*", help="only these")
    parser.add_argument("--add", type=Path, metavar="TESTS", help="more tests, of a git checkout")
    options = parser.parse_args()

    expected = Expected((LISTS / "expected.txt").read_text())
    environment = stand_in_environment()
    wrong: list[str] = []
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="official-suite-") as folder:
        work = Path(folder)
        unpack_tests(download(work), work)
        added = add_missing(options.add, work / "tests") if options.add else []
        files = options.files or find_files(work / "tests")
        if not options.files:
            lost = expected.counts.keys() - set(files)
            wrong += [f"{file}: is listed, and not in the suite" for file in sorted(lost)]
        for file in files:
            outcomes, log = run_file(work, file, environment)
            if file in added:
                expected.counts[file] = len(outcomes) or 1
            found = expected.judge(file, outcomes)
            if found:
                print(log)
            wrong += found
            here = list(outcomes.values()).count("passed")
            print(f"{file}: {here} of {len(outcomes)} passed", flush=True)
            passed += here
            failed += sum(outcomes.get(test) == "failed" for test in expected.failures)
    for line in wrong:
        print(f"official suite: {line}", file=sys.stderr)
    print(f"{passed + failed} tests: {passed} passed, {failed} expected failures")
    return 1 if wrong else 0


def stand_in_environment() -> dict[str, str]:
    """Give the environment of the tests, and make sure that it does what it is for."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("PROMETHEUS_", "PYTEST_", "TALLYMARK_"))
    }
    environment["TALLYMARK_AS_PROMETHEUS_CLIENT"] = "1"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    program = "import prometheus_client; print(prometheus_client.__name__)"
    name = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    if name.strip() != "tallymark":
        sys.exit(
            f"official suite: prometheus_client is not tallymark in {sys.executable}; its"
            " site-packages lack tallymark_stand_in.pth: run scripts/venv"
        )
    return environment


def download(folder: Path) -> Path:
    """Fetch the official client's source; pip checks that it is what the requirement says."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pinned = ["--requirement", str(LISTS / "requirements.txt"), "--require-hashes", "--no-deps"]
    source = ["--no-binary", "prometheus_client", "--dest", str(folder)]
    if subprocess.run([*command, *pinned, *source]).returncode:
        sys.exit("official suite: pip could not download the tests; they need a network")
    (archive,) = folder.glob("*.tar.gz")
    return archive


def unpack_tests(archive: Path, folder: Path) -> None:
    """Unpack the folder ``tests`` of a source distribution, and nothing else."""
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            _, _, inside = member.name.partition("/")
            if member.isfile() and inside.startswith("tests/") and ".." not in inside:
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                content = source.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())


def add_missing(more: Path, tests: Path) -> list[str]:
    """Copy the test files that the package does not have, and give their names."""
    missing = [file for file in find_files(more) if not (tests / file).exists()]
    for file in missing:
        (tests / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(more / file, tests / file)
    return missing


def find_files(tests: Path) -> list[str]:
    return sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))


def run_file(work: Path, file: str, environment: dict[str, str]) -> tuple[Outcomes, str]:
    """Run one file, and give its tests' outcomes and what pytest wrote."""
    report = work / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--import-mode=importlib", "--rootdir", str(work)]
    settings = ["--override-ini", "addopts=", "-p", "no:cacheprovider", "--tb", "short"]
    try:
        done = subprocess.run(
            [*command, *settings, "--junitxml", str(report), f"tests/{file}"],
            cwd=work,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {}, f"{file} was still running after {PATIENCE_SECONDS:.0f} seconds"
    return read_report(report, file) if report.exists() else {}, done.stdout


def read_report(report: Path, file: str) -> Outcomes:
    """Read a JUnit report: the outcome of each test by ``file::Class::test``."""
    module = "tests." + file.removesuffix(".py").replace("/", ".")
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        inside = case.get("classname", "").removeprefix(module).strip(".")
        name = "::".join(part for part in (file, inside, case.get("name", "")) if part)
        outcome = "passed"
        for tag, word in (("failure", "failed"), ("error", "an error"), ("skipped", "skipped")):
            if case.find(tag) is not None:
                outcome = word
        outcomes[name] = outcome
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
