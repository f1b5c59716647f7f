"""Verifies and signs mail with dkimpy, for TestDKIMPY: one JSON document in, one out."""
import base64
import json
import sys

import dkim

ask = json.load(sys.stdin)
keys = {name.encode(): record.encode() for name, record in ask["keys"].items()}
out = {"verified": [], "signed": []}


def record(name, timeout=5):
    return keys.get(name.rstrip(b"."))


def holds(message, i):
    try:
        return dkim.DKIM(message).verify(idx=i, dnsfunc=record)
    except dkim.ValidationError:  # of the body; of the header it is False
        return False


for message in map(base64.b64decode, ask["messages"]):
    for form in ask["forms"]:
        header, body = form.encode().split(b"/")
        for algorithm, selector, key in ask["sign"]:
            field = dkim.sign(message, selector.encode(), b"a.test", key.encode(), canonicalize=(header, body),
                              signature_algorithm=algorithm.encode())
            out["signed"].append(base64.b64encode(field + message).decode())
for message in map(base64.b64decode, ask["verify"]):
    signatures = [name for name, _ in dkim.DKIM(message).headers if name.lower() == b"dkim-signature"]
    out["verified"].append([holds(message, i) for i in range(len(signatures))])
json.dump(out, sys.stdout)
