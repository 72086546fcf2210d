"""What attempts are made on: a process of whoever runs the sandbox, with a secret in its environment, its memory and an
open file, a folder of its own and a terminal. It writes down where they are; `protected` closes itself as workers do."""

import ctypes
import json
import os
import sys
import time

memory = ctypes.create_string_buffer(b"TOPSECRET")
file = os.open("secret", os.O_RDONLY)
_, terminal = os.openpty()
if sys.argv[1] == "protected":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
where = {"pid": os.getpid(), "address": ctypes.addressof(memory), "file": file, "terminal": os.ttyname(terminal)}
with open(sys.argv[1] + ".new", "w") as ready:
    json.dump(where, ready)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
