package rest

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// one is a listener for one connection.
type one struct {
	net.Listener
	conn net.Conn
}

func (o *one) Accept() (net.Conn, error) { return o.conn, nil }
func (o *one) Close() error              { return nil }

// answering is a connection as a handler has it, and its client.
func answering(t *testing.T) (c, client net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	ln := newTracked(&one{conn: server})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ln.closeAll()
		client.Close()
	})
	return c, client
}

// Nobody waits for a client that stops reading, however much he has read before.
func TestAnswerNobodyReads(t *testing.T) {
	for _, read := range []int64{0, 1, piece, 3*piece + 7} {
		synctest.Test(t, func(t *testing.T) {
			c, client := answering(t)
			go func() { _, _ = io.CopyN(io.Discard, client, read) }()
			began := time.Now()
			n, err := c.Write(make([]byte, 10*piece))
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || int64(n) != read || took != gateway.AnswerTimeout {
				t.Errorf("%d were read: %d after %v, %v", read, n, took, err)
			}
		})
	}
}

// One who reads slowly gets all of it, however long that takes.
func TestAnswerReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces = 20
		c, client := answering(t)
		go func() {
			for range pieces {
				time.Sleep(gateway.AnswerTimeout - time.Second)
				if _, err := io.CopyN(io.Discard, client, piece); err != nil {
					t.Error(err)
				}
			}
		}()
		if n, err := c.Write(make([]byte, pieces*piece)); n != pieces*piece || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A deadline that a stream sets counts instead, until the next request.
func TestAnswerOfAStream(t *testing.T) {
	c, client := answering(t)
	if err := c.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("behind the stream's deadline: %v", err)
	}
	go func() {
		_, _ = client.Write([]byte("GET"))
		_, _ = io.CopyN(io.Discard, client, 1)
	}()
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("the next answer: %v", err)
	}
}
