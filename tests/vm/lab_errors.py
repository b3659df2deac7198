# SPDX-License-Identifier: GPL-2.0-only
"""What the laboratory raises."""


class LabError(Exception):
    """Anything that went wrong in the laboratory; the message names the node."""


class NodeDown(LabError):
    """The guest is not running, or ended while it was being asked."""


class CommandFailed(LabError):
    """A command ended with another status than 0."""

    def __init__(self, node, command, completed):
        super().__init__(f"{node}: exit status {completed.rc} from: {command}\n{completed.out}")
        self.completed = completed


class CommandTimeout(LabError):
    """A command did not end in time; it has been killed."""
