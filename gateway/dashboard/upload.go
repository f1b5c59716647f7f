package dashboard

import (
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

const (
	// uploadTime is how long a browser may take over a module, which holds one of few
	// places. Ours: 16 MiB at 140 KiB/s.
	uploadTime = 2 * time.Minute
	// fieldBytes bounds what a form has beside its module, each field and all. Ours.
	fieldBytes = 256 << 10
	// partsRead bounds the parts of a form. Ours: ours have four.
	partsRead = 20
)

// upload reads the form of a module, in one of the few slots for it; done gives that back
// when the module is compiled.
func (d *Dashboard) upload(v *visit, u *gateway.PluginUpload) (done func(), err error) {
	media, params, err := mime.ParseMediaType(v.c.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" || v.c.Get("Content-Encoding") != "" {
		return nil, gateway.Errorf(gateway.UnsupportedMedia, "a module is sent as multipart/form-data")
	}
	release, err := d.cfg.Uploads.Take(v.signin.session.Scope().Domain())
	if err != nil {
		return nil, err
	}
	leave, err := d.cfg.Plugins.Slot()
	if err != nil {
		release()
		return nil, err
	}
	done = func() { leave(); release() }
	parts := multipart.NewReader(io.LimitReader(v.body(uploadTime), d.cfg.Limits.PluginModule+2*fieldBytes), params["boundary"])
	if err = d.readParts(v, parts, u); err != nil {
		v.drain()
		done()
		return nil, err
	}
	return done, nil
}

// readParts reads the parts of the form: wasm and manifest are files, all else is a field.
func (d *Dashboard) readParts(v *visit, parts *multipart.Reader, u *gateway.PluginUpload) error {
	v.form = url.Values{}
	left := int64(fieldBytes)
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // the last boundary; one that is wrapped is an early end
			break
		} else if err != nil {
			return &gateway.Error{Kind: gateway.Malformed, Message: "the form ended early, or can't be read", Err: err}
		}
		name := part.FormName()
		if left -= int64(len(name)); left < 0 || n == partsRead {
			return gateway.Errorf(gateway.TooLarge, "the form has more than a module and its settings")
		}
		most := left
		if name == "wasm" {
			most = d.cfg.Limits.PluginModule
		}
		raw, err := io.ReadAll(io.LimitReader(part, most+1))
		switch {
		case err != nil:
			return &gateway.Error{Kind: gateway.Malformed, Message: "the form ended early", Err: err}
		case int64(len(raw)) > most:
			return gateway.Fieldf(gateway.TooLarge, name, "%.40q has more than %d bytes", name, most)
		case name == "wasm":
			u.Wasm = raw
			continue
		case name == "manifest" && len(raw) > 0: // a file that was not chosen is empty
			u.Manifest = raw
		case !utf8.Valid(raw):
			return gateway.Errorf(gateway.Malformed, "the form is not UTF-8")
		default:
			v.form.Add(name, string(raw))
		}
		left -= int64(len(raw))
	}
	if len(u.Wasm) == 0 {
		return gateway.Fieldf(gateway.MissingField, "wasm", "choose the file of the module")
	}
	return nil
}
