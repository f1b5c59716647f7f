package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest/nastymail"
)

// nasty is the folder of mail that is hard to read.
const nasty = "Nasty"

// putNasty fills it, and with one mail of 40 MB. It returns how many there are.
func (p *process) putNasty(takes func(raw string) bool) (n int) {
	p.Helper()
	r := p.imap(gateway.Inbox)
	p.tell(r, "CREATE "+nasty)
	put := func(raw string) {
		p.tell(r, fmt.Sprintf("APPEND %s {%d}", nasty, len(raw)), raw)
		n++
	}
	for _, c := range nastymail.Cases() {
		if !c.Refused && takes(c.Raw) {
			put(c.Raw)
		}
	}
	put(mailOf("large") + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 40_000_000/78))
	return n
}

// isync skips a mail without an empty line behind its header, and drops every CR.
func TestIsyncNasty(t *testing.T) {
	s := newIsync(t)
	s.putNasty(func(raw string) bool {
		near := string(plainEnds([]byte(raw)))
		return strings.Contains("\n"+near, "\n\n") && !strings.Contains(near, "\r")
	})
	s.sync()
}

// Each reader has every byte of mail that is hard to read as REST has it.
func TestNastyRead(t *testing.T) {
	r := newMailReader(t, "curl")
	n := r.putNasty(func(string) bool { return true })
	var want []string
	list := r.emails(nasty)
	slices.SortFunc(list, func(a, b shownEmail) int { return a.UID - b.UID })
	for i := range list {
		want = append(want, fmt.Sprintf("%d %x", list[i].UID, sha256.Sum256(r.raw(nasty, &list[i]))))
	}
	if len(want) != n {
		t.Errorf("REST shows %d, want %d", len(want), n)
	}
	t.Setenv("FOLDER", nasty)
	for name, read := range map[string]func() []string{
		"curl": func() []string { return r.curled(n) }, "imaplib": func() []string { return strings.Split(strings.TrimSpace(r.python("imaplib_digests.py")), "\n") },
		"imapflow": func() []string { return strings.Split(strings.TrimSpace(r.node("imapflow_digests.mjs")), "\n") },
	} {
		t.Run(name, func(t *testing.T) { sameCopies(t, name, read(), want) })
	}
}

// curled is what curl makes of them.
func (r *mailReader) curled(n int) (digests []string) {
	r.Helper()
	r.run("curl", "-sS", "--cacert", r.banner.CA, "-u", r.banner.Account+":"+r.banner.Keys.Account,
		fmt.Sprintf("imaps://localhost:%s/%s;UID=[1-%d]", portOf(r, r.banner.IMAPS), nasty, n), "-o", "mail.#1")
	for uid := range n {
		raw, err := os.ReadFile(r.path(fmt.Sprintf("mail.%d", uid+1)))
		if err != nil {
			r.Fatal(err)
		}
		digests = append(digests, fmt.Sprintf("%d %x", uid+1, sha256.Sum256(raw)))
	}
	return digests
}
