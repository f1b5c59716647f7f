package sdktest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// WantFolder wants the message to be filed there; empty: where it would go anyway.
func (r *Result) WantFolder(folder string) *Result {
	r.t.Helper()
	return r.want(r.Verdict.Folder == folder, "folder", r.Verdict.Folder, folder)
}

// WantLabel wants a label, among others.
func (r *Result) WantLabel(label string) *Result {
	r.t.Helper()
	return r.want(slices.Contains(r.Verdict.Labels, label), "labels", r.Verdict.Labels, label)
}

// WantLabels wants these labels and no others.
func (r *Result) WantLabels(labels ...string) *Result {
	r.t.Helper()
	return r.same("labels", r.Verdict.Labels, labels)
}

// WantUnlabel wants these labels to be taken away, and no others.
func (r *Result) WantUnlabel(labels ...string) *Result {
	r.t.Helper()
	return r.same("unlabel", r.Verdict.Unlabel, labels)
}

// WantFlags wants these flags to be set and no others.
func (r *Result) WantFlags(flags ...string) *Result {
	r.t.Helper()
	return r.same("flags", r.Verdict.Flags, flags)
}

// WantRedirect wants the message to be sent on to these; none: to nobody.
func (r *Result) WantRedirect(to ...string) *Result {
	r.t.Helper()
	return r.same("redirect", r.Verdict.Redirect, to)
}

// WantKeep wants a copy of a redirected message to be kept, or not.
func (r *Result) WantKeep(keep bool) *Result {
	r.t.Helper()
	return r.want(r.Verdict.Keep == keep, "keep", fmt.Sprint(r.Verdict.Keep), fmt.Sprint(keep))
}

// WantHeader wants a header field to be added or set.
func (r *Result) WantHeader(name, value string) *Result {
	r.t.Helper()
	return r.want(slices.ContainsFunc(r.Verdict.Headers, func(h abi.HeaderEdit) bool {
		return h.Op != "delete" && strings.EqualFold(h.Name, name) && h.Value == value
	}), "headers", fmt.Sprint(r.Verdict.Headers), name+": "+value)
}

// WantHeaderDeleted wants the header fields of a name to be taken away.
func (r *Result) WantHeaderDeleted(name string) *Result {
	r.t.Helper()
	return r.want(slices.ContainsFunc(r.Verdict.Headers, func(h abi.HeaderEdit) bool {
		return h.Op == "delete" && strings.EqualFold(h.Name, name)
	}), "headers", fmt.Sprint(r.Verdict.Headers), name+" deleted")
}

// WantSubject wants another subject.
func (r *Result) WantSubject(text string) *Result {
	r.t.Helper()
	got := "(as it is)"
	if r.Verdict.Subject != nil {
		got = *r.Verdict.Subject
	}
	return r.want(got == text, "subject", got, text)
}

// WantBody wants another text, in both its forms.
func (r *Result) WantBody(text, html string) *Result {
	r.t.Helper()
	got := "(as it is)"
	if r.Verdict.Body != nil {
		got = r.Verdict.Body.Text + "|" + r.Verdict.Body.HTML
	}
	return r.want(got == text+"|"+html, "body", got, text+"|"+html)
}

// WantTag wants a tag to be added, among others.
func (r *Result) WantTag(name, value string) *Result {
	r.t.Helper()
	return r.want(slices.Contains(r.Verdict.Tags, abi.Tag{Name: name, Value: value}), "tags", fmt.Sprint(r.Verdict.Tags), name+"="+value)
}

// WantRemoved wants these recipients to be taken away, and no others.
func (r *Result) WantRemoved(recipients ...string) *Result {
	r.t.Helper()
	return r.same("remove", r.Verdict.Remove, recipients)
}

// WantReply wants an answer whose text or HTML contains part; empty: no answer.
func (r *Result) WantReply(part string) *Result {
	r.t.Helper()
	a := r.Verdict.Reply
	if a == nil {
		return r.want(part == "", "reply", "(none)", part)
	}
	return r.want(part != "" && strings.Contains(a.Text+"\n"+a.HTML, part), "reply", cmp.Or(a.Text, a.HTML), part)
}

// WantHeldUntil wants mail to be held until then; zero: until somebody releases it.
func (r *Result) WantHeldUntil(until time.Time) *Result {
	r.t.Helper()
	got, want := "", ""
	if r.Verdict.Hold != nil {
		got = r.Verdict.Hold.Until
	}
	if !until.IsZero() {
		want = until.UTC().Format(time.RFC3339)
	}
	return r.want(r.Verdict.Action == abi.Hold && got == want, "held until", r.Verdict.Action+" "+got, want)
}

func (r *Result) thread() (move abi.ThreadMove) {
	if r.Verdict.Thread != nil {
		move = *r.Verdict.Thread
	}
	return move
}

// WantJoin wants the message in a conversation; empty: where it would go anyway.
func (r *Result) WantJoin(threadID string) *Result {
	r.t.Helper()
	got := r.thread()
	return r.want(got.ThreadID == threadID && (threadID == "") == (got.Op == ""), "thread", got.Op+" "+got.ThreadID, threadID)
}

// WantNewThread wants the message to start a conversation.
func (r *Result) WantNewThread() *Result {
	r.t.Helper()
	op := r.thread().Op
	return r.want(op == "new", "thread", op, "new")
}

// WantMerge wants conversations to become part of another one; threadID is empty for the
// one that the message goes to anyway.
func (r *Result) WantMerge(threadID string, others ...string) *Result {
	r.t.Helper()
	got := r.thread()
	return r.want(got.Op == "merge" && got.ThreadID == threadID && slices.Equal(got.With, others), "thread", fmt.Sprint(got), fmt.Sprint("merge ", threadID, others))
}

// WantSplit wants these messages in the conversation that the message starts.
func (r *Result) WantSplit(messageIDs ...string) *Result {
	r.t.Helper()
	got := r.thread()
	return r.want(got.Op == "split" && slices.Equal(got.With, messageIDs), "thread", fmt.Sprint(got), fmt.Sprint("split ", messageIDs))
}

// WantFinal wants no plugin after this one to be asked.
func (r *Result) WantFinal() *Result {
	r.t.Helper()
	return r.want(r.Verdict.Final, "final", fmt.Sprint(r.Verdict.Final), "true")
}
