"""Runs facts about a broker one after another: `client.py BOOTSTRAP scenarios|write|find`, status 1 if one failed."""

import time
import traceback


def run(facts):
    """Calls each function, says how it went under its docstring, and returns the exit status."""
    failures = 0
    for fact in facts:
        try:
            fact()
            print(f"ok: {fact.__doc__}")
        except Exception:
            failures += 1
            print(f"FAILED: {fact.__doc__}")
            traceback.print_exc()
    return 1 if failures else 0


def equal(what, expected, got):
    assert expected == got, f"{what}: expected {expected!r}, got {got!r}"


def fails(error, action):
    """Calls action, which must raise error."""
    try:
        result = action()
    except error:
        return
    raise AssertionError(f"expected {error.__name__}, got {result!r}")


def eventually(what, probe):
    """Calls probe until it gives something true; fails after 30 seconds."""
    deadline = time.monotonic() + 30
    while not (result := probe()):
        assert time.monotonic() < deadline, f"waited 30 s for {what}"
    return result
