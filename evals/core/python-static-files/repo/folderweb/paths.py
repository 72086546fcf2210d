"""From the path of a request to a file."""

import os
from urllib.parse import unquote

INDEX = "index.html"


class NotFound(Exception):
    """There is nothing to serve."""


def resolve(root, request_path):
    """The file below the folder `root` that `request_path` names.

    Raises NotFound where there is none.
    """
    path = request_path.split("?", 1)[0]
    if ".." in path.split("/") and not os.path.abspath(root + path).startswith(os.path.abspath(root)):
        raise NotFound(request_path)
    file = os.path.join(root, unquote(path).lstrip("/"))
    if os.path.isdir(file):
        file = os.path.join(file, INDEX)
    if not os.path.isfile(file):
        raise NotFound(request_path)
    return file
