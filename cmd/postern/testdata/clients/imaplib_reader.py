# What a Python program does with its mail: every step is checked.
import imaplib, os, ssl, time

ctx = ssl.create_default_context(cafile=os.environ["CA"])
m = imaplib.IMAP4("localhost", int(os.environ["IMAP"]))
m.starttls(ctx)
m.login(os.environ["ACCOUNT"], os.environ["KEY"])

def ok(result):
    typ, data = result
    assert typ == "OK", result
    return data

caps = ok(m.capability())[0]
assert b"IDLE" in caps and b"MOVE" in caps, caps
assert ok(m.select("INBOX")) == [b"2"]
raw = ok(m.fetch("1", "(UID FLAGS RFC822)"))
assert b"Subject: first" in raw[0][1], raw
assert b"\\Seen" in ok(m.fetch("1", "(FLAGS)"))[0]
assert ok(m.search(None, "UNSEEN")) == [b"2"]
assert ok(m.search(None, "SUBJECT", '"second"')) == [b"2"]
assert ok(m.uid("SEARCH", None, "FROM", "ann")) == [b"1 2"]
draft = b"Subject: a draft\r\n\r\nnot done\r\n"
assert b"APPENDUID" in ok(m.append("Drafts", r"(\Draft)", imaplib.Time2Internaldate(time.time()), draft))[0]
ok(m.store("2", "+FLAGS", r"(\Flagged todo)"))
ok(m.copy("1", "Archive"))
ok(m.uid("MOVE", "2", "Trash"))
assert ok(m.search(None, "ALL")) == [b"1"]
ok(m.store("1", "+FLAGS", r"\Deleted"))
assert b"1" in ok(m.expunge())
assert ok(m.create("Projects/One")) and ok(m.subscribe("Projects/One"))
assert any(b"Projects/One" in line for line in ok(m.lsub()))
ok(m.rename("Projects/One", "Projects/Two"))
ok(m.delete("Projects/Two"))
assert b"MESSAGES 1" in ok(m.status("Trash", "(MESSAGES UNSEEN)"))[0]
assert ok(m.select("Trash", readonly=True)) == [b"1"]
assert b"todo" in ok(m.fetch("1", "(FLAGS)"))[0]
head = ok(m.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT]<0.3>)"))
assert head[0][1] == b"Subject: second\r\n\r\n" and head[1][1] == b"Thi", head
ok(m.close())
m.logout()
print("done")
