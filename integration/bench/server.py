"""A private server of `integration/servers`, for as long as it is needed."""

import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "servers/server"


class Server:
    """A running instance: where it listens, and its process."""

    def __init__(self, kind, *options, environment=None):
        self.script = subprocess.Popen(
            [SCRIPT, "run", kind, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        ready = self.script.stdout.readline()
        if not ready.startswith("ready "):
            sys.exit(f"{kind} did not start: {ready}")
        fields = dict(word.split("=", 1) for word in ready.split()[1:])
        self.port, self.pid = fields["port"], int(fields["pid"])

    def stop(self):
        self.script.stdin.close()
        self.script.wait()
