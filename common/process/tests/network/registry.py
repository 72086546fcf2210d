"""A package registry for tests: one package, `part`, for pip, npm, cargo and go, over HTTPS for the name registry.test.

`python3 registry.py FOLDER` writes the certificate to FOLDER/ca.pem, then the port to FOLDER/port, and what it was asked for,
line by line, to FOLDER/log.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import ssl
import subprocess
import sys
import tarfile
import zipfile

FOLDER = sys.argv[1]
HOST = "https://registry.test"
FILES = {}


def tar(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


# Python
wheel = zipped(
    {
        "part.py": "def part():\n    return 42\n",
        "part-1.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: part\nVersion: 1.0.0\n",
        "part-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "part-1.0.0.dist-info/RECORD": "part.py,,\npart-1.0.0.dist-info/METADATA,,\n",
    }
)
name = "part-1.0.0-py3-none-any.whl"
FILES["/simple/part/"] = b'<!DOCTYPE html><html><body><a href="/files/%s">%s</a></body></html>' % (name.encode(), name.encode())
FILES["/files/" + name] = wheel

# Node, with a script that must not run
package = {"name": "part", "version": "1.0.0", "scripts": {"postinstall": "touch ../../script-ran"}}
packed = tar({"package/package.json": json.dumps(package), "package/index.js": "module.exports = 42;\n"})
integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
version = dict(package, hasInstallScript=True, dist={"tarball": HOST + "/part/-/part-1.0.0.tgz", "integrity": integrity})
FILES["/part"] = json.dumps({"name": "part", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode()
FILES["/part/-/part-1.0.0.tgz"] = packed

# Rust
manifest = '[package]\nname = "part"\nversion = "1.0.0"\nedition = "2021"\n'
crate = tar({"part-1.0.0/Cargo.toml": manifest, "part-1.0.0/src/lib.rs": "pub fn part() -> u32 { 42 }\n"})
entry = {"name": "part", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(crate).hexdigest(), "features": {}, "yanked": False}
FILES["/index/config.json"] = json.dumps({"dl": HOST + "/crates"}).encode()
FILES["/index/pa/rt/part"] = json.dumps(entry).encode() + b"\n"
FILES["/crates/part/1.0.0/download"] = crate

# Go
module = "module example.com/part\n\ngo 1.19\n"
FILES["/go/example.com/part/@v/list"] = b"v1.0.0\n"
FILES["/go/example.com/part/@v/v1.0.0.info"] = b'{"Version":"v1.0.0"}'
FILES["/go/example.com/part/@v/v1.0.0.mod"] = module.encode()
FILES["/go/example.com/part/@v/v1.0.0.zip"] = zipped(
    {"example.com/part@v1.0.0/go.mod": module, "example.com/part@v1.0.0/part.go": "package part\n\nfunc Part() int { return 42 }\n"}
)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(FOLDER + "/log", "a") as log:
            log.write(self.path + "\n")
        content = FILES.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", "text/html" if self.path.startswith("/simple/") else "application/json")
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


certificate, key = FOLDER + "/ca.pem", FOLDER + "/key.pem"
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key, "-out", certificate]
    + ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test"],
    check=True,
    stderr=subprocess.DEVNULL,
)
os.chmod(certificate, 0o644)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(FOLDER + "/port.new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(FOLDER + "/port.new", FOLDER + "/port")
server.serve_forever()
