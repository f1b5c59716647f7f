"""Follows a mailbox by server-sent events, through whatever happens to the gateway, and
prints the id and the subject of each email: the standard library alone."""
import json
import os
import sys
import time
import urllib.request

url, key, last = os.environ["POSTERN_REST"] + "/emails/stream", os.environ["KEY"], ""
while True:
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + key})
    if last:
        request.add_header("Last-Event-ID", last)
    try:
        with urllib.request.urlopen(request, timeout=60) as stream:
            name = data = ident = ""
            for raw in stream:
                line = raw.decode().rstrip("\n")
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif field == "id":
                    ident = value
                elif line == "" and name:
                    last = ident or last
                    if name == "new_email":
                        print(ident, json.loads(data)["subject"], flush=True)
                    elif name in ("connected", "resync"):
                        print(name, ident, flush=True)
                    name = data = ident = ""
    except OSError:
        pass
    except Exception as e:  # a stream that is cut in the middle of a chunk
        print("cut", type(e).__name__, file=sys.stderr, flush=True)
    time.sleep(0.02)
