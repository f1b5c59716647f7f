package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A copy is a message as one side has it, in words: its folder, digest and flags. Line ends
// are no part of the digest: on disk they are others.
func copyOf(folder string, raw []byte, flags ...string) string {
	slices.Sort(flags)
	return fmt.Sprintf("%s %x %s", folder, sha256.Sum256(plainEnds(raw)), strings.Join(flags, " "))
}

// plainEnds is raw with the line ends of a disk, and without the fields that readers
// keep notes in.
func plainEnds(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	head := bytes.Index(raw, []byte("\n\n")) + 1
	return slices.Concat(readersNotes.ReplaceAll(raw[:head], nil), raw[head:])
}

// readersNotes are the fields of isync and of mutt.
var readersNotes = regexp.MustCompile(`(?m)^(X-TUID|Content-Length|Lines): .*\n`)

// shownEmail is what REST lists of an email.
type shownEmail struct {
	ID      string   `json:"email_id"`
	UID     int      `json:"uid"`
	Subject string   `json:"subject"`
	Thread  string   `json:"thread_id"`
	Read    bool     `json:"is_read"`
	Starred bool     `json:"is_starred"`
	Labels  []string `json:"labels"`
}

// rest makes a request with the account's key that has to succeed.
func (p *process) rest(method, path string, body string, into any) {
	p.Helper()
	status, answer := p.ask(http.DefaultClient, method, path, p.banner.Keys.Account, strings.NewReader(body))
	if status/100 != 2 {
		p.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		p.Fatalf("%s %s: %v in %.200s", method, path, err, answer)
	}
}

// listedFolder is a folder as REST lists it.
type listedFolder struct {
	Name        string `json:"name"`
	SpecialUse  string `json:"special_use"`
	UIDValidity int    `json:"uidvalidity"`
	UIDNext     int    `json:"uidnext"`
}

func (p *process) folders() []listedFolder {
	p.Helper()
	var a struct{ Data []listedFolder }
	p.rest("GET", "/folders", "", &a)
	return a.Data
}

func (p *process) folderNames() (names []string) {
	p.Helper()
	for _, f := range p.folders() {
		names = append(names, f.Name)
	}
	return names
}

// emails is what REST says of a folder, the newest first.
func (p *process) emails(folder string) (all []shownEmail) {
	p.Helper()
	for page := 1; ; page++ {
		var a struct {
			Data []shownEmail
			More bool `json:"has_more"`
		}
		p.rest("GET", fmt.Sprintf("/emails?limit=100&page=%d&folder=%s", page, url.QueryEscape(folder)), "", &a)
		all = append(all, a.Data...)
		if !a.More {
			return all
		}
	}
}

// raw is the bytes of an email.
func (p *process) raw(folder string, e *shownEmail) []byte {
	p.Helper()
	status, raw := p.ask(http.DefaultClient, "GET", "/emails/"+e.ID+"/raw?folder="+url.QueryEscape(folder), p.banner.Keys.Account, nil)
	if status != 200 {
		p.Fatalf("the bytes of %+v: %d %s", e, status, raw)
	}
	return raw
}

// shown is every copy that REST shows, with or without the keywords.
func (p *process) shown(keywords bool) (all []string) {
	p.Helper()
	for _, f := range p.folders() {
		all = append(all, p.copies(f.Name, keywords)...)
	}
	slices.Sort(all)
	return all
}

// copies is those of one folder.
func (p *process) copies(folder string, keywords bool) (all []string) {
	p.Helper()
	list := p.emails(folder)
	for i := range list {
		all = append(all, copyOf(folder, p.raw(folder, &list[i]), list[i].flags(keywords)...))
	}
	return all
}

func (e *shownEmail) flags(keywords bool) (flags []string) {
	if e.Read {
		flags = append(flags, "read")
	}
	if e.Starred {
		flags = append(flags, "starred")
	}
	if keywords {
		flags = append(flags, e.Labels...)
	}
	return flags
}

// find is the email of a subject in a folder, nil if there is none.
func (p *process) find(folder, subject string) *shownEmail {
	p.Helper()
	list := p.emails(folder)
	if i := slices.IndexFunc(list, func(e shownEmail) bool { return e.Subject == subject }); i >= 0 {
		return &list[i]
	}
	return nil
}

// patch changes an email over REST.
func (p *process) patch(folder, subject, change string) {
	p.Helper()
	e := p.find(folder, subject)
	if e == nil {
		p.Fatalf("%s has no %q", folder, subject)
	}
	p.rest("PATCH", "/emails/"+e.ID+"?folder="+url.QueryEscape(folder), change, nil)
}

// sameCopies compares what two sides have.
func sameCopies(t testing.TB, what string, got, want []string) {
	t.Helper()
	for _, side := range []struct {
		name     string
		in, from []string
	}{{"too much", want, got}, {"missing", got, want}} {
		left := make(map[string]int)
		for _, c := range side.in {
			left[c]++
		}
		told := 0
		for _, c := range side.from {
			if left[c]--; left[c] < 0 && told < 5 {
				t.Errorf("%s: %s: %s", what, side.name, c)
				told++
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d copies, want %d", what, len(got), len(want))
	}
}

// maildirs is every copy in the Maildirs below a folder. name says which folder a
// path stands for, keywords which letter is which.
func maildirs(t testing.TB, root string, name func(string) string, keywords map[rune]string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		dir := filepath.Base(filepath.Dir(path))
		if err != nil || d.IsDir() || dir != "cur" && dir != "new" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		box, err := filepath.Rel(root, filepath.Dir(filepath.Dir(path)))
		all = append(all, copyOf(name(box), raw, maildirFlags(path, keywords)...))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// maildirFlags reads the flags in a name.
func maildirFlags(path string, keywords map[rune]string) (flags []string) {
	_, letters, _ := strings.Cut(filepath.Base(path), ":2,")
	for _, l := range letters {
		switch l {
		case 'S':
			flags = append(flags, "read")
		case 'F':
			flags = append(flags, "starred")
		default:
			if k := keywords[l]; k != "" {
				flags = append(flags, k)
			}
		}
	}
	return flags
}

// imap is a session of the account with a folder open.
func (p *process) imap(folder string) *opened {
	p.Helper()
	r := &opened{talk: dial(p.banner.IMAPS, scriptTime)}
	if r.dead {
		p.Fatal("nobody answers at " + p.banner.IMAPS)
	}
	p.Cleanup(r.close)
	r.secure(gatewaytest.TrustLocal(p.TB, p.data))
	if _, err := r.line(); err != nil { // the greeting
		p.Fatal(err)
	}
	p.tell(r, "LOGIN "+gatewaytest.Account+" "+p.banner.Keys.Account)
	p.tell(r, `SELECT "`+folder+`"`)
	return r
}

// tell gives a command that has to succeed.
func (p *process) tell(r *opened, command string, literals ...string) []string {
	p.Helper()
	lines, err := r.do(command, literals...)
	if err != nil {
		p.Fatal(err)
	}
	return lines
}
