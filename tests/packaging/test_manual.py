"""The manual and the completions: made of the command's own words, and read by real programs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def pages(tallymark: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All pages, by name."""
    directory = tmp_path_factory.mktemp("manual") / "man1"
    subprocess.run([tallymark, "man", directory], check=True)
    return {page.stem: page for page in directory.iterdir()}


def commands(tallymark: str, *above: str) -> list[list[str]]:
    """Every command that the help names, and those below it."""
    help_text = subprocess.check_output([tallymark, *above, "--help"], text=True)
    listed = re.search(r"^Commands:\n((?: .*\n)+)", help_text, re.M)
    names = re.findall(r"^  (\S+)", listed[1], re.M) if listed else []
    found = [[*above, name] for name in names if name != "help"]
    return found + [below for one in found for below in commands(tallymark, *one)]


def read(page: Path) -> str:
    """The page as `man` shows it."""
    assert shutil.which("man"), "no man on PATH: run scripts/debian man"
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", page], capture_output=True, text=True
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    return re.sub(".\b", "", shown.stdout)


def test_every_command_has_a_page(tallymark: str, pages: dict[str, Path]) -> None:
    """And the program itself."""
    names = {"-".join(["tallymark", *command]) for command in commands(tallymark)}

    assert {"tallymark-serve", "tallymark-dashboard"} <= names
    assert set(pages) == names | {"tallymark"}


def test_man_shows_every_page_without_a_warning(pages: dict[str, Path]) -> None:
    """With the sections that a manual has."""
    for name, page in pages.items():
        shown = read(page)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"):
            assert f"\n{section}\n" in shown, f"{name} has no {section}"


def test_the_first_page_has_the_exit_codes_and_all_commands(
    tallymark: str, pages: dict[str, Path]
) -> None:
    """The others refer to it."""
    shown = read(pages["tallymark"])
    help_text = subprocess.check_output([tallymark, "--help"], text=True)
    codes = help_text.split("Exit codes:\n")[1]

    assert [line.split() for line in codes.splitlines()] == [
        line.split() for line in shown.split("EXIT STATUS\n")[1].split("\n\n")[0].splitlines()
    ]
    assert "tallymark-serve(1)" in shown
    assert "tallymark(1), for the exit codes" in read(pages["tallymark-show"])


def test_a_page_has_the_environment_and_the_examples(pages: dict[str, Path]) -> None:
    """In sections of their own; lines of examples are not broken."""
    shown = read(pages["tallymark-rules"])

    assert re.search(r"\nENVIRONMENT\n +TALLYMARK_STORE\n", shown)
    assert (
        "\n       tallymark rules http://127.0.0.1:9099/metrics --job tallymark --job-age 2h\n"
        in shown
    )


def test_without_a_directory_the_first_page_is_printed(
    tallymark: str, pages: dict[str, Path]
) -> None:
    """For `man -l -`."""
    printed = subprocess.check_output([tallymark, "man"])

    assert printed == pages["tallymark"].read_bytes()


def test_a_directory_that_cannot_be_made_is_named(tallymark: str, tmp_path: Path) -> None:
    """Here there is a file in its place."""
    (tmp_path / "taken").touch()
    refused = subprocess.run([tallymark, "man", tmp_path / "taken"], capture_output=True, text=True)

    assert refused.returncode == 1
    assert str(tmp_path / "taken") in refused.stderr


def complete(tallymark: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    script = f"""
        source <({tallymark} completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        completion=$(complete -p tallymark) && completion=${{completion##*-F }}
        "${{completion%% *}}" tallymark "${{!#}}" "${{@: -2:1}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "tallymark", *words],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(tallymark: str) -> None:
    """By a real bash, as at a prompt."""
    assert complete(tallymark, "dash") == ["dashboard"]
    assert complete(tallymark, "rules", "--job-") == ["--job-age"]
    assert complete(tallymark, "completions", "z") == ["zsh"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_every_shell_gets_a_script_with_all_commands(tallymark: str, shell: str) -> None:
    """And another shell is refused with the names of these."""
    script = subprocess.check_output([tallymark, "completions", shell], text=True)

    assert all(command[-1] in script for command in commands(tallymark))


def test_an_unknown_shell_is_refused(tallymark: str) -> None:
    """With the shells that are known."""
    refused = subprocess.run([tallymark, "completions", "sh"], capture_output=True, text=True)

    assert refused.returncode == 2
    assert "bash" in refused.stderr
