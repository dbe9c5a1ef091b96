"""How the checks of docker/ tell what they found."""
import sys


def require(what, holds, found=""):
    """Says nothing, unless it does not hold: for one of many."""
    if not holds:
        check(what, False, found)


def check(what, holds, found=""):
    """Prints one line; ends the run where it does not hold."""
    print(("ok      " if holds else "FAILED  ") + what, flush=True)
    if not holds:
        sys.exit(f"        found: {found}")


def skipped(what, why):
    print(f"skipped {what}: {why}", flush=True)
