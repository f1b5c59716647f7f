package plugins

import (
	"github.com/centerleap/postern/sdk/abi"
)

// No plugin is granted these yet.

// Send sends mail.
func (g *guest) Send([]byte) error { return abi.Denied }

// Thread is the message's conversation.
func (g *guest) Thread() ([]byte, error) { return nil, abi.Denied }
