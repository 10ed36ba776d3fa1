# SPDX-License-Identifier: GPL-2.0-only
"""The KTAP parser: the format's documentation, kselftest's own output, and damaged texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results import ktap
from harness.results.ktap import Result

FLAT = """\
TAP version 13
1..4
ok 1 test_zswap_usage
# zswpout does not increase after test program
not ok 2 test_swapin_nozswap
ok 3 test_zswapin # SKIP no zswap
not ok 4 - test_late # XFAIL known since v6.1
"""

# As kselftest's runner.sh prints it.
RUNNER = """\
TAP version 13
1..3
# timeout set to 45
# selftests: cgroup: test_zswap
# TAP version 13
# 1..2
# ok 1 test_a
# # said before b
# not ok 2 test_b
# # Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
not ok 1 selftests: cgroup: test_zswap # exit=1
# timeout set to 45
# selftests: mm: khugepaged
# Run test: collapse_full (khugepaged:anon)
ok 2 selftests: mm: khugepaged
# timeout set to 45
# selftests: mm: cow
#
not ok 3 selftests: mm: cow # TIMEOUT 45 seconds
"""

# From Documentation/dev-tools/ktap.rst, shortened.
NESTED = """\
KTAP version 1
1..2
  KTAP version 1
  1..2
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
ok 1 main_test_01
  # Subtest: other
ok 2 - other
"""


def results(text: str) -> dict[str, Result]:
    found = ktap.parse(text)
    assert len({case.path for case in found.cases}) == len(found.cases)
    return {case.name: case.result for case in found.cases}


def test_results_and_directives_of_one_level() -> None:
    found = ktap.parse(FLAT)
    assert found.defects == ()
    assert [case.result for case in found.cases] == [
        Result.PASS, Result.FAIL, Result.SKIP, Result.XFAIL,
    ]  # fmt: skip
    assert [case.name for case in found.cases] == [
        "test_zswap_usage", "test_swapin_nozswap", "test_zswapin", "test_late",
    ]  # fmt: skip
    assert found.cases[1].log == ("zswpout does not increase after test program",)
    assert found.cases[2].directive == "SKIP no zswap"
    assert found.cases[3].directive == "XFAIL known since v6.1"


def test_a_name_behind_the_mark_is_the_name() -> None:
    """kselftest.h writes it there, where a test did not just pass or fail."""
    text = """\
TAP version 13
1..7
ok 1 # SKIP swap on tmpfs
ok 2 # XFAIL swap over NFS
ok 3 # XPASS swap on btrfs
not ok 4 # error no memory
ok 5 # SKIP
ok 6 huge pages # XPASS since v6.2
ok 7 folios #  3 of 4
"""
    found = ktap.parse(text)
    assert [(one.name, one.result, one.directive) for one in found.cases] == [
        ("swap on tmpfs", Result.SKIP, "SKIP swap on tmpfs"),
        ("swap over NFS", Result.XFAIL, "XFAIL swap over NFS"),
        ("swap on btrfs", Result.PASS, "XPASS swap on btrfs"),
        ("no memory", Result.FAIL, "error no memory"),
        ("test 5", Result.SKIP, "SKIP"),
        ("huge pages", Result.PASS, "XPASS since v6.2"),
        # Without a directive it is a remark, and no part of the name either.
        ("folios", Result.PASS, "3 of 4"),
    ]
    assert results("TAP version 13\n1..1\nok 1 slot #7 of 9\n") == {"slot #7 of 9": Result.PASS}


# As KUnit printed it up to 6.2.
KUNIT = """\
TAP version 14
1..2
    # Subtest: swap_table
    1..3
    # swap_table_get: slot 5 is free
    ok 1 - swap_table_get
        # Subtest: swap_table_put
        not ok 1 one slot
        ok 2 two slots # SKIP no memory
    # swap_table_put: pass:0 fail:1 skip:1 total:2
    not ok 2 - swap_table_put
    ok 3 - swap_table_full
not ok 1 - swap_table
    # Subtest: swap_cluster
    1..1
    ok 1 - swap_cluster_free
ok 2 - swap_cluster
"""


@pytest.mark.parametrize("stamp", ["", "[   12.345678] ", "[   12.345678][   T41] "])
@pytest.mark.parametrize("blank", ["    ", "\t"])
def test_subtests_of_kunit_without_a_version_line(blank: str, stamp: str) -> None:
    text = "".join(f"{stamp}{line}\n" for line in KUNIT.replace("    ", blank).splitlines())
    assert ktap.parse(text).defects == ()
    assert results(text) == {
        "swap_table > swap_table_get": Result.PASS,
        "swap_table > swap_table_put > one slot": Result.FAIL,
        "swap_table > swap_table_put > two slots": Result.SKIP,
        "swap_table > swap_table_put": Result.FAIL,
        "swap_table > swap_table_full": Result.PASS,
        "swap_table": Result.FAIL,
        "swap_cluster > swap_cluster_free": Result.PASS,
        "swap_cluster": Result.PASS,
    }


def test_a_suite_of_kunit_that_ends_in_the_middle_is_lost_by_its_name() -> None:
    head, _, _ = KUNIT.partition("ok 2 - swap_cluster\n")
    found = ktap.parse(head)
    assert (found.cases[-1].name, found.cases[-1].result) == ("swap_cluster", Result.LOST)
    assert found.cases[-2].name == "swap_cluster > swap_cluster_free"


def test_the_runners_nesting() -> None:
    found = ktap.parse(RUNNER)
    zswap, cow = "selftests: cgroup: test_zswap", "selftests: mm: cow"
    assert found.defects == ()
    assert results(RUNNER) == {
        f"{zswap} > test_a": Result.PASS,
        f"{zswap} > test_b": Result.FAIL,
        zswap: Result.FAIL,
        "selftests: mm: khugepaged": Result.PASS,
        cow: Result.FAIL,
    }
    by_name = {case.name: case for case in found.cases}
    assert by_name[zswap].inner
    assert by_name[zswap].directive == "exit=1"
    assert by_name[f"{zswap} > test_b"].log == ("said before b",)
    assert by_name[cow].directive == "TIMEOUT 45 seconds"
    assert not by_name["selftests: mm: khugepaged"].inner


def test_results_without_a_header_are_told_once() -> None:
    """As cgroup's tests of 6.12 print them: children print again what they inherited."""
    text = """\
TAP version 13
1..2
# selftests: cgroup: test_one
# ok 1 usage
# ok 1 usage
# ok 2 swapin # SKIP no zswap
# ok 1 usage
# ok 2 swapin # SKIP no zswap
# expected 3, got 4
# not ok 3 writeback
not ok 1 selftests: cgroup: test_one # exit=1
# selftests: cgroup: test_two
# one line that is ok
ok 2 selftests: cgroup: test_two
"""
    found = ktap.parse(text)
    assert [(one.path[-1], str(one.result)) for one in found.cases] == [
        ("usage", "pass"), ("swapin", "skip"), ("writeback", "fail"),
        ("selftests: cgroup: test_one", "fail"), ("selftests: cgroup: test_two", "pass"),
    ]  # fmt: skip
    assert found.cases[2].log == ("expected 3, got 4",) and not found.defects


def test_nesting_by_blanks() -> None:
    found = ktap.parse(NESTED)
    assert found.defects == ()
    assert results(NESTED) == {
        "main_test_01 > example_test_1 > test_1": Result.PASS,
        "main_test_01 > example_test_1": Result.PASS,
        "main_test_01 > example_test_2 > test_1": Result.SKIP,
        "main_test_01 > example_test_2 > test_2": Result.PASS,
        "main_test_01 > example_test_2": Result.PASS,
        "main_test_01": Result.PASS,
        "other": Result.PASS,
    }


def test_a_missing_plan_is_a_defect_and_no_loss() -> None:
    found = ktap.parse(FLAT.replace("1..4\n", ""))
    assert len(found.cases) == 4
    assert found.defects == ("the whole: there is no plan (1..N)",)


def test_fewer_results_than_planned() -> None:
    found = ktap.parse("TAP version 13\n1..3\nok 1 a\n")
    assert found.defects == ("the whole: 3 tests are planned, 1 reported",)


def test_a_text_that_ends_in_the_middle_names_the_test_that_was_running() -> None:
    cut = RUNNER[: RUNNER.index("# # said before b")]
    found = ktap.parse(cut)
    last = found.cases[-1]
    assert (last.name, last.result) == ("selftests: cgroup: test_zswap", Result.LOST)
    assert last.log[-1] == "ok 1 test_a"
    assert results(cut)["selftests: cgroup: test_zswap > test_a"] == Result.PASS
    assert any("2 tests are planned, 1 reported" in text for text in found.defects)
    assert any("3 tests are planned, 1 reported" in text for text in found.defects)


def test_all_skipped_is_no_defect() -> None:
    assert ktap.parse("TAP version 13\n1..0 # SKIP memory controller isn't available\n") == (
        ktap.KtapResult((), ())
    )


def test_bail_out_is_told() -> None:
    found = ktap.parse("TAP version 13\n1..2\nok 1 a\nBail out! no pagemap\n")
    assert "the whole: bailed out: no pagemap" in found.defects


def test_equal_names_are_told_apart_by_what_was_run_or_by_their_turn() -> None:
    text = (
        "TAP version 13\n1..1\n# selftests: mm: cow\n# TAP version 13\n# 1..3\n"
        "# # [RUN] Basic COW ... with base page\n# ok 1 No leak\n"
        "# # [RUN] Basic COW ... with swapped out base page\n# ok 2 No leak\n# ok 3 No leak\n"
        "ok 1 selftests: mm: cow\n"
    )
    names = [case.path[-1] for case in ktap.parse(text).cases]
    assert names == [
        "Basic COW ... with base page: No leak",
        "Basic COW ... with swapped out base page: No leak",
        "Basic COW ... with swapped out base page: No leak (2)",
        "selftests: mm: cow",
    ]


def test_a_wrong_number_is_told() -> None:
    found = ktap.parse("TAP version 13\n1..2\nok 1 a\nok 3 b\n")
    assert "the whole: test 2 calls itself 3" in found.defects


def test_what_is_no_ktap_has_no_tests() -> None:
    found = ktap.parse("ok 1 hello\n")
    assert found.cases == ()
    assert len(found.defects) == 1


PIECES = [
    "TAP version 13",
    "1..3",
    "ok 1 a",
    "not ok 2 b # SKIP",
    "# ",
    "  ",
    "Bail out!",
    "\n",
    "x",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_any_text_is_read(text: str) -> None:
    found = ktap.parse(text)
    assert len({case.path for case in found.cases}) == len(found.cases)


@given(st.integers(0, len(RUNNER)))
def test_a_result_that_is_there_survives_any_cut(cut: int) -> None:
    whole, part = results(RUNNER), results(RUNNER[:cut])
    lines = RUNNER[:cut].rsplit("\n", 1)[0]
    for name in ("test_a", "test_b"):
        full = f"selftests: cgroup: test_zswap > {name}"
        if f" {name}\n" in lines + "\n" and "# selftests: cgroup" in lines:
            assert part[full] == whole[full]
