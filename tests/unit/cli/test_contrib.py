# SPDX-License-Identifier: GPL-2.0-only
"""The workflows of contrib/: they are YAML, and call the command line as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from harness.cli import commands
from harness.util.paths import REPO

WORKFLOWS = sorted((REPO / "contrib").glob("*.yaml"))


def calls(path: Path) -> Iterator[list[str]]:
    """The arguments of each call of the harness in a workflow."""
    jobs = yaml.safe_load(path.read_text())["jobs"]
    for step in (step for job in jobs.values() for step in job["steps"]):
        text = str(step.get("run", "")).replace("\\\n", " ")
        for call in re.findall(r"-m harness ([^\n]*?)(?=\s+(?:>|\|\||$))", text):
            yield shlex.split(call)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_the_command_line_as_it_is(path: Path) -> None:
    found = list(calls(path))
    assert found
    for words in found:
        commands.build().parse(words)


def test_what_writes_to_a_pull_request_runs_none_of_its_code() -> None:
    made = yaml.safe_load((REPO / "contrib/pull-request-workflow.yaml").read_text())
    assert made["permissions"] == {} and made["jobs"]["measure"]["permissions"] == {
        "contents": "read"
    }
    comment = made["jobs"]["comment"]
    assert comment["permissions"] == {"pull-requests": "write"}
    runs = [step.get("run", "") for step in comment["steps"]]
    assert not any("harness" in run or "fetch" in run or "${{" in run for run in runs)
    # What a stranger can name, like a branch or a title, reaches no script as text.
    for step in made["jobs"]["measure"]["steps"]:
        assert "${{" not in step.get("run", "")
