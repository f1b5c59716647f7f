package main

import (
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/centerleap/postern/sdk"
)

// mail is a message and the start of its text, as it was written.
type mail struct {
	*sdk.Message
	text string
}

// rules are what is looked at. Points are a matter of taste: five are enough for Junk.
var rules = []struct {
	name   string
	points float64
	holds  func(*mail) bool
}{
	{"DMARC fails", 3, func(m *mail) bool { return m.Auth().DMARC == "fail" }},
	{"SPF fails", 1.5, func(m *mail) bool { return m.Auth().SPF == "fail" }},
	{"DKIM fails", 1, func(m *mail) bool { return m.Auth().DKIM == "fail" }},
	{"subject shouts", 1.5, func(m *mail) bool { return shouts(m.Subject()) }},
	{"subject has a word of spam", 2, func(m *mail) bool { return m.SubjectContains(words()...) }},
	{"no Message-ID", 1, func(m *mail) bool { return m.MessageID() == "" }},
	{"no Date", 1, func(m *mail) bool { return !m.HasHeader("Date") }},
	{"name is another address", 2.5, nameLies},
	{"answers go elsewhere", 1, answersElsewhere},
	{"link to a bare address", 2.5, func(m *mail) bool { return bareLink.MatchString(m.text) }},
	{"link with a user name", 2, func(m *mail) bool { return userLink.MatchString(m.text) }},
	{"link says it goes elsewhere", 3, func(m *mail) bool { return linkLies(m.text) }},
	{"program attached", 5, func(m *mail) bool { return attached(m, programs) }},
	{"macros attached", 2, func(m *mail) bool { return attached(m, macros) }},
	{"page attached", 1.5, func(m *mail) bool { return attached(m, pages) }},
}

var (
	programs = []string{".exe", ".scr", ".com", ".pif", ".bat", ".cmd", ".js", ".jse", ".vbs", ".vbe", ".wsf", ".ps1", ".hta", ".jar", ".msi", ".lnk", ".iso", ".img"}
	macros   = []string{".docm", ".xlsm", ".pptm", ".xll"}
	pages    = []string{".html", ".htm", ".svg"}
)

// words are those of the setting words, with commas between them, or some usual ones.
func words() (list []string) {
	for w := range strings.SplitSeq(sdk.Config("words"), ",") {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	if list == nil {
		list = []string{"viagra", "casino", "lottery", "you have won", "crypto bonus", "claim your prize"}
	}
	return list
}

// shouts reports whether a subject is in capitals, or ends in several marks.
func shouts(subject string) bool {
	upper, lower := 0, 0
	for _, r := range subject {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	return upper > 9 && lower == 0 || strings.Contains(subject, "!!")
}

// nameLies reports whether the author's display name is the address of somebody else.
func nameLies(m *mail) bool {
	from := m.From()
	named := address.FindString(from.Name)
	return named != "" && !strings.EqualFold(domainOf(named), domainOf(from.Addr))
}

func answersElsewhere(m *mail) bool {
	if m.Automated().List { // lists do that for good reason
		return false
	}
	from := domainOf(m.From().Addr)
	return slices.ContainsFunc(m.ReplyTo(), func(a sdk.Address) bool { return !strings.EqualFold(domainOf(a.Addr), from) })
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

var (
	address  = regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.-]+`)
	bareLink = regexp.MustCompile(`https?://(?:\d{1,3}\.){3}\d{1,3}[/:\s"'>]`)
	userLink = regexp.MustCompile(`https?://[^/\s"'>?#]*@`)
	// shown is a link of HTML whose text is a link, too: where it goes, and where it says so.
	shown = regexp.MustCompile(`(?i)<a\s[^>]*href\s*=\s*["']?https?://([^/\s"'>:]+)[^>]*>\s*https?://([^/\s<:]+)`)
)

// linkLies reports whether a link goes to another host than it shows.
func linkLies(html string) bool {
	for _, link := range shown.FindAllStringSubmatch(html, -1) {
		goes, says := bare(link[1]), bare(link[2])
		if goes != says && !strings.HasSuffix(goes, "."+says) {
			return true
		}
	}
	return false
}

func bare(host string) string { return strings.TrimPrefix(strings.ToLower(host), "www.") }

// attached reports whether there is a file whose name ends in one of these.
func attached(m *mail, endings []string) bool {
	return slices.ContainsFunc(m.Parts(), func(p sdk.Part) bool {
		return slices.Contains(endings, strings.ToLower(path.Ext(strings.TrimRight(p.Name, ". "))))
	})
}

// enough is how much of a text is looked at, in bytes.
const enough = 32 << 10

// text is the text of a message as it was written, plain or HTML: the start of each part.
func text(m *sdk.Message) string {
	var b strings.Builder
	for _, p := range m.Parts() {
		if b.Len() < enough && p.Name == "" && strings.HasPrefix(p.Type, "text/") {
			if _, err := io.CopyN(&b, m.Part(p.Index), int64(enough-b.Len())); err != nil && !errors.Is(err, io.EOF) {
				sdk.Log.Warn("a part can't be read: " + err.Error())
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
