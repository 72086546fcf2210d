"""Answers requests."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from folderweb import types
from folderweb.paths import NotFound, resolve


def answer(root, request_path):
    """Status, content type and body for a GET of `request_path`."""
    try:
        file = resolve(root, request_path)
    except NotFound:
        return 404, "text/plain; charset=utf-8", b"not found\n"
    with open(file, "rb") as opened:
        return 200, types.of(file), opened.read()


def serve(root, port):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, content_type, body = answer(root, self.path)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
