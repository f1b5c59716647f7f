# Reads mail that is hard to read as a Python program does. Each message lies in the
# folder as a file, in the order of their UIDs: its bytes must be what IMAP gives.
import email, email.policy, imaplib, os, ssl, sys

sys.setrecursionlimit(50_000)  # email reads 1,000 levels by calling itself
imaplib._MAXLINE = 10_000_000  # the structure of 9,000 parts is one line
ctx = ssl.create_default_context(cafile=os.environ["CA"])
m = imaplib.IMAP4_SSL("localhost", int(os.environ["IMAPS"]), ssl_context=ctx)
m.login(os.environ["ACCOUNT"], os.environ["KEY"])

def ok(result):
    typ, data = result
    assert typ == "OK", result
    return data

names = sorted(os.listdir("nasty"))
assert ok(m.select("Archive", readonly=True)) == [str(len(names)).encode()]
for i, name in enumerate(names, 1):
    with open(os.path.join("nasty", name), "rb") as f:
        want = f.read()
    got = ok(m.fetch(str(i), "(RFC822.SIZE BODY.PEEK[])"))[0]
    assert got[1] == want, (name, len(got[1]), len(want))
    assert b"RFC822.SIZE %d " % len(want) in got[0], (name, got[0])
    assert ok(m.fetch(str(i), "(ENVELOPE BODYSTRUCTURE)"))[0] is not None, name
    msg = email.message_from_bytes(got[1], policy=email.policy.compat32)
    assert sum(1 for _ in zip(msg.walk(), range(100))) > 0, name
    # What the program reads of a header is what the server reads.
    head = ok(m.fetch(str(i), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))[0][1]
    assert head.endswith(b"\r\n"), (name, head)
assert ok(m.search(None, "TEXT", '"zzzz"')) == [b""]
m.logout()
print("done")
