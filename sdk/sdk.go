// Package sdk is what the author of a plugin imports: what a message is, what can be
// decided about it, and what a plugin may remember.
//
//	func init() {
//		sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
//			if m.HasHeader("List-Unsubscribe") {
//				return sdk.Accept().Folder("Newsletters")
//			}
//			return sdk.Accept()
//		})
//	}
//
//	func main() {}
//
// Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o plugin.wasm .
//
// and say in a manifest which hooks it answers. Every call sees a fresh instance:
// variables do not last, and what is to last goes into KV. A panic is a failure, and
// the failure policy of the plugin decides. Package sdktest runs hooks natively, in
// go test.
package sdk

import "github.com/centerleap/postern/sdk/abi"

// hooks are the functions that were registered, by hook.
var hooks = map[string]func(*Message) Verdict{}

// Inbound registers what decides about mail that arrives. Call it in init.
func Inbound(f func(*Message) Verdict) { hooks[abi.HookInbound] = f }

// Outbound registers what decides about mail that leaves, while its sender waits.
func Outbound(f func(*Message) Verdict) { hooks[abi.HookOutbound] = f }

// Thread registers what decides which conversation a message belongs to.
func Thread(f func(*Message) Verdict) { hooks[abi.HookThread] = f }

// Results of a hook other than 0, which is success.
const (
	statusNoHook    = 1 // nothing is registered
	statusNoVerdict = 2 // the gateway does not take the verdict
)

// run answers a hook.
func run(hook string) int32 {
	f := hooks[hook]
	if f == nil {
		return statusNoHook
	}
	v := f(&Message{})
	if err := host.Verdict(v.appendJSON(nil)); err != nil {
		host.Log(3, "the verdict is refused: "+err.Error())
		return statusNoVerdict
	}
	return 0
}

// Host is what the gateway does for a plugin. Authors need it only to write a test
// host of their own; sdktest has one.
type Host interface {
	Event() ([]byte, error)                          // the event document, JSON
	Get(path string) (string, bool)                  // one value of it
	Header(name string, index int) (string, bool)    // -1 is the last
	HeaderCount(name string) int                     //
	Part(part int, off int64, p []byte) (int, error) // 0 at the end
	Verdict(doc []byte) error
	Log(level int, text string)
	Config(key string) (string, bool)
	Now() int64 // Unix milliseconds
	KVGet(key string) ([]byte, bool)
	KVPut(key string, value []byte, ttlSeconds int64) error
}
