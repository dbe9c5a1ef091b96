"""Becomes a program in another root, as a container runtime starts one: `enter.py ROOT PROGRAM ARGS...`.

User 65532 alone, no capabilities, and none to be gained.
"""
import ctypes
import os
import sys

NOBODY = 65532
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

root, *command = sys.argv[1:]
prctl = ctypes.CDLL(None, use_errno=True).prctl
os.chroot(root)
os.chdir("/data")
# The kernel refuses numbers after its last capability.
capability = 0
while prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
    capability += 1
os.setgroups([])
os.setresgid(NOBODY, NOBODY, NOBODY)
os.setresuid(NOBODY, NOBODY, NOBODY)
if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(command[0], command)
