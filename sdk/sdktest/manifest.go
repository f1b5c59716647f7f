package sdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/centerleap/postern/sdk/abi"
)

// Manifest holds hooks to what the manifest in a file asks for: its hooks, permissions,
// events and hosts. What is not asked for fails the hook, or is denied to it, as in a
// gateway that grants what is asked.
func Manifest(file string) Option {
	return func(h *Host) {
		h.manifest, h.broken = readManifest(file)
	}
}

func readManifest(file string) (*abi.Manifest, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var m abi.Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if m.V != 1 || m.Name == "" || m.Version == "" {
		return nil, fmt.Errorf("%s: v is 1, and name and version are needed", file)
	}
	if err := whole(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &m, nil
}

// whole says what of a manifest a gateway would not take.
func whole(m *abi.Manifest) error {
	for _, hook := range m.Hooks {
		if !slices.Contains(abi.Hooks, hook) {
			return fmt.Errorf("there is no hook %q", hook)
		}
	}
	for _, p := range m.Permissions {
		if !slices.Contains(abi.Permissions, p) {
			return fmt.Errorf("there is no permission %q", p)
		}
	}
	switch {
	case len(m.HTTPHosts) > 0 && !slices.Contains(m.Permissions, abi.PermitHTTP):
		return errors.New("http_hosts needs the permission http")
	case len(m.Events) > 0 && !slices.Contains(m.Hooks, abi.HookEvent):
		return errors.New("events are for the hook event")
	case (m.TickSeconds != 0) != slices.Contains(m.Hooks, abi.HookTick):
		return errors.New("the hook tick and tick_seconds need each other")
	}
	return nil
}

// may reports whether hooks have a permission.
func (h *Host) may(permission string) bool {
	return h.manifest == nil || slices.Contains(h.manifest.Permissions, permission)
}

// unasked is why a gateway would not ask the plugin; empty if it would.
func (h *Host) unasked() string {
	if h.manifest == nil {
		return ""
	}
	e, events := &h.event, h.manifest.Events
	if len(events) == 0 {
		events = []string{received}
	}
	switch {
	case !slices.Contains(h.manifest.Hooks, e.Hook):
		return "the manifest does not name the hook " + e.Hook
	case e.Hook == abi.HookEvent && !slices.Contains(events, e.Type):
		return "the manifest does not ask for events of type " + e.Type
	}
	return ""
}
