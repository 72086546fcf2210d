import pathlib
import tempfile
import unittest

from folderweb.server import answer


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name, "site")
        (self.root / "docs").mkdir(parents=True)
        (self.root / "index.html").write_text("home")
        (self.root / "docs" / "a b.txt").write_text("spaced")

    def test_a_folder_answers_with_its_index(self):
        self.assertEqual(answer(str(self.root), "/"), (200, "text/html; charset=utf-8", b"home"))

    def test_names_are_decoded(self):
        self.assertEqual(answer(str(self.root), "/docs/a%20b.txt?x=1")[2], b"spaced")

    def test_what_is_not_there_is_not_found(self):
        self.assertEqual(answer(str(self.root), "/nothing")[0], 404)
