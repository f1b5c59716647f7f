package mailauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// candidate is a signature that is being checked. Its Result is empty until it is known.
type candidate struct {
	Signature
	raw          []byte // the whole field
	start, end   int    // of the value of b= in it
	names        []string
	simple       bool // the form of the header
	simpleBody   bool
	bodySum, sum []byte
	identity     string // the domain of i=
	key          key
}

// settle ends the checking of a candidate.
func (c *candidate) settle(result, reason string) { c.Result, c.Reason = result, reason }

// mostScanned is how many signatures are read to choose those that are checked. Ours:
// lists and their archives add some, not dozens.
const mostScanned = 64

// dkim checks the signatures of a message into res, reading its body once. An error is
// that of reading.
func (c *Checker) dkim(ctx context.Context, res *Result, m arrived) error {
	list, unchecked := c.candidates(m.head)
	res.Unchecked = unchecked
	for _, s := range list {
		if m.err != nil {
			s.settle(PermError, errHeader.Error())
		}
	}
	err := hashBodies(list, m.body)
	fields := newPicker(m.head)
	var wait sync.WaitGroup
	for _, s := range list {
		switch {
		case s.Result != "":
		case err != nil || ctx.Err() != nil:
			s.settle(TempError, tooLate)
		case !bytes.Equal(s.bodySum, s.sum):
			s.settle(Fail, "the body was changed")
		default:
			c.apart(&wait, func() { c.verify(ctx, s, fields) })
		}
	}
	wait.Wait()
	for _, s := range list {
		if s.Result == "" {
			s.settle(TempError, broken)
		}
		res.DKIM = append(res.DKIM, s.Signature)
	}
	return err
}

// candidates reads the signatures of a header and chooses which are checked: those of
// the domains in From first, since DMARC asks for them, then by their order.
func (c *Checker) candidates(head []field) (list []*candidate, unchecked int) {
	who := authorsOf(head)
	authors := who.domains[:c.mostAuthors(who)]
	for _, f := range head {
		switch {
		case f.is("dkim-signature") && len(list) == mostScanned:
			unchecked++
		case f.is("dkim-signature"):
			list = append(list, c.read(f))
		}
	}
	most := int(c.cfg.Limits.DKIMSignatures)
	if len(list) <= most {
		return list, unchecked
	}
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b *candidate) int { return near(authors, a) - near(authors, b) })
	chosen := order[:most]
	kept := slices.DeleteFunc(slices.Clone(list), func(s *candidate) bool { return !slices.Contains(chosen, s) })
	return kept, unchecked + len(list) - most
}

// near is 0 for a signature that could speak for one of the authors, and 1 otherwise.
func near(authors []string, s *candidate) int {
	for _, a := range authors {
		if s.Result == "" && (under(a, s.Domain) || under(s.Domain, a)) {
			return 0
		}
	}
	return 1
}

// under reports whether a domain is another one, or below it.
func under(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// read reads one signature, RFC 6376 section 3.5, and settles what is wrong with it.
func (c *Checker) read(f field) *candidate {
	s := &candidate{raw: f.raw}
	text := string(f.value())
	tags, err := parseTags(text)
	if err != nil {
		s.settle(Neutral, err.Error())
		return s
	}
	s.Selector, s.Algorithm = lower(squeeze(value(tags, "s", ""))), lower(squeeze(value(tags, "a", "")))
	if b := find(tags, "b"); b != nil {
		behind := len(f.raw) - len(text)
		s.start, s.end = behind+b.start, behind+b.end
		s.Start = squeeze(b.value)
		s.Start = s.Start[:min(8, len(s.Start))]
	}
	d, ok := asciiDomain(squeeze(value(tags, "d", "")))
	if !ok {
		s.settle(Neutral, "d= is no domain")
		return s
	}
	s.Domain = d
	if _, ok := asciiDomain(s.Selector + ".test"); !ok {
		s.settle(Neutral, "s= is no selector")
		return s
	}
	c.judge(s, tags)
	return s
}

// judge checks the tags of a signature apart from its names.
func (c *Checker) judge(s *candidate, tags []tag) {
	for _, needed := range []string{"v", "a", "b", "bh", "h"} {
		if value(tags, needed, "") == "" {
			s.settle(Neutral, needed+"= is missing")
			return
		}
	}
	for i := range strings.SplitSeq(value(tags, "h", ""), ":") {
		s.names = append(s.names, trim(i))
	}
	if err := s.forms(squeeze(value(tags, "c", "simple/simple"))); err != nil {
		s.settle(Neutral, err.Error())
		return
	}
	_, at, _ := strings.Cut(squeeze(value(tags, "i", "@"+s.Domain)), "@")
	s.identity, _ = asciiDomain(at)
	var errB, errBH error
	s.sum, errBH = base64.StdEncoding.DecodeString(squeeze(value(tags, "bh", "")))
	_, errB = base64.StdEncoding.DecodeString(squeeze(value(tags, "b", "")))
	switch {
	case value(tags, "v", "") != "1":
		s.settle(Neutral, "v= is not 1")
	case errB != nil || errBH != nil:
		s.settle(Neutral, "not base64")
	case !has(value(tags, "q", "dns/txt"), "dns/txt"):
		s.settle(Neutral, "q= has no way that we know")
	case !under(s.identity, s.Domain):
		s.settle(Neutral, "i= is not in d=")
	case !slices.ContainsFunc(s.names, func(n string) bool { return lower(n) == "from" }):
		s.settle(PermError, "h= has no From")
	case s.Algorithm == "rsa-sha1":
		s.settle(Policy, "sha1 is not to be used, RFC 8301")
	case s.Algorithm != "rsa-sha256" && s.Algorithm != "ed25519-sha256":
		s.settle(Neutral, "a= is no algorithm that we know")
	case !strings.Contains(s.Domain, "."):
		s.settle(Policy, "d= is a top-level domain")
	case find(tags, "l") != nil:
		s.settle(Policy, "l= lets others add to the body")
	case int64(len(s.names)) > c.cfg.Limits.DKIMNames:
		s.settle(Policy, "h= has too many names")
	default:
		s.times(value(tags, "t", ""), value(tags, "x", ""), c.cfg.Now())
	}
}

// forms reads c=: the form of the header, then that of the body, each simple if absent.
func (s *candidate) forms(v string) error {
	head, body, _ := strings.Cut(v, "/")
	for _, form := range []string{head, body} {
		if form != "simple" && form != "relaxed" && form != "" {
			return errors.New("c= is no form that we know")
		}
	}
	s.simple, s.simpleBody = head != "relaxed", body != "relaxed"
	return nil
}

// clockSkew is how far apart clocks may be. Ours; RFC 6376 section 3.5 leaves it open.
const clockSkew = 5 * time.Minute

// times checks t= and x=, in seconds since 1970, at most 12 digits.
func (s *candidate) times(signed, expires string, now time.Time) {
	t, errT := strconv.ParseInt(signed, 10, 64)
	x, errX := strconv.ParseInt(expires, 10, 64)
	switch {
	case signed != "" && (errT != nil || t < 0), expires != "" && (errX != nil || x < 0):
		s.settle(Neutral, "t= or x= is no time")
	case signed != "" && expires != "" && x <= t:
		s.settle(Neutral, "x= is not after t=")
	case expires != "" && now.Add(-clockSkew).Unix() > x:
		s.settle(Fail, "expired")
	}
}

// hashBodies reads the body to its end and gives each candidate its hash of it. Two
// hashes serve all.
func hashBodies(list []*candidate, body io.Reader) error {
	var relaxed, simple *bodyHash
	var writers []io.Writer
	for _, s := range list {
		switch {
		case s.Result != "":
		case s.simpleBody && simple == nil:
			simple = newBodyHash(false)
			writers = append(writers, simple)
		case !s.simpleBody && relaxed == nil:
			relaxed = newBodyHash(true)
			writers = append(writers, relaxed)
		}
	}
	if len(writers) == 0 {
		return nil
	}
	if _, err := io.Copy(io.MultiWriter(writers...), body); err != nil {
		return err
	}
	var sums [2][]byte
	if relaxed != nil {
		sums[0] = relaxed.Sum()
	}
	if simple != nil {
		sums[1] = simple.Sum()
	}
	for _, s := range list {
		s.bodySum = sums[0]
		if s.simpleBody {
			s.bodySum = sums[1]
		}
	}
	return nil
}
