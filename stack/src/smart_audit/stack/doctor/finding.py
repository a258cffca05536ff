"""One thing that the doctor has found."""

Finding = dict[str, str]


def finding(check: str, state: str, found: str, remedy: str = "") -> Finding:
    """check: a line of docs/production.md, or a name of its own; state: ok, warning or failed.

    found: what was seen. remedy: what to do; empty when nothing is.
    """
    return {"check": check, "state": state, "found": found, "remedy": remedy}
