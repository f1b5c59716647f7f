# Reads all of a folder, and prints the digest of each message.
import hashlib, imaplib, os, re, ssl

ctx = ssl.create_default_context(cafile=os.environ["CA"])
m = imaplib.IMAP4_SSL("localhost", int(os.environ["IMAPS"]), ssl_context=ctx)
m.login(os.environ["ACCOUNT"], os.environ["KEY"])
assert m.select(os.environ["FOLDER"], readonly=True)[0] == "OK"
typ, data = m.uid("FETCH", "1:*", "(BODY.PEEK[])")
assert typ == "OK", data
for item in data:
    if isinstance(item, tuple):
        uid = re.search(rb"UID (\d+)", item[0]).group(1).decode()
        print(uid, hashlib.sha256(item[1]).hexdigest())
m.logout()
