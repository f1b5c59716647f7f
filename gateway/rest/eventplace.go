package rest

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// eventPlace is the id of one of the documents that an event is told in, when more of it
// follows: the event's number, and how many of its entries were told. What ends an event
// has its number alone.
func eventPlace(p gateway.Position) string {
	return strconv.FormatUint(p.Sequence, 10) + "." + strconv.FormatUint(uint64(p.Part), 10)
}

// parseEventPlace reads an id: the feed goes on behind after, and of the event that is next
// the client has seen some parts, if seen is not zero.
func parseEventPlace(id string) (after uint64, seen gateway.Position, ok bool) {
	number, part, within := strings.Cut(id, ".")
	after, err := strconv.ParseUint(number, 10, 64)
	if err != nil || !within {
		return after, seen, err == nil
	}
	parts, err := strconv.ParseUint(part, 10, 32)
	if err != nil || after == 0 {
		return 0, seen, false
	}
	return after - 1, gateway.Position{Sequence: after, Part: uint32(parts)}, true
}
