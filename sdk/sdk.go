// Package sdk is what the author of a plugin imports: what a message is, what can be
// decided about it, and what else a plugin may do. A plugin registers a function for each
// hook that it answers:
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
// Inbound, Outbound and Thread decide while somebody waits, in a fraction of a second, by
// returning a Verdict. OnStored, OnEvent and OnTick run afterwards, may ask servers over
// HTTP, and end with an error to be tried again; what they want done to the message they
// ask of the Message:
//
//	sdk.OnStored(func(m *sdk.Message) error {
//		if !m.ReplyOK() { // the gateway would send no answer anyway
//			return nil
//		}
//		ans, err := sdk.HTTP.PostJSON(sdk.Config("llm_url"), map[string]any{"q": m.Text(4096)}, sdk.Secret("llm_key"))
//		if err != nil {
//			return err // tried again
//		}
//		return m.Reply(sdk.Text(ans.String("answer"))).Label("auto-answered")
//	})
//
// Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o plugin.wasm .
//
// and say in a manifest which hooks it answers and which permissions it needs; package abi
// has its fields. Every call sees a fresh instance: variables do not last, and what is to
// last goes into KV. Nothing half-acts: what a hook decides, remembers and sends counts if
// it ends well, counters (KV.Incr) alone count at once. A panic is a failure, and the
// failure policy of the plugin decides. An error of the gateway is an abi.Errno: abi.Denied
// is a permission that the manifest, or whoever installed the plugin, does not give.
//
// Package sdktest runs hooks natively, in go test. No part of this package uses reflection
// or encoding/json, which cost a guest more than most plugins do.
package sdk

// What was registered; nil if nothing was. Variables, for to look one up in a map costs
// a guest as much as to ask the gateway.
var (
	inbound, outbound, thread func(*Message) Verdict
	event, stored             func(*Message) error
	tick                      func() error
)

// Inbound registers what decides about mail that arrives. Call it in init.
func Inbound(f func(*Message) Verdict) { inbound = f }

// Outbound registers what decides about mail that leaves, while its sender waits.
func Outbound(f func(*Message) Verdict) { outbound = f }

// Thread registers what decides which conversation a message belongs to.
func Thread(f func(*Message) Verdict) { thread = f }

// OnEvent registers what is told of what happened to a message, afterwards: of the types
// that the manifest lists as events, by Message.Type. It is told at least once; if it
// returns an error it is told again later, a few times.
func OnEvent(f func(*Message) error) { event = f }

// OnStored registers what is told of mail that has arrived: of events of the type
// email.received, of which OnEvent is not told then.
func OnStored(f func(*Message) error) { stored = f }

// OnTick registers what is asked every tick_seconds of the manifest, about no message; Tick
// says which turn it is.
func OnTick(f func() error) { tick = f }

// Warm registers what is run once, before the first call, about a sample message that
// nobody wrote: every call starts with what it leaves behind. Do there what takes long
// the first time only, such as decoding JSON with encoding/json. There is no configuration
// and no KV yet, and what it decides from the sample it decides for all messages.
func Warm(f func(*Message)) { onReady(f) }

// Results of a hook other than 0, which is success.
const (
	statusNoHook    = 1 // nothing is registered
	statusNoVerdict = 2 // the gateway does not take the verdict
	statusFailed    = 3 // the hook returned an error
	statusMisplaced = 4 // it asked a Message for what only event hooks may
)

// room is where verdicts are written: most fit.
var room [512]byte

// run answers a hook that decides. Of most mail there is nothing to say: what is accepted
// as it is takes the gateway and the guest no document.
func run(f func(*Message) Verdict) int32 {
	if f == nil {
		return statusNoHook
	}
	v := f(&Message{})
	if wishes != nil {
		return misplaced()
	}
	if v.accepts() {
		return 0
	}
	return say(&v)
}

func misplaced() int32 {
	host.Log(levelError, "a Message takes Reply, Label, Unlabel, Flag and MoveTo in event hooks; here the Verdict has them")
	return statusMisplaced
}

// say hands the gateway a verdict.
func say(v *Verdict) int32 {
	if err := host.Verdict(v.appendJSON(room[:0])); err != nil {
		return refused(err)
	}
	return 0
}

func refused(err error) int32 {
	host.Log(levelError, "the verdict is refused: "+err.Error())
	return statusNoVerdict
}

// received is the type of event that OnStored is for.
const received = "email.received"

// happened answers the event hook.
func happened() int32 {
	f := event
	if stored != nil && value("type") == received {
		f = stored
	}
	switch {
	case f == nil && stored == nil:
		return statusNoHook
	case f == nil: // an event that nobody here waits for
		return 0
	}
	if err := failed(f(&Message{})); err != nil {
		host.Log(levelError, err.Error())
		return statusFailed
	}
	if wishes == nil {
		return 0
	}
	return say(wishes)
}

// ticked answers the tick hook.
func ticked() int32 {
	if tick == nil {
		return statusNoHook
	}
	if err := failed(tick()); err != nil {
		host.Log(levelError, err.Error())
		return statusFailed
	}
	if wishes != nil {
		return misplaced()
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
	KVDelete(key string) error
	KVIncr(key string, delta, ttlSeconds int64) (int64, error)
	KVList(prefix, cursor string) ([]byte, error) // abi.KVPage
	HTTP(request []byte) (handle int32, err error)
	HTTPResponse(handle int32) ([]byte, error)                   // abi.HTTPResponse
	HTTPRead(handle int32, off int64, p []byte) (n int, _ error) // 0 at the end
	Send(mail []byte) error
	Thread() ([]byte, error) // abi.Conversation
}
