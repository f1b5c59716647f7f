package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// refusal is an answer that a client did not expect.
type refusal string

func (r refusal) Error() string { return string(r) }

// text is what the body of a mail is: large ones are kept in files of their own.
func text(token string) string {
	lines := 1
	if strings.HasSuffix(token, "-large") {
		lines = 5000
	}
	return strings.Repeat("What was acknowledged is there, whole, and it is there once.\r\n", lines) + "end of " + token
}

func written(from, token string) string {
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@doors.example>\r\n\r\n%s\r\n", from, gatewaytest.Account, token, token, text(token))
}

// transact sends one mail in an SMTP session.
func transact(c *smtp.Client, from, token string) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(gatewaytest.Account); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, written(from, token)); err != nil {
		return err
	}
	return w.Close()
}

func smtpClient(addr string) (*smtp.Client, error) {
	t := dial(addr, patience)
	if t.dead {
		return nil, io.EOF
	}
	return smtp.NewClient(t.conn, "localhost")
}

// deliver is another server.
func (p *promises) deliver() error {
	c, err := smtpClient(p.banner.MX)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		token := p.expect("mx", false, gateway.Inbox)
		if err := transact(c, "peer@peer.example", token); err != nil {
			return err
		}
		p.ack("MX", []string{token}, exists)
	}
}

// submit sends over submission, to the account it sends from.
func (p *promises) submit() error {
	c, err := smtpClient(p.banner.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.StartTLS(gatewaytest.TrustLocal(p, p.data)); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", p.banner.SMTPUsername, p.key, "localhost")); err != nil {
		return err
	}
	for {
		token := p.expect("submission", false, gateway.Sent, gateway.Inbox)
		if err := transact(c, gatewaytest.Account, token); err != nil {
			return err
		}
		p.ack("submission", []string{copyKey(gateway.Sent, token)}, exists)
	}
}

// sendREST does the same over REST.
func (p *promises) sendREST() error {
	for {
		token := p.expect("rest", false, gateway.Sent, gateway.Inbox)
		body, err := json.Marshal(map[string]string{"from": gatewaytest.Account, "to": gatewaytest.Account, "subject": token, "text": text(token)})
		if err != nil {
			return err
		}
		req, err := http.NewRequest("POST", p.banner.REST+"/emails", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+p.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != 200 {
			return refusal(fmt.Sprintf("POST /emails: %d %s", resp.StatusCode, answer))
		}
		p.ack("REST", []string{copyKey(gateway.Sent, token)}, exists)
	}
}

// file is a mail program that keeps what it wrote: it appends a mail flagged, takes
// the flag away, and throws every other one away.
func (p *promises) file() error {
	r, err := p.open(gateway.Archive)
	if err != nil {
		return err
	}
	defer r.close()
	for i := 0; ; i++ {
		token := p.expect("append", true, gateway.Archive)
		mail := written(gatewaytest.Account, token)
		lines, err := r.do(fmt.Sprintf("APPEND Archive (\\Flagged) {%d}", len(mail)), mail)
		if err != nil {
			return err
		}
		p.ack("APPEND", []string{token}, exists)
		m := find(lines, `\[APPENDUID (\d+) (\d+)\]`)
		if m == nil {
			return refusal(fmt.Sprintf("no APPENDUID in %q", lines))
		}
		uid := numbers(m[2])
		p.owns(gateway.Archive, uid[0], token)
		if err := r.flag(uid, []string{token}, false); err != nil {
			return err
		}
		if i%2 == 1 {
			continue
		}
		if err := r.move(gateway.Archive, gateway.Trash, uid, []string{token}); err != nil {
			return err
		}
	}
}

// sort is a mail program that flags what arrives, some at a time, and moves most of
// it away.
func (p *promises) sort() error {
	r, err := p.open(gateway.Inbox)
	if err != nil {
		return err
	}
	defer r.close()
	for from := r.next; ; {
		lines, err := r.do(fmt.Sprintf("UID FETCH %d:* (UID FLAGS ENVELOPE)", from))
		if err != nil {
			return err
		}
		var uids []int
		var tokens []string
		for _, s := range sights(gateway.Inbox, lines) {
			if s.uid >= from && len(uids) < 10 { // n:* names the last message in any case
				uids, tokens = append(uids, s.uid), append(tokens, s.token)
			}
		}
		if len(uids) == 0 {
			if _, err := r.do("NOOP"); err != nil {
				return err
			}
			continue
		}
		from = uids[len(uids)-1] + 1
		if err := r.flag(uids, tokens, true); err != nil {
			return err
		}
		stay := len(uids) / 4
		if err := r.move(gateway.Inbox, gateway.Archive, uids[stay:], tokens[stay:]); err != nil {
			return err
		}
	}
}

// opened is a mail program with a folder open.
type opened struct {
	*talk
	p    *promises
	tags int
	next int // UIDNEXT of the folder when it was selected
}

func (p *promises) open(folder string) (*opened, error) {
	r := &opened{talk: dial(p.banner.IMAPS, patience), p: p}
	if r.dead {
		return nil, io.EOF
	}
	r.secure(gatewaytest.TrustLocal(p, p.data))
	if _, err := r.line(); err != nil { // the greeting
		return nil, err
	}
	if _, err := r.do("LOGIN " + gatewaytest.Account + " " + p.key); err != nil {
		return nil, err
	}
	return r, r.choose(folder)
}

// choose selects a folder. Its UIDVALIDITY never changes, its UIDNEXT never falls.
func (r *opened) choose(folder string) error {
	lines, err := r.do("SELECT " + folder)
	if err != nil {
		return err
	}
	validity, next := find(lines, `\[UIDVALIDITY (\d+)\]`), find(lines, `\[UIDNEXT (\d+)\]`)
	if validity == nil || next == nil {
		return refusal(fmt.Sprintf("SELECT answered %q", lines))
	}
	r.next = numbers(next[1])[0]
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	b := r.p.boxes[folder]
	if b.validity != "" && b.validity != validity[1] {
		r.p.Errorf("%s: UIDVALIDITY is %s and was %s", folder, validity[1], b.validity)
	}
	if r.next < b.next {
		r.p.Errorf("%s: UIDNEXT is %d and was %d", folder, r.next, b.next)
	}
	b.validity = validity[1]
	return nil
}

// line reads a line with the literals in it.
func (r *opened) line() (string, error) {
	var whole strings.Builder
	for {
		part, err := r.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		part = strings.TrimSuffix(part, "\r\n")
		whole.WriteString(part)
		m := literal.FindStringSubmatch(part)
		if m == nil {
			return whole.String(), nil
		}
		if _, err := io.CopyN(&whole, r.in, int64(numbers(m[1])[0])); err != nil {
			return "", err
		}
	}
}

var literal = regexp.MustCompile(`\{(\d+)\}$`)

// do gives a command, and its literal when the server asks for it. It returns the
// lines of the answer; anything but OK is an error.
func (r *opened) do(command string, literals ...string) ([]string, error) {
	r.tags++
	tag := fmt.Sprintf("t%d ", r.tags)
	if _, err := io.WriteString(r.conn, tag+command+"\r\n"); err != nil {
		return nil, err
	}
	for lines := []string(nil); ; {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
		switch {
		case strings.HasPrefix(line, "+ ") && len(literals) > 0:
			if _, err := io.WriteString(r.conn, literals[0]+"\r\n"); err != nil {
				return nil, err
			}
			literals = literals[1:]
		case strings.HasPrefix(line, tag+"OK "):
			return lines, nil
		case strings.HasPrefix(line, tag):
			return nil, refusal(fmt.Sprintf("%.80s: %s", command, line))
		}
	}
}

// flag sets or takes the flag of some copies in one command.
func (r *opened) flag(uids []int, tokens []string, set bool) error {
	r.p.change(tokens, func(c *promise) { c.flagged.may(set) })
	sign := map[bool]string{true: "+", false: "-"}[set]
	if _, err := r.do("UID STORE " + numberSet(uids) + " " + sign + `FLAGS (\Flagged)`); err != nil {
		return err
	}
	r.p.ack("STORE", tokens, func(c *promise) { c.flagged.is(set) })
	return nil
}

// move takes some copies to another folder in one command, and enters the UIDs that
// they are said to have there.
func (r *opened) move(from, to string, uids []int, tokens []string) error {
	r.p.change(tokens, func(c *promise) { c.folder.may(to) })
	lines, err := r.do("UID MOVE " + numberSet(uids) + " " + to)
	if err != nil {
		return err
	}
	r.p.ack("MOVE", tokens, func(c *promise) { c.folder.is(to) })
	m := find(lines, `\[COPYUID \d+ (\S+) (\S+)\]`)
	if m == nil {
		return refusal(fmt.Sprintf("no COPYUID in %q", lines))
	}
	if got := numbers(m[1]); !slices.Equal(got, uids) || len(numbers(m[2])) != len(uids) {
		return refusal(fmt.Sprintf("COPYUID %s %s; want %d of %v", m[1], m[2], len(uids), uids))
	}
	for i, uid := range numbers(m[2]) {
		r.p.owns(to, uid, tokens[i])
	}
	return nil
}

func find(lines []string, pattern string) []string {
	re := regexp.MustCompile(pattern)
	for _, l := range lines {
		if m := re.FindStringSubmatch(l); m != nil {
			return m
		}
	}
	return nil
}

// numbers reads a set such as 3:5,9; nobody here writes one with a star.
func numbers(set string) (all []int) {
	for part := range strings.SplitSeq(set, ",") {
		first, last, ranged := strings.Cut(part, ":")
		low, _ := strconv.Atoi(first)
		high, _ := strconv.Atoi(last)
		if !ranged {
			high = low
		}
		for n := low; n <= high; n++ {
			all = append(all, n)
		}
	}
	return all
}

func numberSet(uids []int) string {
	texts := make([]string, len(uids))
	for i, n := range uids {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}
