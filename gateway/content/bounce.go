package content

import (
	"strings"
)

// Bounces in plain words have no common form; of those that were never replaced by RFC
// 3464, these two say clearly that they are one and for whom: qmail's (QSBMF), and
// those that name who failed in X-Failed-Recipients, as Exim's do. Any other letter may
// be an answer of a person.

// words reads a bounce that is written for people; nil if it is none.
func (r *reportReader) words() *Report {
	c := r.content
	if c.Parts[0].Type == "multipart/report" || c.TextPart < 0 {
		return nil // a report of another kind, such as that somebody has read the mail
	}
	text, _ := toUTF8(r.part(c.TextPart), c.Parts[c.TextPart].Charset)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var failed []string
	if fields, _, err := splitHeader(r.message[:c.HeaderSize], r.lim); err == nil {
		for _, v := range fields.all("X-Failed-Recipients") {
			for _, a := range addresses(v) {
				failed = append(failed, a.Addr)
			}
		}
	}
	if strings.HasPrefix(text, "Hi. This is ") {
		failed = append(failed, qmailRecipients(text)...)
	}
	var out Report
	for _, addr := range failed[:min(int64(len(failed)), r.lim.RecipientsSubmission)] {
		f := Fate{Recipients: reportedAddresses(addr), Action: ActionFailed}
		if len(f.Recipients) == 0 {
			continue
		}
		f.explain(reasonFor(text, addr), "")
		if f.Status[0] == 0 {
			f.Status[0] = 5
		}
		out.Fates = append(out.Fates, f)
	}
	if len(out.Fates) == 0 {
		return nil
	}
	return &out
}

// qmailRecipients are those that have a paragraph: it begins with <address>:.
func qmailRecipients(text string) (out []string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, "---") {
			return out // a copy of the message follows
		}
		addr, found := strings.CutPrefix(strings.TrimLeft(paragraph, "\n"), "<")
		if addr, _, ended := strings.Cut(addr, ">:\n"); found && ended && !strings.Contains(addr, "\n") {
			out = append(out, addr)
		}
	}
	return out
}

// reasonFor is what stands behind an address, to the end of its paragraph.
func reasonFor(text, addr string) string {
	_, rest, _ := strings.Cut(text, addr)
	rest, _, _ = strings.Cut(rest, "\n\n")
	return strings.ReplaceAll(strings.TrimLeft(rest, ">: \n"), ";", ",") // a ; would end a type of diagnostic
}
