package rest

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// uploadTime bounds the reading of a module, which holds one of few places.
	// Ours: 16 MiB at 140 KiB/s.
	uploadTime = 2 * time.Minute
	// uploadSlack is what an upload may have besides its module, in bytes.
	uploadSlack = 256 << 10
)

// upload reads a module in one of the few slots for it, of its domain's share; done gives
// both back when the module is compiled.
func (s *Server) upload(k *call, u *gateway.PluginUpload) (done func(), err error) {
	release, err := s.cfg.Uploads.Take(k.scope.Domain())
	if err != nil {
		return nil, err
	}
	leave, err := s.cfg.Plugins.Slot()
	if err != nil {
		release()
		return nil, err
	}
	done = func() { leave(); release() }
	if err = s.readUpload(k, u); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// wasmBody is the media type of a module alone, which then has its manifest in it.
const wasmBody = "application/wasm"

// readUpload reads a module: alone, or as the part wasm, perhaps with manifest and
// grants.
func (s *Server) readUpload(k *call, u *gateway.PluginUpload) error {
	media, most, read := "multipart/form-data", s.cfg.Limits.PluginModule+uploadSlack, s.readParts
	if t, _, err := mime.ParseMediaType(k.c.Get("Content-Type")); err == nil && t == wasmBody {
		media, most, read = wasmBody, s.cfg.Limits.PluginModule, readModule
	}
	b, err := s.openBody(k, media, most)
	if err != nil {
		return err
	}
	b.until = time.Now().Add(uploadTime)
	stop := b.watch()
	err = read(k, b, u)
	stop()
	if err != nil {
		if b.err != nil { // what the client did to the body says more than what was read of it
			err = b.err
		}
		return b.refuse(err)
	}
	return nil
}

func readModule(_ *call, b *body, u *gateway.PluginUpload) (err error) {
	u.Wasm, err = io.ReadAll(b)
	return err
}

func (s *Server) readParts(k *call, b *body, u *gateway.PluginUpload) error {
	_, params, err := mime.ParseMediaType(k.c.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return gateway.Errorf(gateway.Malformed, "multipart/form-data has a boundary")
	}
	parts := multipart.NewReader(b, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // the last boundary; one that is wrapped is an early end
			break
		} else if err != nil {
			return &gateway.Error{Kind: gateway.Malformed, Message: "the body is not valid multipart/form-data", Err: err}
		}
		if err := s.readPart(part, u); err != nil {
			return err
		}
	}
	if u.Wasm == nil {
		return gateway.Fieldf(gateway.MissingField, "wasm", "the module is missing: send it as the part wasm")
	}
	return nil
}

// readPart reads one part; each may come once.
func (s *Server) readPart(part *multipart.Part, u *gateway.PluginUpload) error {
	name, most := part.FormName(), int64(uploadSlack)
	if name == "wasm" {
		most = s.cfg.Limits.PluginModule
	}
	raw, err := io.ReadAll(io.LimitReader(part, most+1))
	switch {
	case err != nil:
		return &gateway.Error{Kind: gateway.Malformed, Message: "the body is not valid multipart/form-data", Err: err}
	case int64(len(raw)) > most:
		return gateway.Fieldf(gateway.TooLarge, name, "the part %.40q has more than %d bytes", name, most)
	case name == "wasm" && u.Wasm == nil:
		u.Wasm = raw
	case name == "manifest" && u.Manifest == nil:
		u.Manifest = raw
	case name == "grants" && u.Grants == nil:
		u.Grants = &[]string{}
		if err := json.Unmarshal(raw, u.Grants); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "grants", `grants is a JSON list such as ["kv"]`)
		}
	default:
		return gateway.Fieldf(gateway.InvalidParameter, "", "the part %.40q is not known, or comes twice; there are wasm, manifest and grants", name)
	}
	return nil
}
