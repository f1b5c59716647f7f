package rest

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// one is a listener for one connection.
type one struct {
	net.Listener
	conn net.Conn
}

func (o *one) Accept() (net.Conn, error) { return o.conn, nil }
func (o *one) Close() error              { return nil }

// answering is a connection as a handler has it, and its client.
func answering(t *testing.T, patience time.Duration) (c, client net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	ln := newTracked(&one{conn: server})
	ln.patience = patience
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
		c, client := answering(t, 50*time.Millisecond)
		go func() { _, _ = io.CopyN(io.Discard, client, read) }()
		n, err := c.Write(make([]byte, 10*piece))
		if !errors.Is(err, os.ErrDeadlineExceeded) || int64(n) != read {
			t.Errorf("%d were read: %d, %v", read, n, err)
		}
	}
}

// One who reads slowly gets all of it, however long that takes.
func TestAnswerReadSlowly(t *testing.T) {
	const pieces, patience = 20, 200 * time.Millisecond
	c, client := answering(t, patience)
	took := make(chan time.Duration, 1)
	go func() {
		began := time.Now()
		for range pieces {
			time.Sleep(patience / 10) // the client's pace: all of it takes twice the patience
			if _, err := io.CopyN(io.Discard, client, piece); err != nil {
				t.Error(err)
			}
		}
		took <- time.Since(began)
	}()
	if n, err := c.Write(make([]byte, pieces*piece)); n != pieces*piece || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if d := <-took; d < patience {
		t.Errorf("it took %v, which says nothing", d)
	}
}

// A deadline that a stream sets counts instead, until the next request.
func TestAnswerOfAStream(t *testing.T) {
	c, client := answering(t, time.Minute)
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
