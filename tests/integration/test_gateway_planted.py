#!/usr/bin/env python3
"""What another user has put where the gateway keeps its own is refused with a sentence, and no link of his is followed.

    /run/TEST           root's, 1777 as /tmp is: where the user 4242 plants things
    /run/kept/precious  root's, and what his links lead to
"""

import os
import pathlib
import shutil
import subprocess

from harness import GatewayTest, main
from harness.gateway import PROGRAM, SLOW

STRANGER = 4242
AS_STRANGER = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
PRECIOUS = "root's own\n"


class Planted(GatewayTest):
    def setUp(self):
        self.place = pathlib.Path("/run") / self._testMethodName
        self.place.mkdir()
        self.place.chmod(0o1777)
        self.precious = pathlib.Path("/run/kept/precious")
        self.precious.parent.mkdir(mode=0o700, exist_ok=True)
        self.precious.write_text(PRECIOUS)
        self.precious.chmod(0o644)
        self.before = self.precious.stat()
        self.stopped = self.gateway(start=False)

    def refused(self, *needles, verbs=("run", "check")):
        """Each verb ends with 2 and few words, these among them; nothing was touched."""
        for verb in verbs:
            done = self.net.run("gateway", [str(PROGRAM), verb, "--config", str(self.stopped.config)], check=False,
                                timeout=10 * SLOW)
            said = done.stdout + done.stderr
            self.assertEqual(done.returncode, 2, said)
            for needle in needles:
                self.assertIn(str(needle), said)
            self.assertLessEqual(len(said.strip().splitlines()), 4, said)
        self.precious_is_unchanged()

    def precious_is_unchanged(self):
        self.assertEqual(self.precious.read_text(), PRECIOUS)
        now = self.precious.stat()
        for part in ("st_ino", "st_mode", "st_uid", "st_gid", "st_mtime_ns"):
            self.assertEqual(getattr(now, part), getattr(self.before, part), part)

    def keep_state_in(self, folder):
        self.stopped.drop_in(f'[gateway]\nstate_dir = "{folder}"\n')

    def run_in(self, folder):
        self.stopped.drop_in(f'[gateway]\nruntime_dir = "{folder}"\n')


class ByAnotherUser(Planted):
    def setUp(self):
        super().setUp()
        if subprocess.run([*AS_STRANGER, "true"], capture_output=True).returncode != 0:
            self.skipTest("only one user id exists here, so nobody else can plant anything")

    def stranger(self, script):
        """Runs it in the shell as the other user, in the folder where all may make things."""
        done = subprocess.run([*AS_STRANGER, "sh", "-euc", script], cwd=self.place, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_state_dir_of_his(self):
        self.stranger(f"mkdir -m 755 state; ln -s {self.precious} state/state.lock")
        self.keep_state_in(self.place / "state")
        self.refused(f"{self.place}/state belongs to {STRANGER}", "change its owner, or move it away")
        self.assertEqual(os.listdir(self.place / "state"), ["state.lock"])

    def test_state_dir_that_all_may_write_to(self):
        folder = self.place / "state"
        folder.mkdir()
        folder.chmod(0o1777)
        self.stranger(f"ln -s {self.precious} state/state.epoch")
        self.keep_state_in(folder)
        self.refused(f"chmod o-w {folder}")
        self.assertEqual(os.listdir(folder), ["state.epoch"])

    def test_state_dir_behind_a_link_of_his(self):
        own = pathlib.Path("/run/own")
        own.mkdir(mode=0o700, exist_ok=True)
        self.stranger(f"ln -s {own} state")
        self.keep_state_in(self.place / "state")
        self.refused(f"{self.place}/state belongs to {STRANGER}")
        self.assertEqual(os.listdir(own), [])

    def test_state_dir_below_a_folder_of_his(self):
        self.stranger("mkdir -m 777 his")
        folder = self.place / "his" / "state"
        folder.mkdir(mode=0o700)
        self.keep_state_in(folder)
        self.refused(f"{self.place}/his belongs to {STRANGER}")

    def test_state_dir_below_a_folder_where_he_may_rename(self):
        above = self.place / "open"
        above.mkdir()
        above.chmod(0o777)
        folder = above / "state"
        folder.mkdir(mode=0o700)
        self.keep_state_in(folder)
        self.refused(f"{above} may be written by everybody", f"chmod o-w {above}")
        self.stranger("mv open/state open/away")  # he may, so this was no idle refusal

    def test_runtime_dir_of_his(self):
        self.stranger(f"mkdir -m 755 run; ln -s {self.precious} run/control.sock")
        self.run_in(self.place / "run")
        self.refused(f"{self.place}/run belongs to {STRANGER}")

    def test_folder_of_plugin_copies_of_his(self):
        self.stranger("mkdir -m 755 plugins")
        self.stranger(f"mkdir plugins/{'0' * 64}; ln -s {self.precious} plugins/{'0' * 64}/udpgw.so.part")
        (self.place / "plugins").rename(self.stopped.runtime / "plugins")
        self.refused(f"{self.stopped.runtime}/plugins belongs to {STRANGER}")

    def test_plugin_copies_where_all_may_write(self):
        folder = self.stopped.runtime / "plugins"
        folder.mkdir()
        folder.chmod(0o1777)
        self.stopped.base.chmod(0o755)
        self.stopped.runtime.chmod(0o755)
        self.stranger(f"cd {folder}; mkdir {'0' * 64}; ln -s {self.precious} {'0' * 64}/udpgw.so.part")
        self.refused(f"chmod o-w {folder}")

    def test_link_of_his_that_was_there_before_the_folder_was_closed(self):
        folder = self.place / "state"
        folder.mkdir()
        folder.chmod(0o1777)
        self.stranger(f"ln -s {self.precious} state/state.lock")
        folder.chmod(0o755)
        self.keep_state_in(folder)
        self.refused(f"{folder}/state.lock is a symbolic link", "remove it")

    def test_database_of_his_that_was_there_before_the_folder_was_closed(self):
        for name in ("state.db", "secrets.db"):
            for script in (f"ln -s {self.precious} state/{name}", f"touch state/{name}"):
                with self.subTest(script):
                    folder = self.place / "state"
                    folder.mkdir()
                    folder.chmod(0o1777)
                    self.stranger(script)
                    folder.chmod(0o755)
                    self.keep_state_in(folder)
                    try:
                        self.refused(f"{folder}/{name} belongs to {STRANGER}")
                    finally:
                        shutil.rmtree(folder)

    def test_flow_log_of_his(self):
        self.stranger("touch flow.jsonl")
        self.stopped.drop_in(f'[log]\nflow_log = "{self.place}/flow.jsonl"\n')
        self.refused(f"{self.place}/flow.jsonl belongs to {STRANGER}")
        self.assertEqual((self.place / "flow.jsonl").read_text(), "")

    def test_folders_of_ones_own_beside_his_are_fine(self):
        self.stranger("mkdir -m 777 his")
        for name in ("state", "run"):
            (self.place / name).mkdir(mode=0o700)
        self.stopped.drop_in(f'[gateway]\nstate_dir = "{self.place}/state"\nruntime_dir = "{self.place}/run"\n')
        self.assertEqual(self.stopped.cli("check").returncode, 0)
        self.stopped.start()
        self.stopped.stop()
        for folder in (self.place / "state", self.place / "run" / "plugins"):
            for path in [folder, *folder.rglob("*")]:
                self.assertEqual(path.lstat().st_uid, 0, path)
                self.assertEqual(path.lstat().st_mode & 0o022, 0, path)


class InPlaceOfAFile(Planted):
    """By somebody who could, once: another name of root's file where the gateway keeps one of its own."""

    def plant(self, name, link=os.symlink):
        where = self.stopped.state / name
        link(self.precious, where)
        return where

    def test_link_in_place_of_a_lock(self):
        for name in ("state.lock", "secrets.lock"):
            where = self.plant(name)
            self.refused(f"{where} is a symbolic link", "remove it")
            where.unlink()

    def test_second_name_in_place_of_a_lock(self):
        where = self.plant("state.lock", os.link)
        self.refused(f"{where} is a file with a second name", "remove it")

    def test_link_and_second_name_in_place_of_the_flow_log(self):
        where = self.stopped.state / "flow.jsonl"
        self.stopped.drop_in(f'[log]\nflow_log = "{where}"\n')
        for link, what in ((os.symlink, "is a symbolic link"), (os.link, "is a file with a second name")):
            self.plant("flow.jsonl", link)
            self.refused(f"{where} {what}", "remove it")
            where.unlink()

    def test_link_and_second_name_in_place_of_the_epoch(self):
        for link, what in ((os.symlink, "is a symbolic link"), (os.link, "is a file with a second name")):
            where = self.plant("state.epoch", link)
            self.refused(f"{where} {what}", "remove it")
            where.unlink()

    def test_fifo_in_place_of_a_policy_or_its_copy(self):
        """Whoever opens one for reading waits until somebody writes."""
        for name in ("policy.db", "policy.last-good.db"):
            where = self.stopped.state / name
            where.unlink(missing_ok=True)
            os.mkfifo(where)
            self.refused(f"{where} is no regular file", "put a copy")
            where.unlink()
            self.stopped.init_policy()

    def of_a_database(self, link, what):
        """Beside databases that a gateway has left behind."""
        self.stopped.start()
        self.stopped.stop()
        for name in ("state.db-wal", "state.db-shm", "secrets.db-wal", "secrets.db-shm"):
            with self.subTest(name):
                (self.stopped.state / name).unlink(missing_ok=True)
                where = self.plant(name, link)
                try:
                    self.refused(f"{where} {what}", "put a copy")
                finally:
                    where.unlink(missing_ok=True)
                    self.precious.write_text(PRECIOUS)
                    self.precious.chmod(0o644)
                    self.before = self.precious.stat()

    def test_link_in_place_of_a_databases_log_or_index(self):
        self.of_a_database(os.symlink, "is a symbolic link")

    def test_second_name_in_place_of_a_databases_log_or_index(self):
        self.of_a_database(os.link, "is a file with a second name")

    def test_link_and_second_name_in_place_of_what_is_made_anew(self):
        """What is there gives way; a link of a database to another one does not, for it may be wanted."""
        for link, names in ((os.symlink, ["state.ballast"]), (os.link, ["state.ballast", "policy.last-good.db"])):
            self.stopped.init_policy()
            for name in names:
                self.plant(name, link)
            self.stopped.start()
            where = self.stopped.state / "state.ballast"
            self.assert_soon(lambda: where.lstat().st_size == 1 << 20 and not where.is_symlink(), "the reserve")
            where = self.stopped.state / "policy.last-good.db"
            self.assert_soon(lambda: where.exists() and where.stat().st_size > 4096, "the last good policy")
            self.stopped.stop()
            self.precious_is_unchanged()
            for path in self.stopped.state.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main()
