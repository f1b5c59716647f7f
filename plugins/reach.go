package plugins

import (
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// maxTick is the longest time between two ticks, in seconds: 30 days. Ours.
const maxTick = 30 * 24 * 3600

// reach checks what a manifest says of how its module is asked, and what it may reach.
func reach(m *abi.Manifest, lim *gateway.Limits) (r gateway.PluginReach, err error) {
	bad := func(format string, args ...any) (gateway.PluginReach, error) {
		return r, gateway.Fieldf(gateway.InvalidParameter, "manifest", "manifest: "+format, args...)
	}
	asks := func(hook string) bool { return slices.Contains(m.Hooks, hook) }
	switch {
	case len(m.HTTPHosts) > 0 && !slices.Contains(m.Permissions, abi.PermitHTTP):
		return bad("http_hosts needs the permission %s", abi.PermitHTTP)
	case int64(len(m.HTTPHosts)) > lim.PluginHosts:
		return bad("http_hosts has more than %d entries", lim.PluginHosts)
	case len(m.Events) > 0 && !asks(abi.HookEvent):
		return bad("events are for the hook %s", abi.HookEvent)
	case repeated(m.Events):
		return bad("events name each once")
	case asks(abi.HookTick) && (int64(m.TickSeconds) < lim.PluginTickSeconds || m.TickSeconds > maxTick):
		return bad("for the hook %s, tick_seconds must be %d to %d", abi.HookTick, lim.PluginTickSeconds, maxTick)
	case !asks(abi.HookTick) && m.TickSeconds != 0:
		return bad("tick_seconds is for the hook %s", abi.HookTick)
	}
	r.TickSeconds = int64(m.TickSeconds)
	for _, entry := range m.HTTPHosts {
		p, err := readPlace(entry)
		if err != nil {
			return bad("http_hosts: %w", err)
		}
		if !slices.Contains(r.HTTPHosts, p.String()) {
			r.HTTPHosts = append(r.HTTPHosts, p.String())
		}
	}
	for _, e := range m.Events {
		if !slices.Contains(gateway.PluginEvents, gateway.EventType(e)) {
			return bad("there is no event %.80q; there are %q", e, gateway.PluginEvents)
		}
		r.Events = append(r.Events, gateway.EventType(e))
	}
	r.Limits, err = lower(m, lim)
	return r, err
}

// lower reads a manifest's own limits. Those of the gateway stay as they are, whatever it
// says: one that is not lower is a mistake.
func lower(m *abi.Manifest, lim *gateway.Limits) (l gateway.PluginLimits, err error) {
	millis, memory := lim.PluginMillis, lim.PluginMemory
	if slices.ContainsFunc(m.Hooks, func(h string) bool { return isLate(gateway.Hook(h)) }) {
		millis, memory = max(millis, lim.PluginEventMillis), max(memory, lim.PluginEventMemory)
	}
	for name, v := range m.Limits {
		var most int64
		var into *int64
		switch name {
		case "millis":
			most, into = millis, &l.Millis
		case "fuel":
			most, into = lim.PluginFuel, &l.Fuel
		case "memory":
			most, into = memory, &l.Memory
		default:
			return l, gateway.Fieldf(gateway.InvalidParameter, "manifest", "manifest: there is no limit %.80q; there are millis, fuel and memory", name)
		}
		if *into = v; v < 1 || v > most {
			return l, gateway.Fieldf(gateway.InvalidParameter, "manifest", "manifest: limits.%s must be 1 to %d", name, most)
		}
	}
	return l, nil
}
