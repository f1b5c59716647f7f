package keys

import (
	"fmt"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// streamRetry is what a client is told to wait that has too many streams. Ours: one that
// it has lost is noticed by then, mostly.
const streamRetry = 3 * time.Second

// streams counts the open event streams of each key, over all doors.
type streams struct {
	mu    sync.Mutex
	byKey map[gateway.ID]int64
}

// EnterStream counts one more stream of a key, and fails with RateLimited past its limit;
// release takes it back.
func (k *Keys) EnterStream(id gateway.ID) (release func(), err error) {
	n, most := &k.streams, k.cfg.Limits.StreamsPerKey
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byKey == nil {
		n.byKey = make(map[gateway.ID]int64)
	}
	if n.byKey[id] >= most {
		return nil, &gateway.Error{
			Kind: gateway.RateLimited, Limit: "streams", Retry: streamRetry,
			Message: fmt.Sprintf("the key has %d open streams; close one first", most),
		}
	}
	n.byKey[id]++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.byKey[id]--; n.byKey[id] == 0 {
			delete(n.byKey, id)
		}
	}, nil
}
