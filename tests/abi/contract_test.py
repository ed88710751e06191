#!/usr/bin/env python3
"""abi.h has nothing but additions over the copies that are kept, and what compares them finds each other change."""

import pathlib
import re
import unittest

from contract import Contract, compare

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = (ROOT / "sdk/include/gatehouse/abi.h").read_text()
KEPT = sorted((ROOT / "tests/abi").glob("1.*/abi.h"))


def changed(before, after, text=NOW):
    """`text` with one place changed; there must be exactly one."""
    assert text.count(before) == 1, f"{text.count(before)} times {before!r}"
    return text.replace(before, after)


def raised(text):
    return re.sub(r"(#define GH_ABI_MINOR) \d+", lambda found: f"{found[1]} {Contract(text).minor + 1}", text)


class KeptCopies(unittest.TestCase):
    def test_abi_h_has_only_grown_since(self):
        self.assertTrue(KEPT)
        for file in KEPT:
            self.assertEqual(compare(file.read_text(), NOW), [], file)


class Comparer(unittest.TestCase):
    """Each change of a kind, seeded into the header as it is."""

    def finds(self, text, words):
        found = compare(NOW, raised(text))
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_reads_the_whole_header(self):
        contract = Contract(NOW)
        self.assertEqual(len(contract.structs), len(re.findall(r"^typedef struct \w+ \{", NOW, re.MULTILINE)))
        self.assertGreater(len(contract.structs), 35)
        self.assertEqual(contract.numbers["GH_E_IN_DOUBT"], -10)
        self.assertEqual(contract.numbers["gh_manifest_size_1_0"], 96)
        self.assertEqual(contract.structs["gh_bytes"], ["const uint8_t*data", "size_t size"])
        self.assertIn("gh_endpoint", contract.frozen)

    def test_a_field_of_another_type(self):
        self.finds(changed("  uint32_t scope;  /* IPv6", "  uint64_t scope;  /* IPv6"),
                   "gh_endpoint has `uint64_t scope` where `uint32_t scope` was")

    def test_a_field_of_another_name(self):
        self.finds(changed("  const char* const* requires_ids;", "  const char* const* needs_ids;"),
                   "`const char*const*needs_ids`")

    def test_a_lost_field(self):
        self.finds(changed("  gh_bytes unsent;", ""), "gh_export_record has lost its field `gh_bytes unsent`")

    def test_an_inserted_field(self):
        self.finds(changed("  const int32_t* fds; ", "  uint64_t between;\n  const int32_t* fds; "),
                   "which now stands behind it")

    def test_fields_that_changed_places(self):
        self.finds(changed("  gh_bytes unread;       /* stream bytes that were read and not yet used */\n"
                           "  gh_bytes unsent;       /* output that the stream has not taken yet */",
                           "  gh_bytes unsent;\n  gh_bytes unread;"), "gh_export_record has `gh_bytes unsent` where")

    def test_a_function_with_another_argument(self):
        self.finds(changed("(*describe)(const uint64_t state[2], gh_message* out)",
                           "(*describe)(const uint64_t state[3], gh_message* out)"), "gh_sessions_describe has")

    def test_a_frozen_struct_that_grows(self):
        self.finds(changed("} gh_bytes;", "  uint32_t more;\n} gh_bytes;"), "gh_bytes is frozen")

    def test_a_struct_that_is_gone(self):
        self.finds(changed("} gh_export_record;", "} gh_moved_record;", changed(
            "typedef struct gh_export_record {", "typedef struct gh_moved_record {")), "struct gh_export_record is gone")

    def test_a_renumbered_enumerator(self):
        self.finds(changed("GH_WAKE_DRAIN = 4,", "GH_WAKE_DRAIN = 3,"), "the number GH_WAKE_DRAIN was 4 and is 3")

    def test_a_lost_enumerator(self):
        self.finds(changed("  GH_E_STATE = -6,     /* not in this phase of life */\n", ""), "the number GH_E_STATE is gone")

    def test_another_interface_id(self):
        self.finds(changed('EXPORT_ID "gh.sessions.export/1"', 'EXPORT_ID "gh.sessions.export/2"'), "the macro GH_SESSIONS_EXPORT_ID was")

    def test_another_status_type(self):
        self.finds(changed("typedef int32_t gh_status;", "typedef int64_t gh_status;"), "the type `int32_t gh_status`")

    def test_a_check_that_is_gone(self):
        self.finds(changed("GH_PLACE(gh_manifest, ops, 88);\n", ""), "the check GH_PLACE(gh_manifest,ops,88)")

    def test_a_minor_that_is_not_raised(self):
        grown = changed("} gh_manifest;", "  uint64_t more;\n} gh_manifest;")
        self.assertIn("raise it", compare(NOW, grown)[0])

    def test_a_minor_that_has_sunk(self):
        self.assertIn("GH_ABI_MINOR was", compare(raised(NOW), NOW)[0])

    def test_additions_at_the_end_are_fine(self):
        grown = changed("} gh_manifest;", "  uint64_t more;\n} gh_manifest;")
        grown = changed("} gh_session_cells;", "  uint64_t more;\n} gh_session_cells;", grown)
        grown = changed("  GH_WAKE_ALIVE = 64 ", "  GH_WAKE_MORE = 128, GH_WAKE_ALIVE = 64 ", grown)
        grown += '#define GH_NEW_ID "gh.new/1"\ntypedef struct gh_new {\n  uint32_t struct_size;\n} gh_new;\n'
        self.assertEqual(compare(NOW, raised(grown)), [])

    def test_words_for_people_are_free(self):
        self.assertEqual(compare(NOW, NOW.replace("/* 0 or more is success;", "/* Nothing below 0 is a failure;")), [])


if __name__ == "__main__":
    unittest.main()
