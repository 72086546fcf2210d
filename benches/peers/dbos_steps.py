"""DBOS: `dbos_steps.py WORKFLOWS STEPS` runs so many workflows at the same time, each of so many steps that do nothing."""

import json
import os
import sys
import time

from dbos import DBOS, DBOSConfig, SetWorkflowID

workflows, steps = int(sys.argv[1]), int(sys.argv[2])
user, host, port, database = (os.environ[name] for name in ("PGUSER", "PGHOST", "PGPORT", "PGDATABASE"))
url = f"postgresql://{user}@/{database}?host={host}&port={port}"
config: DBOSConfig = {"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"}
DBOS(config=config)


@DBOS.step()
def noop(number: int) -> int:
    return number


@DBOS.workflow()
def work(count: int) -> int:
    return sum(noop(number) for number in range(count))


@DBOS.step()
async def noop_async(number: int) -> int:
    return number


@DBOS.workflow()
async def work_async(count: int) -> int:
    total = 0
    for number in range(count):
        total += await noop_async(number)
    return total


def measure(name, function):
    DBOS.start_workflow(function, 1).get_result()
    started = time.perf_counter()
    handles = []
    for number in range(workflows):
        with SetWorkflowID(f"{name}-{number}"):
            handles.append(DBOS.start_workflow(function, steps))
    for handle in handles:
        handle.get_result()
    return workflows * steps / (time.perf_counter() - started)


DBOS.launch()
print(json.dumps({"threads": measure("threads", work), "async": measure("async", work_async)}), flush=True)
os._exit(0)
