package plugins

import (
	"context"

	"github.com/centerleap/postern/sdk/abi"
)

// No plugin is granted these yet.

// HTTP asks a server elsewhere.
func (g *guest) HTTP(context.Context, []byte) (int, error) { return 0, abi.Denied }

// HTTPRead reads its answer.
func (g *guest) HTTPRead(int, int64, []byte) (int, error) { return 0, abi.Denied }

// Send sends mail.
func (g *guest) Send([]byte) error { return abi.Denied }

// Thread is the message's conversation.
func (g *guest) Thread() ([]byte, error) { return nil, abi.Denied }
