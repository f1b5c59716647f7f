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

// What was registered; nil if nothing was. Variables, for to look one up in a map costs
// a guest as much as to ask the gateway.
var inbound, outbound, thread func(*Message) Verdict

// Inbound registers what decides about mail that arrives. Call it in init.
func Inbound(f func(*Message) Verdict) { inbound = f }

// Outbound registers what decides about mail that leaves, while its sender waits.
func Outbound(f func(*Message) Verdict) { outbound = f }

// Thread registers what decides which conversation a message belongs to.
func Thread(f func(*Message) Verdict) { thread = f }

// Warm registers what is run once, before the first call, about a sample message that
// nobody wrote: every call starts with what it leaves behind. Do there what takes long
// the first time only, such as decoding JSON with encoding/json. There is no configuration
// and no KV yet, and what it decides from the sample it decides for all messages.
func Warm(f func(*Message)) { onReady(f) }

// Results of a hook other than 0, which is success.
const (
	statusNoHook    = 1 // nothing is registered
	statusNoVerdict = 2 // the gateway does not take the verdict
)

// room is where verdicts are written: most fit.
var room [512]byte

// run answers a hook.
func run(f func(*Message) Verdict) int32 {
	if f == nil {
		return statusNoHook
	}
	v := f(&Message{})
	if err := host.Verdict(v.appendJSON(room[:0])); err != nil {
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
