import os
import pathlib
import tempfile
import unittest

from folderweb.server import answer


class HiddenEscapeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = pathlib.Path(folder.name)
        self.root = self.base / "site"
        (self.root / "docs").mkdir(parents=True)
        (self.root / "index.html").write_text("home")
        (self.root / "docs" / "a b.txt").write_text("spaced")
        (self.root / "a..b.txt").write_text("dots")
        (self.root / "100%.txt").write_text("percent")
        (self.base / "secrets.txt").write_text("secret")
        (self.base / "site-private").mkdir()
        (self.base / "site-private" / "keys.txt").write_text("secret")
        (self.base / "site-private" / "index.html").write_text("secret")

    def get(self, path):
        return answer(str(self.root), path)

    def refused(self, path):
        status, _, body = self.get(path)
        self.assertEqual((status, body), (404, b"not found\n"), path)

    def test_encoded_dots_lead_nowhere(self):
        for path in ["/%2e%2e/secrets.txt", "/..%2fsecrets.txt", "/docs/%2e%2e/%2e%2e/secrets.txt", "/../secrets.txt"]:
            self.refused(path)

    def test_a_folder_whose_name_begins_alike_is_outside(self):
        for path in ["/../site-private/keys.txt", "/%2e%2e/site-private/keys.txt", "/../site-private/", "/../site-private"]:
            self.refused(path)

    def test_links_that_lead_out_are_not_followed(self):
        os.symlink(self.base, self.root / "latest")
        os.symlink(self.base / "secrets.txt", self.root / "docs" / "link.txt")
        os.symlink(self.base / "site-private", self.root / "private")
        for path in ["/latest/secrets.txt", "/docs/link.txt", "/private/keys.txt", "/private/", "/private"]:
            self.refused(path)

    def test_an_index_that_is_a_link_out_is_not_served(self):
        os.symlink(self.base / "secrets.txt", self.root / "docs" / "index.html")
        self.refused("/docs/")

    def test_links_that_stay_inside_work(self):
        os.symlink("docs", self.root / "current")
        os.symlink(self.root / "index.html", self.root / "docs" / "home.html")
        self.assertEqual(self.get("/current/a%20b.txt")[2], b"spaced")
        self.assertEqual(self.get("/docs/home.html")[2], b"home")

    def test_dots_inside_the_folder_are_fine(self):
        self.assertEqual(self.get("/docs/../index.html")[2], b"home")
        self.assertEqual(self.get("/a..b.txt")[2], b"dots")

    def test_percent_signs_and_spaces_are_names(self):
        self.assertEqual(self.get("/100%25.txt")[2], b"percent")
        self.assertEqual(self.get("/docs/a%20b.txt")[2], b"spaced")

    def test_decoding_happens_once(self):
        self.refused("/%252e%252e/secrets.txt")

    def test_a_zero_byte_and_an_absolute_path_are_not_found(self):
        for path in ["/%00", "/index.html%00.png", "//etc/passwd", "/%2fetc/passwd"]:
            self.refused(path)
