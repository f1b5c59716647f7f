package content

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Correspondence is what, besides a message itself, decides whether a program may
// answer it.
type Correspondence struct {
	ReturnPath string   // of its envelope; empty is the null one
	Own        []string // addresses of the mailbox that would answer: its own, its aliases, those it was sent to
	DMARC      string   // result, RFC 8601 section 2.7; empty if nobody looked
}

// Automation says whether a program wrote a message, and why another must not answer it:
// RFC 3834 section 2, and RFC 5230 sections 4.5 and 4.6, which are the same for a script
// of the mailbox's owner. c and fields are what Scan and Header found in it.
//
// A mail that fails DMARC is answered by nobody, whatever becomes of it: its author is
// likely somebody who never wrote.
func Automation(c *gateway.Content, fields []gateway.HeaderField, about Correspondence) gateway.Automation {
	a := gateway.Automation{Bounce: about.ReturnPath == ""}
	suppressed := false
	for _, f := range fields {
		switch name := strings.ToLower(f.Name); {
		case name == "auto-submitted":
			a.Auto = a.Auto || autoSubmitted(f.Value)
		case name == "content-type": // RFC 3834 section 2: reports are answers of programs
			a.Auto = a.Auto || strings.HasPrefix(strings.ToLower(f.Value), "multipart/report")
		case name == "precedence":
			a.Bulk = a.Bulk || inBulk(f.Value)
		case name == "x-auto-response-suppress": // Exchange's; None is its way to say nothing
			suppressed = suppressed || !strings.EqualFold(strings.TrimSpace(f.Value), "none")
		case strings.HasPrefix(name, "list-"): // RFC 2369, RFC 2919
			a.List = true
		}
	}
	switch {
	case a.Bounce:
		a.Silent = "it has the null reverse-path"
	case a.Auto:
		a.Silent = "it is marked as automatic"
	case a.List:
		a.Silent = "it is from a mailing list"
	case a.Bulk:
		a.Silent = "it is bulk mail"
	case suppressed:
		a.Silent = "it asks programs not to answer"
	default:
		a.Silent = silentFor(c, fields, about)
	}
	return a
}

// silentFor looks at who wrote a message that a person seems to have written, and to whom.
func silentFor(c *gateway.Content, fields []gateway.HeaderField, about Correspondence) string {
	own := func(a gateway.Address) bool {
		return slices.ContainsFunc(about.Own, func(o string) bool { return strings.EqualFold(o, a.Addr) })
	}
	switch {
	case len(c.From) != 1:
		return "it has not one author"
	case ofProgram(c.From[0].Addr) || ofProgram(about.ReturnPath):
		return "it is from the address of a program"
	case own(c.From[0]) || own(gateway.Address{Addr: about.ReturnPath}):
		return "it is from the mailbox itself"
	case about.DMARC == "fail":
		return "it fails DMARC"
	}
	named := slices.ContainsFunc(slices.Concat(c.To, c.Cc, c.Bcc), own)
	for i := 0; i < len(fields) && !named; i++ {
		switch strings.ToLower(fields[i].Name) {
		case "resent-to", "resent-cc", "resent-bcc":
			named = slices.ContainsFunc(addresses(fields[i].Value), own)
		}
	}
	if !named { // RFC 5230 section 4.5: a list, or a blind copy, that does not say so
		return "it does not name the mailbox among its recipients"
	}
	return ""
}

// ofProgram reports whether no person reads what is sent to an address: RFC 3834 section 2,
// RFC 5230 section 4.6, and what senders call those that they don't read.
func ofProgram(addr string) bool {
	local, _ := gateway.SplitAddress(strings.ToLower(addr))
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(local) {
	case "mailerdaemon", "postmaster", "listserv", "majordomo", "noreply", "donotreply":
		return true
	}
	return strings.HasSuffix(local, "-request") || strings.HasPrefix(local, "owner-")
}

// autoSubmitted reports whether the field of that name marks a message as automatic: RFC
// 3834 section 5.
func autoSubmitted(value string) bool {
	keyword := strings.ToLower(firstWord(value))
	return keyword != "" && keyword != "no"
}

// inBulk reports whether a Precedence says that a message went to many.
func inBulk(value string) bool {
	switch strings.ToLower(firstWord(value)) {
	case "bulk", "junk", "list":
		return true
	}
	return false
}
