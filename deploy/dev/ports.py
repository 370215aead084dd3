#!/usr/bin/env python3
"""ports.py < "name port" lines: fails, naming every port that something else holds, before anything is started."""
import socket, sys


def holder(port):
    """The command line that listens on the port, as far as we may look."""
    import glob, os
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            for line in open(table).readlines()[1:]:
                f = line.split()
                if f[3] == "0A" and int(f[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{f[9]}]")
        except OSError:
            pass
    for fd in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(fd) in inodes:
                pid = fd.split("/")[2]
                name = open(f"/proc/{pid}/comm").read().strip()
                return f" by process {pid} ({name})"
        except OSError:
            pass
    return ""


busy = []
for line in sys.stdin:
    name, port = line.split()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", int(port)))
        except OSError:
            busy.append(f"  {port} ({name}) is in use{holder(int(port))}")
if busy:
    print("error: nothing was started, because a port is busy:", *busy,
          "Choose another range: TENANTRY_PORT_BASE=<port> make up   (the gateway gets <port>, the rest up to +40)",
          sep="\n", file=sys.stderr)
    sys.exit(1)
