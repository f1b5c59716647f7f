package mailbox

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
)

// ObjectID names a mailbox of an account for good: it outlives a new name, and no other
// mailbox ever has it. It is the UUID (version 5) of the mailbox's number in the account's
// namespace, and so needs no record. RFC 8474 section 4.
func ObjectID(a *gateway.Account, box gateway.MailboxID) gateway.ID {
	return gateway.ID(uuid.NewSHA1(uuid.UUID(a.UUID), binary.BigEndian.AppendUint32(nil, uint32(box))))
}
