package mailauth

import (
	"strings"
	"testing"
)

// What deceives a reader is said beside the result, which it doesn't change.
func TestAttackSpoofedName(t *testing.T) {
	c := checker(t, dnsOf("b.test TXT v=spf1 +all", "_dmarc.b.test TXT v=DMARC1; p=reject", "_dmarc.a.test TXT v=DMARC1; p=reject"))
	for from, want := range map[string]string{
		"Eve <eve@b.test>":                                 "",
		"\"eve@b.test\" <eve@b.test>":                      "",
		"\"Eve @ work\" <eve@b.test>":                      "",
		"\"ann@a.test\" <eve@b.test>":                      noteName,
		"\"Ann (ann@a.test)\" <eve@b.test>":                noteName,
		"\"eve@b.test ann@a.test\" <eve@b.test>":           noteName,
		"=?utf-8?q?ann=40a.test?= <eve@b.test>":            noteName,
		"=?utf-8?b?YW5uQGEudGVzdA==?= <eve@b.test>":        noteName,
		"\"\u202etset.a@nna\" <eve@b.test>":                noteMarks,
		"=?utf-8?q?=E2=80=AEtset?= <eve@b.test>":           noteMarks,
		"ann@\u0430pple.test":                              noteScripts,
		"ann@xn--pple-43d.test":                            noteScripts,
		"ann@\u0430\u0440\u0440.test":                      "",
		"ann@b\u00fccher.test":                             "",
		"ann@\u65e5\u672c\u3054abc.test":                   "",
		"Eve <eve@b.test>, \"ann@a.test\" <eve@b.test>":    noteName,
		"\"" + strings.Repeat("@", 5000) + "\" <e@b.test>": "",
	} {
		res := check(t, c, "eve@b.test", "From: "+from+"\r\n\r\nx\r\n")
		said := want != "" && strings.Contains(string(res.Field()), want) && strings.HasSuffix(res.Auth().DMARC.Reason, want)
		if want == "" {
			said = !strings.Contains(res.DMARC.Reason, "in From ")
		}
		if ofB := strings.Contains(from, "b.test"); !said || ofB != (res.DMARC.Result == Pass) {
			t.Errorf("%.60q: %s (%s), want %q", from, res.DMARC.Result, res.DMARC.Reason, want)
		}
	}
}
