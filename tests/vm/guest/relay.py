# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest: passes what "on NODE COMMAND" asks for to Relay (tests/vm/shell.py), and the answers back.

    relay.py PORT       listens on loopback; a request ends with a 0 byte, an answer is a line with the exit status and the output
                        standard output: a request a line, [number, words]; standard input: an answer a line, [number, status, output]
"""
import json
import socket
import sys
import threading

waiting = {}


def tell(what):
    """One write a line: several threads tell."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def read_request(number, connection):
    """A connection of "on": node and command, to the host."""
    request = b""
    while not request.endswith(b"\0"):
        piece = connection.recv(65536)
        if not piece:
            return
        request += piece
    waiting[number] = connection
    tell([number, request[:-1].decode("utf-8", "surrogateescape").split("\n", 1)])


def pass_answers():
    for line in sys.stdin:
        number, status, output = json.loads(line)
        with waiting.pop(number) as connection:
            try:
                connection.sendall(f"{status}\n{output}".encode("utf-8", "surrogateescape"))
            except OSError:
                pass  # whoever asked is gone


def main(port):
    threading.Thread(target=pass_answers, daemon=True).start()
    with socket.create_server(("127.0.0.1", port)) as server:
        tell([0, []])  # ready
        number = 0
        while True:
            number += 1
            connection, _ = server.accept()
            threading.Thread(target=read_request, args=(number, connection), daemon=True).start()


main(int(sys.argv[1]))
