"""Content types by the end of a name."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
}


def of(name):
    for ending, content_type in TYPES.items():
        if name.lower().endswith(ending):
            return content_type
    return "application/octet-stream"
