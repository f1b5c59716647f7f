package sdk

import (
	"iter"

	"github.com/centerleap/postern/sdk/abi"
)

// KV is what the plugin remembers, for each place where it is installed.
// Permission kv.
var KV values

type values struct{}

// Get returns a value, and whether there is one.
func (values) Get(key string) ([]byte, bool) { return host.KVGet(key) }

// Put remembers a value: for ttlSeconds, or for good with 0. A key has 1 to 512
// bytes, a value at most 64 KiB. It lasts if the call ends well.
func (values) Put(key string, value []byte, ttlSeconds int64) error {
	return host.KVPut(key, value, ttlSeconds)
}

// Delete forgets a value, if the call ends well. To forget what is not there is no error.
func (values) Delete(key string) error { return host.KVDelete(key) }

// Incr adds to a counter, from 0 to 2^53, and returns what it is then. It counts at once,
// and whatever becomes of the call: that is how attempts are counted. A counter lasts for
// ttlSeconds from its first use, or for good with 0; to add 0 is to read it. Counters have
// keys of their own: Get, List and Delete don't see them.
func (values) Incr(key string, delta, ttlSeconds int64) (int64, error) {
	return host.KVIncr(key, delta, ttlSeconds)
}

// List goes through the keys that begin with prefix, in their order. After an error there
// are no more.
//
//	for key, err := range sdk.KV.List("seen/") {
func (values) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for cursor := ""; ; {
			doc, err := host.KVList(prefix, cursor)
			var page abi.KVPage
			if err == nil {
				page, err = decode(doc, (*scanner).keys)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range page.Keys {
				if !yield(key, nil) {
					return
				}
			}
			if cursor = page.Next; cursor == "" {
				return
			}
		}
	}
}
