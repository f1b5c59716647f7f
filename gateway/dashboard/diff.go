package dashboard

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// diffLine is a line of a message before and after a plugin: one that stays, goes or comes.
type diffLine struct {
	Op   string // "", "-" or "+"
	Text string
}

const (
	// diffText is how much of a text is shown, in bytes, and diffLines how many lines two
	// texts may have to be compared line by line: that takes time by their product. Ours.
	diffText  = 16 << 10
	diffLines = 500
)

// tried is a message as it was before a plugin was asked.
type tried struct {
	header     []gateway.HeaderField
	text       string
	recipients []string
	folder     string
	labels     []string
}

// before reads a message that a plugin is about to see.
func (d *Dashboard) before(look *gateway.Look) (t tried, err error) {
	t.folder, t.labels, t.recipients = look.Folder, slices.Clone(look.Labels), slices.Clone(look.Envelope.Recipients)
	if look.Message == nil || look.Reading == nil {
		return t, nil
	}
	fields, err := look.Reading.Header()
	if err != nil {
		return t, err
	}
	t.header = slices.Clone(fields)
	t.text, _, err = look.Reading.Text(diffText)
	return t, err
}

// diff is what a verdict would change, in the header, the text, and what becomes of it.
func (t *tried) diff(hook gateway.Hook, v *gateway.Verdict) (header, text, fate []diffLine) {
	was, is := fieldLines(t.header), fieldLines(t.edited(v))
	header = compared(was, is)
	after := t.text
	if v.Body != nil {
		after = v.Body.Text
	}
	return header, compared(lines(t.text), lines(after[:min(len(after), diffText)])), t.fate(hook, v)
}

// edited is the header after a verdict.
func (t *tried) edited(v *gateway.Verdict) []gateway.HeaderField {
	after := slices.Clone(t.header)
	set := func(name, value string, keep bool) {
		after = slices.DeleteFunc(after, func(f gateway.HeaderField) bool { return strings.EqualFold(f.Name, name) })
		if keep {
			after = append(after, gateway.HeaderField{Name: name, Value: value})
		}
	}
	for _, e := range v.Edits {
		set(e.Name, e.Value, e.Set)
	}
	if v.Subject != nil {
		set("Subject", *v.Subject, true)
	}
	return append(slices.Clone(v.Headers), after...)
}

// fate is where a message goes, what it is marked with, and who gets it.
func (t *tried) fate(hook gateway.Hook, v *gateway.Verdict) (all []diffLine) {
	add := func(op, text string) { all = append(all, diffLine{op, text}) }
	add("", "Decision: "+actionName(hook, v.Action))
	if v.Code != 0 {
		add("", "Reply code: "+strconv.Itoa(v.Code))
	}
	if v.Text != "" {
		add("", "To the sender: "+v.Text)
	}
	folder := v.Folder
	if v.Action == gateway.ActionQuarantine {
		folder = cmp.Or(folder, gateway.Junk)
	}
	if folder != "" && folder != t.folder {
		if t.folder != "" {
			add("-", "Folder: "+t.folder)
		}
		add("+", "Folder: "+folder)
	}
	for _, l := range v.Labels {
		add("+", "Label: "+l)
	}
	for _, l := range v.Unlabel {
		add("-", "Label: "+l)
	}
	for _, r := range v.Remove {
		add("-", "Recipient: "+r)
	}
	for _, r := range v.Redirect {
		add("+", "Sent on to: "+r)
	}
	for _, tag := range v.Tags {
		add("+", "Tag: "+tag.Name+"="+tag.Value)
	}
	if v.Flags.Has(gateway.Seen) {
		add("+", "Marked as read")
	}
	if v.Flags.Has(gateway.Flagged) {
		add("+", "Starred")
	}
	if v.Score != 0 {
		add("+", "Score: "+strconv.FormatFloat(v.Score, 'f', -1, 64))
	}
	if v.Reply != nil {
		add("+", "Answers: "+cmp.Or(v.Reply.Text, v.Reply.HTML))
	}
	if v.Final {
		add("", "Nobody is asked after it")
	}
	return all
}

// actionName is an action as its hook calls it.
func actionName(hook gateway.Hook, a gateway.Action) string {
	if a == gateway.ActionAccept && hook == gateway.HookOutbound {
		return "allow"
	}
	return cmp.Or(string(a), "accept")
}

func fieldLines(fields []gateway.HeaderField) (all []string) {
	for _, f := range fields {
		all = append(all, f.Name+": "+f.Value)
	}
	return all
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
}

// compared shows two lists of lines as one, by their longest common subsequence. Very
// long ones are shown one behind the other.
func compared(was, is []string) (all []diffLine) {
	if slices.Equal(was, is) {
		for _, l := range was {
			all = append(all, diffLine{"", l})
		}
		return all
	}
	if len(was) > diffLines || len(is) > diffLines {
		for _, l := range was {
			all = append(all, diffLine{"-", l})
		}
		for _, l := range is {
			all = append(all, diffLine{"+", l})
		}
		return all
	}
	common := commonTails(was, is)
	i, j := 0, 0
	for i < len(was) || j < len(is) {
		switch {
		case i < len(was) && j < len(is) && was[i] == is[j]:
			all = append(all, diffLine{"", was[i]})
			i, j = i+1, j+1
		case j == len(is) || i < len(was) && common[i+1][j] >= common[i][j+1]:
			all = append(all, diffLine{"-", was[i]})
			i++
		default:
			all = append(all, diffLine{"+", is[j]})
			j++
		}
	}
	return all
}

// commonTails are the lengths of the longest common subsequences of the tails of two lists.
func commonTails(a, b []string) [][]int {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	return n
}

// digest is a version's name that no other has.
func digest(v *gateway.PluginVersion) string { return hex.EncodeToString(v.SHA256[:]) }
