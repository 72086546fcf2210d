"""Serves the repositories below a folder over git's smart HTTP protocol. Prints its port.

With a user and a password, written backwards so that no list of processes shows it, it lets nobody else in; and whoever comes
with that password finds out whether it lies about anywhere: in the folder, or in the arguments or environment of any process.
"""

import base64
import http.server
import os
import subprocess
import sys


user, password = (sys.argv[2], sys.argv[3][::-1]) if len(sys.argv) > 3 else (None, None)


def places():
    """Where the password can be seen."""
    for folder, _, files in os.walk(sys.argv[1]):
        yield from (os.path.join(folder, file) for file in files)
    for process in filter(str.isdigit, os.listdir("/proc")):
        yield from (f"/proc/{process}/cmdline", f"/proc/{process}/environ")


def seen():
    for place in places():
        try:
            with open(place, "rb") as file:
                if password.encode() in file.read():
                    return place
        except OSError:
            pass  # It has ended, or is not for us to read.


class Handler(http.server.BaseHTTPRequestHandler):
    def serve(self):
        path, _, query = self.path.partition("?")
        if password:
            wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="shop"')
                self.send_header("Content-Length", "0")
                return self.end_headers()
            place = seen()
            if place:
                print("seen:", place, flush=True)
                return self.send_error(500)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": sys.argv[1],
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            **({"REMOTE_USER": user} if user else {}),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(headers.pop("Status", "200").split(" ")[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = serve

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
