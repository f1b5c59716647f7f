package main

import (
	"encoding/base64"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// scriptFailer makes a script a test that a chat can fail.
type scriptFailer struct{ *testscript.TestScript }

func (scriptFailer) Helper() {}

// chats are the open connections of one script, by name; under that key in its
// values.
type chats map[string]*gatewaytest.Chat

type chatsKey struct{}

func (c chats) close() {
	for _, one := range c {
		one.Conn.Close()
	}
}

// chatCommand: chat NAME ADDR FILE connects and holds the dialogue of FILE; chat
// NAME - FILE goes on with a connection that is open. Names of the script's
// environment are filled in. The steps are those of gatewaytest.Chat.Script.
func chatCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: chat NAME ADDR|- FILE")
	}
	open := ts.Value(chatsKey{}).(chats)
	if args[1] != "-" {
		addr := strings.TrimPrefix(args[1], "http://")
		open[args[0]] = gatewaytest.NewChat(scriptFailer{ts}, addr, gatewaytest.TrustLocal(scriptFailer{ts}, ts.Getenv("DATA")))
	}
	c := open[args[0]]
	if c == nil {
		ts.Fatalf("there is no connection %s", args[0])
	}
	last := c.Script(os.Expand(ts.ReadFile(args[2]), ts.Getenv))
	ts.Logf("%s: %s", args[0], last)
}

// plainCommand: plain KEY sets $PLAIN to the argument of AUTH PLAIN that shows KEY.
func plainCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: plain KEY")
	}
	ts.Setenv("PLAIN", base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+args[0])))
}

// shutCommand: shut DURATION METHOD PATH KEY NAME... sends a request, which has to
// make the other side close all those connections within the duration; what it says
// before it does is up to it.
func shutCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 5 {
		ts.Fatalf("usage: shut DURATION METHOD PATH KEY NAME...")
	}
	within, err := time.ParseDuration(args[0])
	ts.Check(err)
	asked := time.Now()
	status, raw, err := request(ts, args[1:4])
	ts.Check(err)
	if status != 200 {
		ts.Fatalf("%s %s: %d %s", args[1], args[2], status, raw)
	}
	open := ts.Value(chatsKey{}).(chats)
	for _, name := range args[4:] {
		ts.Check(open[name].Conn.SetReadDeadline(asked.Add(within)))
		for {
			line, err := open[name].Next()
			if line != "" {
				ts.Logf("%s: %s", name, line)
			}
			if os.IsTimeout(err) {
				ts.Fatalf("%s is still open after %v", name, within)
			} else if err != nil {
				ts.Logf("%s closed after %v", name, time.Since(asked))
				break
			}
		}
	}
}
