"""Does to files what node cannot: one request a line on standard input, one answer a line on standard output.

A request is a JSON object with "op", "path" and the operation's own numbers (bytes); the "length" bytes of a
"direct" or "mapped" write follow the line. The answer is {"ok": true} or {"error": "..."}.

Numbers: include/uapi/linux/falloc.h and include/uapi/linux/fs.h of the kernel.
"""

import ctypes
import fcntl
import json
import mmap
import os
import struct
import sys

FALLOC_FL_KEEP_SIZE = 0x01
FALLOC_FL_PUNCH_HOLE = 0x02
FALLOC_FL_ZERO_RANGE = 0x10
FIDEDUPERANGE = 0xC0189436
FICLONERANGE = 0x4020940D
DEDUPE_DIFFERS = 1

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def fallocate(fd, mode, start, length):
    if libc.fallocate(fd, mode, start, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def punch(fd, request):
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request["start"], request["length"])


def preallocate(fd, request):
    mode = FALLOC_FL_KEEP_SIZE if request["keepSize"] else 0
    fallocate(fd, mode, request["start"], request["length"])


def zero_range(fd, request):
    mode = FALLOC_FL_ZERO_RANGE | (FALLOC_FL_KEEP_SIZE if request["keepSize"] else 0)
    fallocate(fd, mode, request["start"], request["length"])


def direct(_fd, request):
    payload = request["payload"]
    # An anonymous mapping is aligned to the page, which O_DIRECT asks for.
    with mmap.mmap(-1, len(payload)) as aligned:
        aligned.write(payload)
        fd = os.open(request["path"], os.O_RDWR | os.O_DIRECT)
        try:
            written = os.pwrite(fd, aligned, request["start"])
        finally:
            os.close(fd)
    if written != len(payload):
        raise OSError("short direct write: %d of %d" % (written, len(payload)))


def mapped(fd, request):
    payload = request["payload"]
    first = request["start"] - request["start"] % mmap.ALLOCATIONGRANULARITY
    skip = request["start"] - first
    with mmap.mmap(fd, skip + len(payload), offset=first) as view:
        view[skip : skip + len(payload)] = payload


def clone_range(fd, request):
    """Puts the blocks of one place of the file at another place of it too."""
    fcntl.ioctl(fd, FICLONERANGE, struct.pack("=qQQQ", fd, request["from"], request["length"], request["start"]))


def relocate(fd, request):
    """Moves a range's blocks without changing a byte: a new copy of them is deduplicated onto the file."""
    donor = os.open(request["donor"], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        start, end = request["start"], request["start"] + request["length"]
        content = os.pread(fd, end - start, start)
        os.pwrite(donor, content, start)
        os.fsync(donor)
        while start < end:
            answer = dedupe(donor, fd, start, end - start)
            if answer == 0:
                break
            start += answer
    finally:
        os.close(donor)
        os.unlink(request["donor"])


def dedupe(source, target, start, length):
    request = bytearray(struct.pack("=QQHHIqQQiI", start, length, 1, 0, 0, target, start, 0, 0, 0))
    fcntl.ioctl(source, FIDEDUPERANGE, request)
    done, status = struct.unpack_from("=Qi", request, 40)
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    if status == DEDUPE_DIFFERS:
        raise OSError("the copy of the range differs from the range")
    return done


OPERATIONS = {
    "punch": punch,
    "preallocate": preallocate,
    "zeroRange": zero_range,
    "direct": direct,
    "mapped": mapped,
    "cloneRange": clone_range,
    "relocate": relocate,
}

for line in sys.stdin.buffer:
    request = json.loads(line)
    if request["op"] in ("direct", "mapped"):
        request["payload"] = sys.stdin.buffer.read(request["length"])
    try:
        fd = os.open(request["path"], os.O_RDWR)
        try:
            OPERATIONS[request["op"]](fd, request)
        finally:
            os.close(fd)
        answer = {"ok": True}
    except OSError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
