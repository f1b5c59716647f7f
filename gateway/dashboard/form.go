package dashboard

import (
	"bytes"
	"io"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

const (
	// drainTime and drainBytes bound what is read of a refused form. Ours, as REST's.
	drainTime  = 5 * time.Second
	drainBytes = 64 << 20
	// formTime is how long a browser may take over a form, pauses included. Ours.
	formTime = 30 * time.Second
	// formMedia is what a form without files sends: HTML standard, "URL-encoded form data".
	formMedia = "application/x-www-form-urlencoded"
	// strangerForm bounds the form of who is not signed in, in bytes: a key, and where to go
	// on to. Ours; no address that we answer is longer.
	strangerForm = 64 << 10
)

// readForm reads the fields of a form without files, at most json_bytes of it. A
// form with files is left to its handler, if there may be one.
func (d *Dashboard) readForm(v *visit) error {
	media, _, err := mime.ParseMediaType(v.c.Get("Content-Type"))
	if media == "multipart/form-data" && v.route.Class == keys.Uploads {
		return nil
	}
	most := d.cfg.Limits.JSONBytes
	if v.route.Who&open != 0 {
		most = min(most, strangerForm)
	}
	if err != nil || media != formMedia || v.c.Get("Content-Encoding") != "" {
		v.c.Context().SetConnectionClose() // what is left of the body is not read
		return gateway.Errorf(gateway.UnsupportedMedia, "a form is sent as %s", formMedia)
	}
	raw, err := io.ReadAll(io.LimitReader(v.body(formTime), most+1))
	if err != nil || int64(len(raw)) > most {
		v.c.Context().SetConnectionClose()
	}
	if err != nil {
		return &gateway.Error{Kind: gateway.Malformed, Message: "the form ended early", Err: err}
	}
	if int64(len(raw)) > most {
		return gateway.Errorf(gateway.TooLarge, "the form is over %d bytes", most)
	}
	if v.form, err = url.ParseQuery(string(raw)); err != nil {
		return gateway.Errorf(gateway.Malformed, "the form can't be read")
	}
	for _, values := range v.form {
		for _, value := range values {
			if !utf8.ValidString(value) {
				return gateway.Errorf(gateway.Malformed, "the form is not UTF-8")
			}
		}
	}
	return nil
}

// body is what the browser sends, for some time. Fiber's own readers unpack gzip
// without a limit.
func (v *visit) body(within time.Duration) io.Reader {
	_ = v.c.Context().Conn().SetReadDeadline(time.Now().Add(within))
	if r := v.c.Context().RequestBodyStream(); r != nil {
		return r
	}
	return bytes.NewReader(v.c.Request().Body())
}

// drain reads what is left of a form that is refused, within bounds, so that the browser
// shows the answer instead of a reset; then the connection closes.
func (v *visit) drain() {
	v.c.Context().SetConnectionClose()
	_, _ = io.CopyN(io.Discard, v.body(drainTime), drainBytes)
}

// field is one field of the form, without the space around it.
func (v *visit) field(name string) string { return strings.TrimSpace(v.form.Get(name)) }
