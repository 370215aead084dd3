"""Runs a command with a terminal: terminal.py PROMPT TYPED HIDDEN COMMAND..

TYPED is typed when PROMPT has appeared and, where HIDDEN is 1, the terminal has stopped to echo (it would show the text
otherwise, as it would for a person who types too early). What the terminal shows goes to stdout."""

import os
import pty
import sys
import termios
import time

prompt, typed, hidden, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3] == "1", sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown = b""
waiting = bool(prompt)
while True:
    try:
        chunk = os.read(terminal, 65536)
    except OSError:  # the other side is closed
        break
    if not chunk:
        break
    shown += chunk
    if waiting and prompt in shown:
        waiting = False
        while hidden and termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, typed + b"\n")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
