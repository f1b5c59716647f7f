package sdk

import "github.com/centerleap/postern/sdk/abi"

// appendJSON writes the verdict document. By hand: encoding/json costs a guest more
// than all else a filter does. What most verdicts don't have is looked for at once.
func (v *Verdict) appendJSON(b []byte) []byte {
	d := &v.doc
	w := objectWriter{b: append(b, '{')}
	w.text(`"action":`, d.Action)
	w.text(`"folder":`, d.Folder)
	w.texts(`"labels":`, d.Labels)
	w.text(`"reason":`, d.Reason)
	if v.hasLists() {
		v.appendLists(&w)
	}
	if v.hasObjects() {
		v.appendObjects(&w)
	}
	return append(w.b, '}')
}

// accepts reports whether a verdict says no more than none does.
func (v *Verdict) accepts() bool {
	d := &v.doc
	return (d.Action == "" || d.Action == abi.Accept) && len(d.Folder)|len(d.Labels)|len(d.Reason) == 0 && !v.hasLists() && !v.hasObjects()
}

func (v *Verdict) hasLists() bool {
	d := &v.doc
	return len(d.Unlabel)|len(d.Flags)|len(d.Redirect)|len(d.Headers)|len(d.Tags)|len(d.Remove) != 0 || d.Score != 0 || d.Keep || d.Final
}

func (v *Verdict) hasObjects() bool {
	d := &v.doc
	return d.SMTP != nil || d.Subject != nil || d.Body != nil || d.Reply != nil || d.Hold != nil || d.Thread != nil
}

func (v *Verdict) appendLists(w *objectWriter) {
	d := &v.doc
	w.texts(`"unlabel":`, d.Unlabel)
	w.texts(`"flags":`, d.Flags)
	w.texts(`"redirect":`, d.Redirect)
	w.yes(`"keep":`, d.Keep)
	if len(d.Headers) > 0 {
		objects(w, `"headers":`, d.Headers, writeHeader)
	}
	if len(d.Tags) > 0 {
		objects(w, `"tags":`, d.Tags, writeTag)
	}
	w.texts(`"remove":`, d.Remove)
	w.number(`"score":`, d.Score)
	w.yes(`"final":`, d.Final)
}

func (v *Verdict) appendObjects(w *objectWriter) {
	d := &v.doc
	if d.SMTP != nil {
		w.object(`"smtp":`, func(w *objectWriter) {
			w.number(`"code":`, float64(d.SMTP.Code))
			w.text(`"text":`, d.SMTP.Text)
		})
	}
	if d.Subject != nil { // also an empty one: there is none then
		w.name(`"subject":`)
		w.b = appendText(w.b, *d.Subject)
	}
	if d.Body != nil {
		w.object(`"body":`, func(w *objectWriter) {
			w.text(`"text":`, d.Body.Text)
			w.text(`"html":`, d.Body.HTML)
		})
	}
	if d.Reply != nil {
		w.object(`"reply":`, func(w *objectWriter) {
			w.text(`"from":`, d.Reply.From)
			w.text(`"subject":`, d.Reply.Subject)
			w.text(`"text":`, d.Reply.Text)
			w.text(`"html":`, d.Reply.HTML)
		})
	}
	if d.Hold != nil {
		w.object(`"hold":`, func(w *objectWriter) { w.text(`"until":`, d.Hold.Until) })
	}
	if d.Thread != nil {
		w.object(`"thread":`, func(w *objectWriter) {
			w.text(`"op":`, d.Thread.Op)
			w.text(`"thread_id":`, d.Thread.ThreadID)
			w.texts(`"with":`, d.Thread.With)
		})
	}
}

func writeHeader(w *objectWriter, h *abi.HeaderEdit) {
	w.text(`"op":`, h.Op)
	w.text(`"name":`, h.Name)
	w.text(`"value":`, h.Value)
}

func writeTag(w *objectWriter, t *abi.Tag) {
	w.text(`"name":`, t.Name)
	w.text(`"value":`, t.Value)
}
