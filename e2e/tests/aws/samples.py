"""Prints what `sam local generate-event` prints for each pair of words on standard input, as one JSON object: SAM starts once."""

import json
import sys

from click.testing import CliRunner
from samcli.cli.main import cli

samples = {}
for line in sys.stdin.read().splitlines():
    result = CliRunner().invoke(cli, ["local", "generate-event", *line.split()])
    if result.exit_code != 0:
        sys.exit(f"sam local generate-event {line}: {result.output} {result.exception!r}")
    samples[line] = json.loads(result.stdout)
print(json.dumps(samples))
