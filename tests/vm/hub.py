# SPDX-License-Identifier: GPL-2.0-only
"""The network of a cluster."""

import subprocess
import threading

from guest_image import hub_program
from lab_errors import LabError
from spawner import spawner


class Hub:
    """The network's process; see hub.cc for the commands."""

    def __init__(self, log):
        self._lock = threading.Lock()
        with open(log, "w") as errors:
            self._process = spawner.popen([hub_program()], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=errors, text=True,
                                          bufsize=1)

    def command(self, text):
        with self._lock:
            try:
                self._process.stdin.write(text + "\n")
                answer = self._process.stdout.readline().strip()
            except (OSError, ValueError) as error:
                raise LabError(f"the network hub is gone: {error}") from error
        if not answer.startswith("ok"):
            raise LabError(f"hub: '{text}': {answer or 'no answer'}")
        return answer[2:].strip()

    def close(self):
        self._process.kill()
        self._process.wait()
