"""JSON as it stands in a config.json: without blanks.

Most of it is the same for all containers, or for all with the same capabilities. Those parts are
made once and put together as text.
"""

import json

# Made once: `json.dumps` makes an encoder for every call that is not the plainest.
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""Returns a value as text; raises TypeError or ValueError for what JSON does not have."""


def extended(text: str, **members: str) -> str:
    """Returns the text of an object that is not empty with further members, themselves texts."""
    further = "".join(f',"{name}":{value}' for name, value in members.items())
    return f"{text[:-1]}{further}}}"
