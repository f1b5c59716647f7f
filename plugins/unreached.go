package plugins

import (
	"github.com/centerleap/postern/sdk/abi"
)

// No plugin is granted these yet.

// Thread is the message's conversation.
func (g *guest) Thread() ([]byte, error) { return nil, abi.Denied }
