package plugins

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

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
	case len(m.Hooks) == 0:
		return bad("hooks must name at least one of %q", abi.Hooks)
	}
	if name := twin(doc); name != "" {
		return bad("it has %.80q twice", name)
	}
	if repeated(m.Hooks) || repeated(m.Permissions) {
		return bad("hooks and permissions name each once")
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

// twin is a member that an object has twice, of which the decoder takes the last; empty
// if there is none. The document is one object.
func twin(doc []byte) string {
	dec := json.NewDecoder(bytes.NewReader(doc))
	_, _ = dec.Token() // its brace
	var seen []string
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return ""
		}
		member, _ := name.(string)
		if slices.ContainsFunc(seen, func(o string) bool { return strings.EqualFold(o, member) }) {
			return member
		}
		seen = append(seen, member)
	}
	return ""
}

func repeated[T cmp.Ordered](list []T) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) < len(list)
}
