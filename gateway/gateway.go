// Package gateway is Postern's vocabulary: the nouns every room shares
// (Message, Entry, Thread, Domain, Account, Key, Scope, Delivery, Kind, Limits)
// and nothing that runs.
//
// One noun, one file. What moves mail lives in the rooms below this folder; any
// room may import this package, which imports only the standard library.
package gateway

import (
	"encoding/hex"
	"errors"
)

// ID is a UUID: the public name of a message, thread, key, domain or log row.
// New ones are version 7, so they sort by age.
type ID [16]byte

// String writes the 36-character form of RFC 9562 section 4.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText makes IDs readable in JSON and logs.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

var errID = errors.New("not a UUID")

// ParseID reads the 36-character form, in either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errID
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, errID
	}
	return id, nil
}
