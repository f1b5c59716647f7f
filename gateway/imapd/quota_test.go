package imapd_test

import (
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// RFC 9208, after its examples: the account's quota is one root, and none when there
// is no limit.
func TestQuota(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	c.Script(`
		C: a CREATE "a \"b\" &ZeVnLIqe-"
		S~ a OK
		C: b GETQUOTAROOT INBOX
		S: \* QUOTAROOT "INBOX"$
		S: b OK GETQUOTAROOT completed
		C: c GETQUOTA ""
		S: c NO \[NONEXISTENT\]`)
	if status, a := g.Do("PATCH", "/accounts/"+gatewaytest.Account, g.Keys.Domain, `{"quota_bytes":10240}`); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	receive(t, g, simple(1))
	c.Script(`
		C: d GETQUOTAROOT inbox
		S: \* QUOTAROOT "inbox" ""$
		S: \* QUOTA "" \(STORAGE 1 10\)$
		S: d OK
		C: e GETQUOTA ""
		S: \* QUOTA "" \(STORAGE 1 10\)$
		S: e OK GETQUOTA completed
		C: f GETQUOTA other
		S: f NO \[NONEXISTENT\]
		C: g GETQUOTAROOT "a \"b\" &ZeVnLIqe-"
		S: \* QUOTAROOT "a \\"b\\" &ZeVnLIqe-" ""$
		S: \* QUOTA
		S: g OK
		C: h GETQUOTAROOT Nowhere
		S: h NO \[NONEXISTENT\]
		C: i SETQUOTA "" (STORAGE 512)
		S: i NO \[NOPERM\]
		C: j GETQUOTA
		S: j BAD
		C: k GETQUOTA (x)
		S: k BAD
		C: l GETQUOTAROOT INBOX (MESSAGES)
		S: l BAD
		C: m SELECT INBOX
		S~ m OK`)
	receive(t, g, simple(2))
	c.Script("C: n GETQUOTA {0}\nS: \\+\nC: \nS: \\* QUOTA \"\" \\(STORAGE 1 10\\)\nS: \\* 2 EXISTS\nS: n OK") // what is new is told at its end
	early := g.Dial(t, "imaps")
	early.Script("S: \\* OK \\[CAPABILITY .* ID\\]\nC: a GETQUOTA \"\"\nS: a BAD\nC: b GETQUOTAROOT INBOX\nS: b BAD\nC: c NOOP\nS: c OK")
}

// A client that has said that names are UTF-8 gets the name that it asked about, as every
// other answer has it.
func TestQuotaRootInUTF8(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	c.Script(`
		C: a CREATE "R&-D"
		S: a OK
		C: b GETQUOTAROOT "R&-D"
		S: \* QUOTAROOT "R&-D"$
		S: b OK
		C: c ENABLE IMAP4rev2
		S: \* ENABLED IMAP4rev2
		S: c OK
		C: d GETQUOTAROOT "R&D"
		S: \* QUOTAROOT "R&D"$
		S: d OK
		C: e LIST "" "R&D"
		S: \* LIST \(.*\) "/" "?R&D"?$
		S: e OK`)
}

// What does not fit is refused, and nothing of it is kept; what frees room is not.
func TestOverQuota(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	if status, a := g.Do("PATCH", "/accounts/"+gatewaytest.Account, g.Keys.Domain, `{"quota_bytes":1}`); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	c.Script(`
		C: b APPEND Drafts {5+}
		C: hello
		S: b NO \[OVERQUOTA\]
		C: c COPY 1 Archive
		S: c NO \[OVERQUOTA\]
		C: d STATUS Drafts (MESSAGES)
		S: \* STATUS "?Drafts"? \(MESSAGES 0\)
		S: d OK
		C: e MOVE 1 Archive
		S: \* OK \[COPYUID
		S: \* 1 EXPUNGE
		S: e OK`)
}

// DELETED-STORAGE is what an expunge gives back, RFC 9208 section 4.1.4: not the bytes of
// a message that stands elsewhere, too, and those of one that stands there twice once.
func TestDeletedStorage(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	ask(t, c, "SELECT INBOX")
	size := numberIn(t, ask(t, c, "FETCH 1 RFC822.SIZE"), "RFC822.SIZE")
	ask(t, c, "COPY 2 Archive")
	ask(t, c, "COPY 3 INBOX")
	for _, step := range []struct {
		marks          string
		deleted, bytes uint64
	}{{"1", 1, size}, {"2", 2, size}, {"3", 3, size}, {"4", 4, 2 * size}} {
		ask(t, c, "STORE "+step.marks+" +FLAGS.SILENT (\\Deleted)")
		got := ask(t, c, "STATUS INBOX (DELETED DELETED-STORAGE)")
		if n, b := numberIn(t, got, "DELETED"), numberIn(t, got, "DELETED-STORAGE"); n != step.deleted || b != step.bytes {
			t.Errorf("with %s marked: %q, want %d and %d", step.marks, got, step.deleted, step.bytes)
		}
	}
}

// A capability that is hidden is not served, and the others are.
func TestHidden(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("imap.hide", "quota,Thread,SORT"))
	c := g.Dial(t, "imaps")
	c.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + g.Keys.Account)
	c.Script(`
		S: a OK \[CAPABILITY .* APPENDLIMIT=[0-9]+( CONDSTORE)?( QRESYNC)?( OBJECTID)? ID\] Logged in
		C: b CAPABILITY
		S: \* CAPABILITY .* APPENDLIMIT=[0-9]+( CONDSTORE)?( QRESYNC)?( OBJECTID)? ID$
		S: b OK
		C: c GETQUOTA ""
		S: c BAD
		C: d SETQUOTA "" ()
		S: d BAD
		C: e SELECT INBOX
		S~ e OK
		C: f SORT (DATE) UTF-8 ALL
		S: f BAD
		C: g UID THREAD REFERENCES UTF-8 ALL
		S: g BAD`)
}
