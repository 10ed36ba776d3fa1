# SPDX-License-Identifier: GPL-2.0-only
"""The draft of a mail: headers, what survives a mailer, and that it says what the report says."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.report import files
from harness.results import address, checksums, manifest, sizes
from harness.results.sizes import KernelSize, Sizes
from harness.series.mail import cover as letter
from harness.series.mail.cover import Cover
from harness.source.gitnames import CLONE
from harness.studies import verify
from harness.studies.overhead import analysis as overheads
from harness.studies.reply import body as reply
from harness.studies.reply import draft, parts
from harness.studies.reply.parts import Answer, Evidence
from harness.util.errors import UserError
from tests.fakes import overhead as fake_overhead
from tests.fakes.results import WORKLOAD, Fake, write

COVER = Cover(
    message_id="20260208215839.1-1-a@example.org",
    subject="[PATCH v3 00/20] Virtual Swap Space, with a subject that is longer than one line has",
    sender="Zo\u00eb Example <zoe@example.org>",
    to=("akpm@example.org",),
    cc=("linux-mm@example.org", '"Last, First" <first@example.org>', "zoe@example.org"),
    references=("earlier@example.org",),
    date="Sun, 8 Feb 2026 13:58:13 -0800",
)
LONG = "zswap-with-a-name-that-no-column-holds.pageio"
FAKE = Fake(
    pairs=7,
    scatter=0.01,
    aa=True,
    cells=("zram-lz4.pageio", LONG),
    outcomes={("zram-lz4.pageio", 0, "patch"): "panic"},
)


def result(root: Path, fake: Fake = FAKE, cover: Cover | None = COVER) -> Path:
    folder = write(root, fake)
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    if cover:
        data["arms"]["patch"]["series"]["letter"] = letter.as_data(cover)
    path.write_text(json.dumps(data))
    checksums.raw(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("reply"))


@pytest.fixture(scope="module")
def made(folder: Path) -> str:
    return draft.make(folder)


@pytest.fixture(scope="module")
def full(folder: Path) -> str:
    return draft.make(folder, long=True)


def body(made: str) -> list[str]:
    return made.split("\n\n", 1)[1].splitlines()


def test_headers_are_those_of_an_answer_to_the_cover_letter(made: str) -> None:
    mail = email.message_from_string(made, policy=email.policy.default)
    assert mail["To"] == "Zo\u00eb Example <zoe@example.org>"
    people = [one.addr_spec for one in mail["Cc"].addresses]
    assert people == ["akpm@example.org", "linux-mm@example.org", "first@example.org"]
    assert mail["Cc"].addresses[2].display_name == "Last, First"
    assert mail["Subject"] == f"Re: {COVER.subject}"
    assert mail["In-Reply-To"] == f"<{COVER.message_id}>"
    assert mail["References"].split() == ["<earlier@example.org>", f"<{COVER.message_id}>"]
    assert mail.get_content_type() == "text/plain"
    assert not mail.defects


@pytest.mark.parametrize("form", ["made", "full"])
def test_the_body_is_fit_for_a_list(form: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(form)
    lines = body(made)
    assert made.isascii() and "\t" not in made
    assert max(map(len, lines)) <= 72
    for line in lines:
        assert line == line.rstrip(), "format=flowed would join it with the next"
        assert not line.startswith((" ", ">", "From ")), "format=flowed would stuff it"
    assert "--" not in lines and "---" not in lines, "no signature, no end of a patch's message"


def test_tables_stay_aligned_after_two_rounds_of_quoting(made: str) -> None:
    once = [f"> {line}".rstrip() for line in body(made)]
    twice = [f">{line}" if line.startswith(">") else line for line in flowed(once)]
    assert max(map(len, twice)) <= 76
    table = [line for line in twice if line.startswith((">> cell  ", ">> zram-lz4.pageio "))][:2]
    assert len(table) == 2
    assert len({len(line) for line in table}) == 1
    assert table[0].index("verdict") + 7 == len(table[1])


def flowed(lines: list[str]) -> list[str]:
    """What a reader of format=flowed sees of lines that a sender marks so (RFC 3676)."""
    shown: list[str] = []
    open_ = False
    for line in (f" {one}" if one.startswith((" ", "From ")) else one for one in lines):
        text = line[1:] if line.startswith(" ") else line
        if open_:
            shown[-1] += text
        else:
            shown.append(text)
        open_ = text.endswith(" ") and text != "-- "
    return shown


def test_it_says_what_the_report_says(made: str) -> None:
    text = "\n".join(body(made))
    assert text.startswith("Swap performance of vswap-v3 against v6.19, in fresh QEMU guests.\n")
    assert "1 of 42 boots failed: panic in zram-lz4.pageio, 1 patch." in text
    assert text.index("boots failed") < text.index("cell  ")
    row = next(line for line in body(made) if line.startswith("zram-lz4.pageio ")).split()
    # +10 % was put in, with 1 % of noise.
    assert 8 < float(row[3].rstrip("%")) < 12 and row[-2:] == ["6", "worse"]
    joined = " ".join(text.split())
    assert "Instruction clock: blind to caches, TLBs, lock contention, device time." in joined
    assert (
        "A/A 95 % intervals within [" in joined
        and " %, minimum detectable effect at most " in joined
    )
    assert "n = 6 to 7 pairs a cell: intervals by ranks." in joined
    assert "vmstat thp_swpout" in text


ZRAM, ZSWAP, DISK = "zram.pressure", "zswap.pressure", "swapfile.pressure"
Floor = tuple[float, float, float | None]


def with_noise(folder: Path, floors: dict[str, Floor]) -> str:
    """What the mail says of A/A intervals and minimum detectable effects, in per cent, by cell."""
    report = files.read(folder)
    row = next(one for one in report.primary if one.noise is not None)
    floor = row.noise
    assert floor is not None
    rows = [
        replace(
            row,
            cell=cell,
            noise=replace(
                floor, change=replace(floor.change, low_pct=low, high_pct=high), detectable_pct=mde
            ),
        )
        for cell, (low, high, mde) in floors.items()
    ]
    (part,) = report.parts
    return reply._noise(replace(report, parts=(replace(part, primary=tuple(rows)),)))


@pytest.mark.parametrize(
    ("floors", "said"),
    [
        (
            {DISK: (-5.4, 5.6, 9.1), ZRAM: (-0.36, 0.28, 0.51), ZSWAP: (-0.039, 0.26, 0.24)},
            "95 % intervals within [-0.36, +0.28] %, minimum detectable effect at most 0.51 %; "
            "of swapfile.pressure [-5.4, +5.6] % and 9.1 %.",
        ),
        (  # three times as much is not more than that
            {DISK: (-1.2, 0.9, 1.5), ZRAM: (-0.36, 0.28, 0.5), ZSWAP: (-0.039, 1.0, 0.24)},
            "95 % intervals within [-1.2, +1] %, minimum detectable effect at most 1.5 %.",
        ),
        (
            {DISK: (-5.4, 5.6, 9.1), ZRAM: (-0.36, 0.28, 0.51)},
            "95 % interval [-0.36, +0.28] %, minimum detectable effect 0.51 %; "
            "of swapfile.pressure [-5.4, +5.6] % and 9.1 %.",
        ),
        (
            {ZRAM: (-0.36, 0.28, 0.51)},
            "95 % interval [-0.36, +0.28] %, minimum detectable effect 0.51 %.",
        ),
        (  # two of the three noisy: neither is an exception
            {DISK: (-5.4, 5.6, 9.1), ZRAM: (-3.0, 2.0, 4.0), ZSWAP: (-0.039, 0.26, 0.24)},
            "95 % intervals within [-5.4, +5.6] %, minimum detectable effect at most 9.1 %.",
        ),
        (
            {ZRAM: (-0.36, 0.28, 0.51), ZSWAP: (0.0, 0.0, None)},
            "95 % interval [-0.36, +0.28] %, minimum detectable effect 0.51 %.",
        ),
    ],
)
def test_the_noise_is_that_of_all_cells_but_one_that_is_far_noisier(
    folder: Path, floors: dict[str, Floor], said: str
) -> None:
    assert with_noise(folder, floors) == f"A/A {said}"


def test_too_few_pairs_tell_no_noise(folder: Path) -> None:
    said = "A/A (control against base) has too few pairs to say anything."
    assert with_noise(folder, {ZRAM: (0.0, 0.0, None)}) == said


def test_the_series_is_named_by_reference_and_the_long_form_lists_it(made: str, full: str) -> None:
    short, long = (" ".join(one.split()) for one in (made, full))
    assert (
        f"series: Virtual Swap Space, 2 patches, message-id <{COVER.message_id}>; patch ids are in "
        "manifest.json" in short
    )
    assert "add a layer" not in short and "mm: swap: add a layer (cccccccccccc)" in long
    assert "control against base" in long and "min. detectable" in long
    assert "no lock contention" in long


def test_only_counters_of_swap_reclaim_and_memory_that_changed_much(tmp_path: Path) -> None:
    """A change of 10 % is named, one of half a per cent is not."""
    said = "No counter of swap, reclaim or memory changed"
    much = "\n".join(body(draft.make(result(tmp_path / "a", Fake(pairs=6, aa=True, effect=1.1)))))
    (row,) = [line for line in much.splitlines() if "pgfault " in line][:1]
    assert row.split() == ["vmstat", "pgfault", "zram-lz4.pageio", "in", "99907.0", "109908",
                           "+10.01%"]  # fmt: skip
    assert said not in much and "kthreads" not in much
    little = draft.make(result(tmp_path / "b", Fake(pairs=6, aa=True, effect=1.005)))
    assert "pgfault" not in little and "thp_swpout" in little, "that one arm lacks it is a change"


def test_one_pair_has_no_interval_and_tells_nothing_of_chance(tmp_path: Path) -> None:
    said = " ".join(draft.make(result(tmp_path, Fake(pairs=1, aa=True))).split())
    assert "n = 1 pairs a cell: no intervals." in said
    assert "One pair gives no verdict; 3 are the fewest that do." in said
    assert "Fewer than 3 pairs: no change of a counter can be told from chance." in said
    assert "No counter" not in said


def test_it_has_at_most_sixty_lines(tmp_path: Path) -> None:
    """Six cells, a failure, no verdict in any, a long series and a table of memory."""
    cells = tuple(f"{b}.{w}" for b in ("disk", "zram", "zswap") for w in ("pageio", "pressure"))
    workloads = {name: {**WORKLOAD, "name": name} for name in ("pageio", "pressure")}
    outcomes = {(cells[0], 0, "patch"): "panic"}
    fake = Fake(pairs=4, scatter=0.02, effect=1.02, aa=True, cells=cells, outcomes=outcomes,
                manifest={"workloads": workloads})  # fmt: skip
    memory = overheads.analyse(fake_overhead.write(tmp_path / "memory", fake_overhead.Fake()))
    folder = result(tmp_path, fake)
    old, new = KernelSize(5_279_328, 1_721_823, 370_628), KernelSize(5_279_487, 1_721_902, 370_852)
    sizes.write(folder, Sizes.of(old, new))
    text = reply.body(
        Answer(files.read(folder), [replace(memory, backends=memory.backends * 3)]),
        manifest.load(folder),
        [Evidence(name, "0" * 64, checksums.made_with()) for name in ("demo", "memory")],
    )
    assert len(re.findall("^zswap +claim ", text, re.MULTILINE)) == 3 and text.count("make ") == 2
    assert 50 < text.count("\n") <= 60


def test_a_label_that_is_too_long_has_its_numbers_below(made: str) -> None:
    lines = body(made)
    at = lines.index(LONG)
    assert lines[at + 1].startswith("|") and lines[at + 1].endswith("worse")


def test_the_hash_is_that_of_the_file(folder: Path, made: str) -> None:
    digest = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert digest in body(made)


def test_the_command_is_one_that_a_shell_reads_back() -> None:
    command = "make compare BASE=v6.19 'BACKENDS=zram zswap swapfile' " + " ".join(
        f"NAME{number}=value" for number in range(12)
    )
    lines = parts.command_lines(command)
    assert len(lines) > 2 and max(map(len, lines)) <= 72
    joined = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(joined) == shlex.split(command)
    assert parts.command_lines(f"make compare PATCH={'x' * 80}") == ["make compare SPEC=spec.yaml"]


@pytest.mark.parametrize("long", [False, True])
def test_the_overhead_table_has_the_claim_beside_it(tmp_path: Path, long: bool) -> None:
    memory = fake_overhead.write(tmp_path / "memory", fake_overhead.Fake())
    made = draft.make(result(tmp_path), overhead=memory, long=long)
    lines = body(made)
    assert max(map(len, lines)) <= 72
    assert any("claimed" in line and "95 % interval" in line for line in lines)
    start = r"100% patch  +193\.00 " if long else r"zswap +claim +153\.00 193\.00 \+40\.00 "
    assert any(re.match(start, line) for line in lines), "the published figure of a full zswap area"
    assert memory.name in "\n".join(lines)
    with pytest.raises(UserError, match="make overhead"):
        draft.make(result(tmp_path / "two"), overhead=result(tmp_path / "three"))


def test_without_a_mailed_series_there_is_nobody_to_write_to(tmp_path: Path) -> None:
    made = draft.make(result(tmp_path, cover=None))
    mail = email.message_from_string(made, policy=email.policy.default)
    assert mail["To"] is None and mail["In-Reply-To"] is None
    assert mail["Subject"] == "swap: Virtual Swap Space, measured against v6.19"


def test_changed_raw_files_give_no_mail(tmp_path: Path) -> None:
    folder = result(tmp_path)
    victim = next(folder.glob("boots/*/01-patch/workload.jsonl"))
    victim.write_text(victim.read_text().replace("swapin", "swapin_nz"))
    with pytest.raises(UserError, match="changed"):
        draft.make(folder)


def test_text_from_guests_and_mails_stays_ascii(tmp_path: Path) -> None:
    odd = {**WORKLOAD, "description": "\u201cq\u201d \t \u202e \U0001f600"}
    made = draft.make(result(tmp_path, Fake(manifest={"workloads": {"pageio": odd}})))
    assert made.isascii() and "\t" not in made


PASSAGE = """\
> > deeper quoted
> quoted by him

What does it cost for zram? I would like to see numbers, and this line is too long for any mail.
\tindented code();
--
his signature
"""


def test_a_passage_is_quoted_with_its_depth() -> None:
    lines = draft.quotation(PASSAGE, COVER)
    assert lines[0] == "On Sun, 8 Feb 2026 13:58:13 -0800, Zoe Example wrote:"
    assert lines[1:4] == [">>> deeper quoted", ">> quoted by him", ">"]
    assert lines[4].startswith("> What does it cost") and lines[5].startswith("> ")
    assert lines[-1] == ">         indented code();"
    assert max(map(len, lines)) <= 76 and all(line.isascii() for line in lines)


def test_a_quoted_mail_is_the_one_that_is_answered(folder: Path, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_bytes(
        b"From x Thu Jan  1 00:00:00 1970\nFrom: Rev <rev@example.org>\nTo: list@example.org\n"
        b"Message-ID: <answer@example.org>\nReferences: <cover@example.org>\n"
        b"Subject: Re: [PATCH v3 03/20] x\n\nWhy?\n"
    )
    made = draft.make(folder, quoted=draft.from_file(mail))
    assert "In-Reply-To: <answer@example.org>" in made and "To: Rev <rev@example.org>" in made
    assert "Subject: Re: [PATCH v3 03/20] x\n" in made
    assert "Rev wrote:\n> Why?\n" in made
    text = tmp_path / "text"
    text.write_text("Only a passage.\n")
    made = draft.make(folder, quoted=draft.from_file(text))
    assert f"In-Reply-To: <{COVER.message_id}>" in made and "\n> Only a passage.\n" in made


def test_the_command_writes_the_file_and_prints_it(
    folder: Path, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reply", str(folder), "--long=yes"]) == 0
    assert "How it was measured" in capsys.readouterr().out
    assert main(["reply", str(folder)]) == 0
    assert capsys.readouterr().out == made == (folder / "reply.eml").read_text()
    assert not checksums.raw_differences(folder), "the draft is no raw file"
    assert main(["reply", str(folder), "--quote", str(folder / "none")]) == 2
    assert "'--quote" not in capsys.readouterr().err


def test_shell_reads_the_printed_command(made: str) -> None:
    lines = body(made)
    at = lines.index("To repeat it:") + 1
    done = subprocess.run(
        ["sh", "-c", f"make() {{ printf '%s\\n' \"$@\"; }}\n{lines[at]}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["compare", "BASE=v6.19", "PATCH=vswap-v3"]


def test_a_clone_of_the_readers_own_is_explained(folder: Path, made: str) -> None:
    path = folder / "manifest.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"command": f"{facts['command']} KERNEL_GIT={CLONE}"}))
    checksums.raw(folder)
    said = "KERNEL_GIT is any clone of the kernel that has these commits."
    assert said in draft.make(folder) and said not in made


@pytest.mark.parametrize("long", [False, True])
def test_verify_derives_each_number_of_both_forms_again(tmp_path: Path, long: bool) -> None:
    folder = result(tmp_path, Fake(pairs=4, scatter=0.002, aa=True))
    memory = fake_overhead.write(tmp_path / "memory", fake_overhead.Fake())
    memory = memory.rename(memory.with_name("memory-demo"))
    (folder / checksums.NAME).unlink()
    for one in (folder, memory):
        for boot in (one / "boots").glob("*/*"):
            checksums.boot(boot)
        checksums.raw(one)
    files.make(folder)
    checksums.report(folder)
    made = draft.make(folder, overhead=memory, long=long)
    path = draft.write(folder, made)
    assert verify.verify(folder, beside=[folder, memory]).derived == ()
    assert verify.verify(folder).derived == (), "without the other result at hand"
    numbers = [line for line in body(made) if measured(line)]
    assert len(numbers) > (30 if long else 6)
    assert set(numbers) <= set(draft.numbers(folder, [folder, memory])), "verify looks for each"
    forged = made.replace(numbers[0], numbers[0].translate(FORGED), 1)
    path.write_text(forged)
    (found,) = verify.verify(folder, beside=[folder, memory]).derived
    assert found.place == draft.NAME and numbers[0] in found.what


FORGED = str.maketrans("0123456789", "1234567890")


def measured(line: str) -> bool:
    """Whether a line has a per cent, an interval or a verdict: a number that was measured."""
    return bool(re.search(r"\d ?%|\[[-+]?\d|\d (worse|undecided)$", line))


def test_the_mail_names_the_pages_of_its_cells_on_the_board(tmp_path: Path) -> None:
    folder = result(tmp_path, Fake(pairs=3, aa=True))
    cells = {"zram-lz4.pageio": {"workload": "pageio"}, "zswap-lz4.pageio": {}}
    identity = {"clock": "insn", "cells": cells}
    (folder / "experiment.json").write_text(json.dumps(identity))
    checksums.raw(folder)
    plain = draft.make(folder)
    linked = draft.make(folder, board="https://board.example/swap/")
    assert linked.startswith(plain) and linked.isascii()
    added = linked.removeprefix(plain).split("\n")
    urls = [f"https://board.example/swap/cell/{address.cell(name, cell, identity)}/"
            for name, cell in cells.items()]  # fmt: skip
    assert added == ["", "Each cell in all that was measured:", *urls, ""]
