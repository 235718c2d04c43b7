"""Writes the ovs-agent's Berkeley DB files as the agent's own Python 2 did. A JSON object on standard input:

{"directory": "...", "repositories": {"<id>": {"mount_point": "...", ...}}, "server": {"manager_ip": "..."}}
"""

import json
import os
import pickle
import struct
import sys

from bsddb3 import db


class Python2Pickler(pickle._Pickler):
    """Python 3 writes every text as unicode; the agent's texts are byte strings of Python 2."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, text):
        data = text.encode("utf-8")
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = save_str


class File:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


def pickled(value):
    file = File()
    Python2Pickler(file, 2).dump(value)
    return file.data


def write_hash(path, values):
    if os.path.exists(path):
        os.unlink(path)
    database = db.DB()
    database.open(path, None, db.DB_HASH, db.DB_CREATE, 0o600)
    for key, value in values.items():
        database.put(key.encode("utf-8"), pickled(value))
    database.close()


request = json.load(sys.stdin)
write_hash(os.path.join(request["directory"], "repository"), request["repositories"])
write_hash(os.path.join(request["directory"], "server"), request["server"])
