"""Enqueue a command, wait for its end: python raw_client.py SOCKET COMMAND."""

import socket
import struct
import sys

import msgpack

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rwb")


def call(request_id, method, **params):
    payload = msgpack.packb({"id": request_id, "method": method, "params": params})
    stream.write(struct.pack(">I", len(payload)) + payload)
    stream.flush()
    while True:
        (length,) = struct.unpack(">I", stream.read(4))
        message = msgpack.unpackb(stream.read(length))
        if "error" in message:
            sys.exit(message["error"]["message"])
        if message.get("id") == request_id:  # anything else: the greeting
            return message["result"]


job = call(1, "enqueue", job={"command": sys.argv[2]})["job"]
job = call(2, "wait", id=job["id"])["job"]
print(job["id"], job["state"], job["exit_code"])
