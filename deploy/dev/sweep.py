#!/usr/bin/env python3
"""sweep.py STATE_DIR INSTANCE_DIR: kills what is left of an instance after an orderly stop.

Finds children of killed parents and what lost its pid file: a server has HOME=STATE_DIR, a service and its supervisor have
INSTANCE_DIR on their command line. It must never match by program name: other instances and real servers live here too.
"""
import glob, os, re, signal, sys

home = f"HOME={sys.argv[1]}".encode()
ours = re.compile(rf"supervise\.sh\0[a-z]+\0{re.escape(sys.argv[2])}\0|\0run\0--config\0{re.escape(sys.argv[2])}/config/")
for _ in range(2):  # a supervisor may start a child meanwhile
    for proc in glob.glob("/proc/[0-9]*"):
        pid = int(proc.split("/")[2])
        try:
            env = open(f"{proc}/environ", "rb").read().split(b"\0")
            cmd = open(f"{proc}/cmdline", errors="replace").read()
            if pid != os.getpid() and (home in env or ours.search(cmd)):
                os.kill(pid, signal.SIGKILL)
        except OSError:  # somebody else's process, or gone by now
            pass
