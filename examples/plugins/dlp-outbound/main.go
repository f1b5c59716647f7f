// Dlp-outbound finds numbers of payment cards in mail that leaves, in its subject, its text
// and attached text, and has somebody approve it before it goes, or refuses it.
package main

import (
	"io"
	"path"
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk"
)

// most is how much of a message is looked at, in bytes: a call has only so much time.
const most = 1 << 20

func init() {
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		if trusted(m.Recipients()) {
			return sdk.Allow()
		}
		if found := leak(m); found != "" {
			return stop(found)
		}
		return sdk.Allow()
	})
}

// stop is what the setting action says: hold, which is usual, or deny.
func stop(found string) sdk.Verdict {
	if sdk.Config("action") == "deny" {
		return sdk.Deny(found).Reason(found)
	}
	return sdk.Hold(found)
}

// trusted reports whether all recipients are at domains of the setting allow, which has
// commas between them.
func trusted(recipients []string) bool {
	allowed := strings.FieldsFunc(strings.ToLower(sdk.Config("allow")), func(r rune) bool { return r == ',' || r == ' ' })
	return len(recipients) > 0 && !slices.ContainsFunc(recipients, func(addr string) bool {
		return !slices.Contains(allowed, strings.ToLower(addr[strings.LastIndexByte(addr, '@')+1:]))
	})
}

// leak says what must not leave; empty if nothing is found. Of a number it tells the last
// four digits, as receipts do.
func leak(m *sdk.Message) string {
	var s scanner
	_, _ = io.WriteString(&s, m.Subject()) // a scanner takes all
	if s.end(); s.found != "" {
		return "a card number (ending in " + s.found + ") in the subject"
	}
	left, seen := int64(most), s.seen
	if seen == mostGroups {
		return "the subject makes it too long to be looked at"
	}
	for _, p := range m.Parts() {
		if !textual(p) {
			continue
		}
		s := scanner{html: p.Type == "text/html", seen: seen}
		n, err := io.Copy(&s, io.LimitReader(m.Part(p.Index), left))
		s.end()
		left, seen = left-n, s.seen
		switch where := placeOf(p); {
		case s.found != "":
			return "a card number (ending in " + s.found + ") in " + where
		case err != nil:
			return where + " can't be read"
		case left == 0 || seen == mostGroups:
			return where + " makes it too long to be looked at"
		}
	}
	return ""
}

// textual reports whether a part is text, by its type or its name.
func textual(p sdk.Part) bool {
	switch p.Type {
	case "application/json", "application/xml", "application/csv", "application/sql", "application/rtf":
		return true
	}
	switch strings.ToLower(path.Ext(p.Name)) {
	case ".csv", ".tsv", ".txt", ".json", ".xml", ".log", ".md", ".sql", ".html", ".htm", ".rtf", ".eml":
		return true
	}
	return strings.HasPrefix(p.Type, "text/")
}

// placeOf names a part, in one line.
func placeOf(p sdk.Part) string {
	if p.Name == "" {
		return "the text"
	}
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, p.Name)
	return "the attachment " + strings.ToValidUTF8(name[:min(len(name), 100)], "")
}

func main() {}
