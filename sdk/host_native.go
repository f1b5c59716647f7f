//go:build !wasip1

package sdk

import (
	"sync"

	"github.com/centerleap/postern/sdk/abi"
)

// host is whatever a test puts there.
var (
	host    Host
	serving sync.Mutex
)

// onReady does nothing: natively no image is taken.
func onReady(func(*Message)) {}

// Serve runs a registered hook with a host of a test's own, and returns what the
// hook returns to the gateway: 0 is success. It exists outside of WebAssembly only;
// sdktest makes it comfortable.
func Serve(h Host, hook string) int32 {
	serving.Lock()
	defer serving.Unlock()
	host = h
	defer func() { host, wishes = nil, nil }()
	switch hook {
	case abi.HookInbound:
		return run(inbound)
	case abi.HookOutbound:
		return run(outbound)
	case abi.HookThread:
		return run(thread)
	case abi.HookEvent:
		return happened()
	case abi.HookTick:
		return ticked()
	}
	return statusNoHook
}
