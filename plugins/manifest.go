package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// names is what plugins and their versions may be called: they stand in commands
// and in the log.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// readManifest reads and checks what a module says of itself.
func readManifest(doc []byte) (*abi.Manifest, error) {
	bad := func(format string, args ...any) (*abi.Manifest, error) {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "manifest", "manifest: "+format, args...)
	}
	m := &abi.Manifest{}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields() // a misspelt permission would be missed in silence
	if err := dec.Decode(m); err != nil {
		return bad("%w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("there is something behind the JSON object")
	}
	switch {
	case m.V != 1:
		return bad("v must be 1, the version of manifests that this gateway reads")
	case !names.MatchString(m.Name):
		return bad("name must be of 1 to 64 letters, digits and . _ + -")
	case m.Version != "" && !names.MatchString(m.Version):
		return bad("version must be of 1 to 64 letters, digits and . _ + -")
	case len(m.HTTPHosts) > 0 || m.TickSeconds != 0 || len(m.Limits) > 0:
		return bad("http_hosts, tick_seconds and limits are not built yet: leave them out")
	case len(m.Hooks) == 0:
		return bad("hooks must name at least one of %q", abi.Hooks)
	}
	for _, h := range m.Hooks {
		if !slices.Contains(abi.Hooks, h) {
			return bad("there is no hook %q; there are %q", h, abi.Hooks)
		}
	}
	for _, perm := range m.Permissions {
		if !slices.Contains(abi.Permissions, perm) {
			return bad("there is no permission %q; there are %q", perm, abi.Permissions)
		}
	}
	return m, nil
}
