# SPDX-License-Identifier: GPL-2.0-only
"""An answer to a mailed series as a file for git send-email or b4.  Nothing is ever sent."""

from __future__ import annotations

import email.utils
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email.header import Header
from pathlib import Path

from harness.experiment import defaults
from harness.report import files
from harness.report.layout import WIDTH
from harness.report.model import Report
from harness.results import address as addresses
from harness.results import checksums, manifest, record
from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest, ResultKind
from harness.results.record import kind_of
from harness.run import evidence
from harness.series.mail import cover
from harness.series.mail.cover import Cover
from harness.stats.verdict import Kind
from harness.studies.arms import analysis as arms
from harness.studies.arms.analysis import ArmStudy
from harness.studies.overhead import analysis as overheads
from harness.studies.reply import armed, walked
from harness.studies.reply import body as reply
from harness.studies.reply.parts import Answer, Evidence, called
from harness.studies.walk import analysis as walks
from harness.util import atomic, header
from harness.util.errors import UserError

NAME = defaults.DRAFT

_MIME = (
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "Content-Transfer-Encoding: 7bit",
)
_QUOTED = 76
_MOST_QUOTED = 60
_MOST_CELLS = 6
_PLAIN = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
        "\u2026": "...", "\u00a0": " ", "\u2212": "-", "\u00d7": "x", "\u2192": "->",
        "\u2264": "<=", "\u2265": ">=", "\u00b1": "+-", "\u00b5": "u", "\u00df": "ss",
    }
)  # fmt: skip


_ANSWERED = (ResultKind.COMPARE, ResultKind.ARMS, ResultKind.OVERHEAD, ResultKind.WALK)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A passage to answer. cover: of the mail that it is from, None if nobody knows."""

    passage: str
    cover: Cover | None = None


def make(
    results: Path,
    *,
    overhead: Path | None = None,
    quoted: Quoted | None = None,
    long: bool = False,
    board: str = "",
) -> str:
    """The whole draft, headers first; every line ASCII. long: with all that is known.

    board: the URL of a board, with a slash at its end; the mail then names each cell's page
    Refuses with UserError where a raw file is not as it was recorded, and raises what the reports
    of both results raise.
    """
    kind = kind_of(results)
    if kind not in _ANSWERED:
        raise UserError(
            f"'{results}' is of the kind {kind}: a reply is drafted from one comparison, its arms, "
            f"one walk or one measurement of overhead{record.instead(results)}"
        )
    if kind is ResultKind.ARMS:
        if overhead is not None:
            raise UserError("the reply of several arms takes no OVERHEAD=: it is of two kernels")
        study, proofs = arms.analyse(results), [_evidence(results)]
        each = _manifests(results, study)
        text = armed.body(study, each, proofs, long=long)
        return _mail(next(reversed(each.values()), Manifest()), text, quoted)
    if kind is ResultKind.WALK:
        if several := walks.named(record.read(results, kind)):
            raise UserError(
                f"'{results}' is a walk of the arms {several}: a reply is drafted from that of "
                f"one of them{record.instead(results)}"
            )
        if overhead is not None:
            raise UserError("the reply of a walk takes no OVERHEAD=: BYTES=yes walks over memory")
        about, proofs = _last(results), [_evidence(results)]
        text = walked.body(walks.analyse(results), about, proofs, long=long)
        return _mail(about, text, quoted)
    memory = results if kind is ResultKind.OVERHEAD else overhead
    if memory is not None and kind_of(memory) is not ResultKind.OVERHEAD:
        raise UserError(f"OVERHEAD='{memory}' is no result of 'make overhead'")
    proofs = [_evidence(one) for one in dict.fromkeys(filter(None, (results, memory)))]
    about = manifest.load(results)
    answer = _answer(results, [memory] if memory else [])
    text = reply.body(answer, about, proofs, long=long)
    if board and kind is ResultKind.COMPARE:
        text += "".join(f"{line}\n" for line in _on_board(results, answer.report, board))
    return _mail(about, text, quoted)


def _mail(about: Manifest, text: str, quoted: Quoted | None) -> str:
    head = _head(about)
    answered = (quoted.cover if quoted else None) or head
    passage = "\n".join(quotation(quoted.passage, quoted.cover)) + "\n\n" if quoted else ""
    return headers(answered, _subject(about)) + "\n" + passage + text


def _manifests(results: Path, study: ArmStudy) -> dict[str, Manifest]:
    """What the arms that have a result say of their kernels; the last one is the one answered."""
    return {one.name: manifest.load(results / one.folder) for one in study.arms if one.folder}


def _on_board(results: Path, report: Report, board: str) -> list[str]:
    """The addresses of the cells' pages, the worst first.  A URL is not broken."""
    identity = atomic.json_file(results / "experiment.json") or {}
    cells = identity.get("cells") or {}
    order = (Kind.WORSE, Kind.BETTER)
    rows = [(row.verdict.kind if row.verdict else Kind.NONE, row.cell) for row in report.primary]
    rows.sort(key=lambda one: order.index(one[0]) if one[0] in order else len(order))
    names = list(dict.fromkeys(cell for _, cell in rows if cell in cells))
    urls = [f"{board}cell/{addresses.cell(name, cells[name], identity)}/" for name in names]
    return ["", "Each cell in all that was measured:", *urls[:_MOST_CELLS]] if urls else []


def _last(results: Path) -> Manifest:
    """What the last measured patch of a walk says of the series."""
    steps = record.read(results, ResultKind.WALK)["steps"]
    folders = [str(step["folder"]) for step in steps if step["folder"]]
    return manifest.load(results / folders[-1]) if folders else Manifest()


def numbers(results: Path, beside: Sequence[Path] = ()) -> list[str]:
    """The lines with numbers that the draft has of a result, and the hash of its evidence.

    ``beside`` are other results; of those that the draft names, the overhead tables count too.
    Errors as in `make`.
    """
    text = (results / NAME).read_text("utf-8", "backslashreplace")
    if kind_of(results) is ResultKind.WALK:
        proof = atomic.sha256_file(results / checksums.NAME)
        return [*walked.derived(text, walks.analyse(results)), proof]
    if kind_of(results) is ResultKind.ARMS:
        proof = atomic.sha256_file(results / checksums.NAME)
        return [*armed.derived(text, arms.analyse(results)), proof]
    sizes = (one for one in beside if kind_of(one) is ResultKind.OVERHEAD)
    memory = [one for one in sizes if f"\n{one.name}, sha" in text]
    if kind_of(results) is ResultKind.OVERHEAD:
        memory.insert(0, results)
    lines = reply.derived(text, _answer(results, memory))
    proofs = [atomic.sha256_file(one / checksums.NAME) for one in dict.fromkeys((results, *memory))]
    return [*lines, *proofs]


def _answer(results: Path, memory: Sequence[Path]) -> Answer:
    overhead = [overheads.analyse(one) for one in memory]
    return Answer(files.read(results), overhead, kind_of(results) is ResultKind.OVERHEAD)


def write(results: Path, draft: str) -> Path:
    """Write results/<name>/reply.eml."""
    atomic.text(results / NAME, draft)
    return results / NAME


def _evidence(results: Path) -> Evidence:
    checksums.guard(results)
    sums = results / checksums.NAME
    digest = atomic.sha256_file(sums) if sums.is_file() else None
    name, made = results.resolve().name, checksums.made_with()
    return Evidence(name, digest, made, evidence.files(results), evidence.needed(results))


def _head(about: Manifest) -> Cover | None:
    """The series' cover letter; an older manifest has at most its id."""
    found = cover.from_data(about.series.letter or {})
    known = about.series.origin.get("message_id")
    if found is None and known:
        return Cover(str(known), "", "")
    return found


def _subject(about: Manifest) -> str:
    """The subject where there is no mail to answer."""
    title = about.series.title
    base, patch = (called(about.arm(arm)) for arm in ARMS)
    return f"swap: {title if title != UNKNOWN else patch}, measured against {base}"


def headers(answered: Cover | None, subject: str) -> str:
    """The header lines. To is the sender answered, Cc whom that mail went to.

    Without a mail to answer, To and Cc are left to who sends it.
    """
    lines = []
    if answered is not None:
        to, cc = recipients(answered)
        lines += _field("To", to) + _field("Cc", cc)
        # An id of other characters is no id: nobody could answer to it, and headers are ASCII.
        ids = [
            one
            for one in (*answered.references, answered.message_id)
            if one.isascii() and one.isprintable()
        ]
        if answered.message_id in ids:
            lines.append(f"In-Reply-To: <{answered.message_id}>")
        if ids:
            lines.append("References: " + "\n ".join(f"<{one}>" for one in ids))
        if answered.subject:
            subject = re.sub(r"^(re:\s*)?", "Re: ", answered.subject, count=1, flags=re.I)
    charset = "us-ascii" if subject.isascii() else "utf-8"
    shown = Header(" ".join(subject.split()), charset, 76, "Subject").encode()
    return "\n".join([*lines, f"Subject: {shown}", *_MIME]) + "\n"


def _field(name: str, people: Sequence[str]) -> list[str]:
    """A header of addresses, one a line; nothing if there are none."""
    return [f"{name}: " + ",\n ".join(people)] if people else []


def recipients(answered: Cover) -> tuple[list[str], list[str]]:
    """To and Cc of the answer as they stand in a header; nobody twice."""
    seen: set[str] = set()

    def kept(people: Sequence[str]) -> Iterator[str]:
        for shown, address in header.addresses(people):
            plain_text = address.isascii() and address.isprintable()
            if "@" in address and plain_text and address.lower() not in seen:
                seen.add(address.lower())
                yield email.utils.formataddr((" ".join(shown.split()), address))

    to = list(kept([answered.sender] if answered.sender else []))
    return to, list(kept([*answered.to, *answered.cc]))


def quotation(passage: str, source: Cover | None) -> list[str]:
    """The passage with "> " before each line, and who wrote it, in ASCII.

    Prose that is too long is broken; the signature and a diff are left out.
    """
    lines = []
    if source is not None:
        name = next(filter(None, header.address(source.sender)), "")
        when = f"On {source.date}, " if source.date else ""
        lines = textwrap.wrap(plain(f"{when}{name} wrote:"), WIDTH)
    given = [line.rstrip() for line in plain(passage).expandtabs(8).split("\n")]
    kept: list[str] = []
    for line in given:
        if line in ("--", "---") or line.startswith("diff --git "):
            break
        kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    while kept and not kept[0]:
        kept.pop(0)
    if len(kept) > _MOST_QUOTED:
        kept = [*kept[:_MOST_QUOTED], "[...]"]
    return lines + [line for one in kept for line in _quote(one)]


def _quote(line: str) -> list[str]:
    level = re.match(r"(?:> ?)*", line)
    depth = level[0].count(">") + 1 if level else 1
    text = line[level.end() :] if level else line
    mark = ">" * depth + " "
    if len(mark) + len(text) <= _QUOTED:
        return [f"{mark}{text}".rstrip()]
    pieces = textwrap.wrap(text, _QUOTED - len(mark), break_on_hyphens=False)
    return [f"{mark}{piece}" for piece in pieces]


def plain(text: str) -> str:
    """Text as ASCII: typographic signs by their plain likes, letters without accents."""
    split = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    bare = "".join(c for c in split if not unicodedata.combining(c))
    shown = bare.encode("ascii", "replace").decode("ascii")
    return "".join(c if c in "\n\t" or " " <= c <= "~" else "?" for c in shown)


def from_file(path: Path) -> Quoted:
    """The passage in a file: a saved mail with its headers, or plain text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"--quote: '{path}' cannot be read: {error.strerror}") from error
    raw = raw.split(b"\n", 1)[-1] if raw.startswith(b"From ") else raw
    found = cover.read(raw) if re.match(rb"[A-Za-z-]+:", raw) else None
    if found is not None:
        return from_mail(raw)
    return Quoted(raw.decode("utf-8", "replace").replace("\r\n", "\n"))


def from_mail(raw: bytes) -> Quoted:
    """The text of a mail, to be answered."""
    found = cover.read(raw)
    if found is not None and not found.subject:
        found = replace(found, subject="your mail")
    return Quoted(cover.text(raw), found)
