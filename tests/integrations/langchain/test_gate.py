"""The gate and the example tool, attacked: `COUNTERSIGN=program RECEIPTS=folder python test_gate.py`."""

import asyncio
import copy
import json
import os
import stat
import tempfile
import threading
import time
import unittest
from pathlib import Path

from countersign_gate import NotApproved, exact_json, gated, require_approval
from example import make_tool
from langchain_core.tools import StructuredTool

COUNTERSIGN = os.environ["COUNTERSIGN"]
RECEIPTS = Path(os.environ["RECEIPTS"])
GOOD = RECEIPTS / "good-payload.json"
APPROVED = json.loads((RECEIPTS / "good-payload.payload").read_text(encoding="utf-8"))
ID, NONCE = (json.loads(GOOD.read_text(encoding="utf-8"))["entry"][name] for name in ("id", "nonce"))
TRUST = {"config": RECEIPTS / "trust.toml", "countersign": COUNTERSIGN}


def again(_id):
    """`once` for tests that use one approval often."""
    return True


def others(value):
    """Values near a JSON value that are not it."""
    near = [None, False, True, 0, 1, -1, 0.5, "", "0", "null", "false", [], {}, [value], {"": value}, str(value)]
    if isinstance(value, str):
        near += [value + " ", value.upper(), value[:-1], value + "\0", value.replace("é", "e\u0301"), [*value]]
    if isinstance(value, dict):
        for name in value:
            near.append({other: inner for other, inner in value.items() if other != name})
            near += [{**value, name: inner} for inner in others(value[name])]
        near.append({**value, "extra": None})
    return [other for other in near if json.dumps(other) != json.dumps(value)]


class Gate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.journal = Path(self.folder.name) / "deleted.txt"

    def tool(self, receipt=GOOD, **options):
        return make_tool(lambda _: receipt, self.journal, **{**TRUST, "once": set(), **options})

    def file(self, name, content, mode=0o600):
        path = Path(self.folder.name) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def stub(self, script):
        """A program in the place of countersign."""
        return str(self.file("stub", "#!/bin/sh\n" + script, stat.S_IRWXU))

    def ran(self):
        return self.journal.read_text(encoding="utf-8").splitlines() if self.journal.exists() else []

    def refuses(self, arguments=APPROVED, why="", error=NotApproved, **options):
        with self.assertRaisesRegex(error, why):
            self.tool(**options).invoke(copy.deepcopy(arguments))
        self.assertEqual(self.ran(), [])

    # What may run.

    def test_the_approved_arguments_run(self):
        exact = {"approver": "bruna", "expect_id": ID, "max_age": "36500d", "extra_args": ["--deny-warnings"]}
        for options in [{}, exact]:
            self.assertIn("deleted", self.tool(**options).invoke(APPROVED))
        self.assertEqual(self.ran(), [json.dumps(list(APPROVED.values()))] * 2)

    def test_the_same_from_an_event_loop(self):
        tool = self.tool()
        self.assertIn("deleted", asyncio.run(tool.ainvoke(APPROVED)))
        with self.assertRaisesRegex(NotApproved, "used before"):
            asyncio.run(tool.ainvoke(APPROVED))
        with self.assertRaisesRegex(NotApproved, "payload failed"):
            asyncio.run(tool.ainvoke({**APPROVED, "limit": 1}))
        self.assertEqual(len(self.ran()), 1)

    def test_a_report_comes_back(self):
        self.assertEqual(require_approval(GOOD, APPROVED, once=set(), **TRUST)["nonce"], NONCE)
        exact = (RECEIPTS / "good-payload.payload").read_bytes()
        self.assertEqual(require_approval(str(GOOD), exact, once=set(), **TRUST)["verdict"], "clean")

    def test_signed_action_texts_are_part_of_it(self):
        receipt, payload = RECEIPTS / "good-action-payload.json", {"x": 1}
        require_approval(receipt, payload, action="Deploy", once=set(), **TRUST)
        for action in [None, "", "deploy", "Deploy all"]:
            with self.assertRaises(NotApproved):
                require_approval(receipt, payload, action=action, once=set(), **TRUST)
        self.refuses(action="Delete rows", why="action not-checked")  # this log's passkeys do not sign it

    def test_what_is_checked_is_what_runs(self):
        seen, mine = [], copy.deepcopy(APPROVED)

        def find(arguments):
            arguments["table"] = mine["filter"]["soft"] = "changed after it was read"
            return GOOD

        gated(find, once=set(), **TRUST)(lambda table, filter, limit: seen.append((table, filter, limit)))(**mine)
        self.assertEqual(seen, [tuple(APPROVED.values())])

    # Arguments.

    def test_every_other_argument_is_refused(self):
        near = [other for other in others(APPROVED) if isinstance(other, dict)]
        self.assertGreater(len(near), 60)
        for arguments in near:
            # Beside the check, the tool's own strict schema refuses some.
            with self.subTest(arguments=arguments):
                self.refuses(arguments, error=Exception)

    def test_every_other_argument_is_refused_by_the_gate_alone(self):
        seen = []

        def delete_rows(table: object, filter: object, limit: object = 100):
            """Delete rows."""
            seen.append((table, filter, limit))

        gate = gated(lambda _: GOOD, once=again, **TRUST)(delete_rows)
        loose = StructuredTool.from_function(gate)
        for arguments in [other for other in others(APPROVED) if isinstance(other, dict)]:
            with self.subTest(arguments=arguments), self.assertRaises((NotApproved, TypeError)):
                gate(**copy.deepcopy(arguments))
        # LangChain drops what a loose schema does not name; nothing but the approved arguments can run.
        for extra in [{}, {"extra": 1}]:
            loose.invoke({**APPROVED, **extra})
        # A default is an argument like others.
        named = {name: APPROVED[name] for name in ["table", "filter"]}
        gated(lambda _: GOOD, once=again, **TRUST)(lambda table, filter, limit=None: seen.append(1))(**named)
        self.assertEqual(seen.pop(), 1)
        with self.assertRaisesRegex(NotApproved, "payload failed"):
            loose.invoke(named)
        self.assertEqual(seen, [tuple(APPROVED.values())] * 2)

    def test_what_json_cannot_say_exactly_is_refused_before_anything_is_run(self):
        class Text(str):
            pass

        endless, deep = [], []
        endless.append(endless)
        for _ in range(100_000):
            deep = [deep]
        bad = [2**53 + 1, -(2**53) - 1, 10**400, float("nan"), float("inf"), (1,), {1}, [b"x"], bytearray(b"x"),
               {1: 2}, {None: 1}, {True: 1}, Text("x"), {Text("x"): 1}, object(), "\ud800", {"\ud800": 1},
               endless, deep]
        for value in bad:
            for nested in [value, [value], {"a": {"b": [value]}}]:
                with self.assertRaisesRegex(NotApproved, "no exact JSON"):
                    require_approval(GOOD, nested, countersign=self.stub(f"touch {self.journal}"))
        self.assertEqual(self.ran(), [])
        for value in [2**53, -(2**53), 1e300, 0.1, True, None, "é\0", {"a": [{}]}]:
            self.assertEqual(json.loads(exact_json(value)), value)

    def test_functions_whose_arguments_have_no_names_cannot_be_gated(self):
        async def later(x):
            pass

        for function in [lambda *a: 0, lambda **a: 0, lambda x, /: 0, later]:
            with self.assertRaises(TypeError):
                gated(lambda _: GOOD)(function)

    # Receipts.

    def test_other_receipts_are_refused(self):
        for name, why in [
            ("rejected-is-not-approved", "decision failed"),
            ("expired-is-not-approved", "decision failed"),
            ("sth-signature", "failed"),
            ("good-action-payload", ""),
            ("good-raw-payload", "payload failed"),
        ]:
            self.refuses(receipt=RECEIPTS / f"{name}.json", why=why)
        # Not even where a rejection of just this was what somebody put into the trust file.
        loose = self.file("loose.toml", (RECEIPTS / "trust.toml").read_text() + 'decision = "rejected"\n')
        self.refuses(receipt=RECEIPTS / "rejected-is-not-approved.json", config=loose, why="decision failed")

    def test_what_was_expected_otherwise_is_refused(self):
        self.refuses(expect_id=ID[:-1], why="id failed")
        self.refuses(approver="mallory", why="approver failed")
        self.refuses(approver="", why="approver failed")
        self.refuses(approver="--decision=rejected", why="approver failed")
        self.refuses(max_age="10m", why="age failed")
        self.refuses(max_age="soon", why="countersign ended with 2")
        self.refuses(max_age=0)
        self.refuses(extra_args=["--email", "a@example.com"], why="ended with 3")
        self.refuses(extra_args=["--help"], why="no report")
        self.refuses(config=None, why="incomplete")
        self.refuses(config=self.folder.name, why="countersign ended with 2")

    def test_forged_receipts_are_refused(self):
        text = GOOD.read_bytes()
        forgeries = [text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :] for at in range(3, len(text), 41)]
        entry = json.loads(text)
        for name, value in [("approver", "alex"), ("id", "x"), ("decidedAt", 1782000222001), ("rpId", "x.example")]:
            forgeries.append(json.dumps({**entry, "entry": {**entry["entry"], name: value}}).encode())
        forgeries += [b"", b"\n", b"{}", b"null", b"[]", text[:-2], text + text, text + b"\n" + text]
        self.assertGreater(len(forgeries), 60)
        for number, forged in enumerate(forgeries):
            with self.subTest(number=number):
                self.refuses(receipt=self.file("forged.json", forged))

    def test_what_is_no_receipt_file_is_refused(self):
        self.file("receipts.json", GOOD.read_bytes())
        for receipt in [None, 7, "", "-", "--help", "-V", "nowhere.json", "a\0b", self.folder.name, "/dev/null"]:
            self.refuses(receipt=receipt)

    def test_a_receipt_is_never_an_option(self):
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder.name)
        self.file("--help", GOOD.read_bytes())
        for name in ["-V", "-"]:
            self.file(name, (RECEIPTS / "rejected-is-not-approved.json").read_bytes())
            self.refuses(receipt=name, why="decision failed")
        self.tool(receipt="--help").invoke(APPROVED)

    # The program.

    def test_a_program_that_does_not_answer_is_no_approval(self):
        real = f"{COUNTERSIGN} \"$@\""
        for script in ["kill -9 $$", "kill -SEGV $$", "kill $$", f"{real}; kill -9 $$"]:
            self.refuses(countersign=self.stub(script), why="ended with -")
        for code in [1, 2, 3, 4, 5, 126, 127, 137, 255]:
            self.refuses(countersign=self.stub(f"exit {code}"), why=f"ended with {code}")
            self.refuses(countersign=self.stub(f"{real}; exit {code}"), why=f"ended with {code}")
        for program in ["/nowhere/countersign", self.folder.name, "", str(GOOD)]:
            self.refuses(countersign=program, why="could not be checked")

    def test_a_program_that_hangs_is_no_approval(self):
        # The second leaves a child behind that holds on to its output.
        for script in ["exec sleep 20", "sleep 20", f"{COUNTERSIGN} \"$@\"; sleep 20", "trap '' TERM; sleep 20"]:
            started = time.monotonic()
            self.refuses(countersign=self.stub(script), timeout=0.5, why="timed out")
            self.assertLess(time.monotonic() - started, 10)

    def test_a_program_that_says_something_else_is_no_approval(self):
        exact = {"approver": "bruna", "expect_id": ID}
        good = require_approval(GOOD, APPROVED, once=set(), **exact, **TRUST)
        repeat = self.stub(f"cat {self.file('said', json.dumps(good))}")
        require_approval(GOOD, APPROVED, once=set(), **exact, **{**TRUST, "countersign": repeat})
        said = ["", "ok", "{}", "[]", "null", "0", "NaN", "[" * 100_000, b"\xff", '{"checks":[]}', '{"checks":[{}]}']
        said += ['{"verdict":"clean","exitCode":0}', json.dumps(good) * 2, json.dumps(good) + " x", json.dumps(good)[:-1]]
        for name in good.keys() - {"version", "id", "index", "decision", "approver", "notProven", "faults", "evidence"}:
            said.append(json.dumps({**good, name: None}))
            said.append(json.dumps({other: value for other, value in good.items() if other != name}))
        other = {"command": "audit", "tool": "other", "verdict": "invalid", "exitCode": 1, "source": "other.json"}
        said += [json.dumps({**good, name: value}) for name, value in other.items()]
        for name in ["payload", "decision", "approver", "id"]:
            kept = [check for check in good["checks"] if check["name"] != name]
            said.append(json.dumps({**good, "checks": kept}))
            for result in ["failed", "not-checked", "warning", None, True]:
                said.append(json.dumps({**good, "checks": [*kept, {"name": name, "result": result}]}))
        for text in said:
            with self.subTest(said=text[:80]):
                self.refuses(countersign=self.stub(f"cat {self.file('said', text)}"), **exact)

    # Once.

    def test_an_approval_is_used_once(self):
        once, tool = set(), make_tool(lambda _: GOOD, self.journal, **TRUST)
        tool.invoke(APPROVED)
        for second in [tool, make_tool(lambda _: GOOD, self.journal, **TRUST)]:
            with self.assertRaisesRegex(NotApproved, "used before"):
                second.invoke(APPROVED)
        self.tool(once=once).invoke(APPROVED)
        self.assertEqual((len(self.ran()), once), (2, {NONCE}))

    def test_a_store_is_asked_and_only_true_is_yes(self):
        asked = []
        for answer in [None, False, 0, 1, "yes"]:
            self.refuses(once=lambda approval: (asked.append(approval), answer)[1], why="used before")
        self.assertEqual(asked, [NONCE] * 5)

    def test_what_was_not_approved_uses_nothing_up(self):
        once = set()
        self.refuses({**APPROVED, "limit": 1}, once=once)
        self.refuses(approver="mallory", once=once)
        self.tool(once=once).invoke(APPROVED)

    def test_of_many_at_once_one_runs(self):
        tool, refused = self.tool(once=set()), []

        def use():
            try:
                tool.invoke(APPROVED)
            except NotApproved:
                refused.append(1)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(self.ran()), len(refused)), (1, 7))


if __name__ == "__main__":
    unittest.main()
