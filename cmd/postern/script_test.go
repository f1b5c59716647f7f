package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// The scripts of testdata/script drive the real binary: this test binary is run
// again as postern.
func TestMain(m *testing.M) {
	testscript.Main(cleaned{m}, map[string]func(){"postern": main})
}

func TestScripts(t *testing.T) {
	plugins := builtPlugins(t)
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(scriptTime), // a script that fails leaves a gateway running until then
		Setup: func(e *testscript.Env) error {
			// A socket's path is short; a test's folder is not.
			data, err := os.MkdirTemp("", "postern")
			e.Defer(func() { os.RemoveAll(data) })
			e.Setenv("DATA", filepath.Join(data, "d"))
			open := make(chats)
			e.Values[chatsKey{}] = open
			e.Values[nameserverKey{}] = new(*gatewaytest.DNS)
			e.Values[nextHopKey{}] = new(*gatewaytest.MX)
			e.Defer(open.close)
			e.Setenv("PLUGINS", plugins)
			e.Setenv("POSTERN_LIMITS_PLUGIN_COMPILE_SECONDS", "120") // with -race compiling takes ten times as long
			e.Setenv("POSTERN_LIMITS_PLUGIN_MILLIS", "20000")        // a busy machine must not change what is decided
			e.Setenv("POSTERN_LIMITS_PLUGIN_MESSAGE_MILLIS", "60000")
			for _, door := range serve.Doors {
				e.Setenv("POSTERN_"+strings.ToUpper(door)+"_LISTEN", "127.0.0.1:0")
			}
			return errors.Join(err, withCompilers(e))
		},
		Condition: builds,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"banner": banner, "http": httpCommand, "json": jsonCommand, "eventually": eventually, "maxlines": maxLines,
			"chat": chatCommand, "plain": plainCommand, "shut": shutCommand,
			"agekey": ageKey, "flip": flip,
			"nameserver": nameserver, "publish": publish, "nexthop": nextHop, "carried": carried,
		},
	})
}

const (
	patience   = time.Minute     // no test is quick by it; a busy machine needs it
	scriptTime = 8 * time.Minute // for all scripts; with the race detector those that compile Go take a minute each
)

// banner FILE waits for the JSON that quickstart writes into FILE, and sets
// $REST, $MX, $SUBMISSION, $SUBMISSIONS, $IMAP, $DOMAIN, $ACCOUNT, and the keys as $ADMIN, $KEY, $ACCOUNTKEY, $SENDONLY.
func banner(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: banner FILE")
	}
	var b struct {
		REST, Domain, Account             string
		MX, Submission, Submissions, IMAP string
		Keys                              *struct {
			Admin, Domain, Account string
			SendOnly               string `json:"send_only"`
		}
	}
	deadline := time.Now().Add(patience)
	for {
		raw, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && bytes.HasSuffix(raw, []byte("\n")) && json.Unmarshal(raw, &b) == nil {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no banner in %s: %q, %v", args[0], raw, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Setenv("REST", b.REST)
	for name, addr := range map[string]string{"MX": b.MX, "SUBMISSION": b.Submission, "SUBMISSIONS": b.Submissions, "IMAP": b.IMAP} {
		ts.Setenv(name, addr)
	}
	ts.Setenv("DOMAIN", b.Domain)
	ts.Setenv("ACCOUNT", b.Account)
	if b.Keys != nil {
		ts.Setenv("ADMIN", b.Keys.Admin)
		ts.Setenv("KEY", b.Keys.Domain)
		ts.Setenv("ACCOUNTKEY", b.Keys.Account)
		ts.Setenv("SENDONLY", b.Keys.SendOnly)
	}
}

// httpCommand: http STATUS METHOD PATH KEY [BODY] sends a request to $REST,
// wants the status, and writes the answer to the file "answer".
func httpCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: http STATUS METHOD PATH KEY [BODY]")
	}
	status, raw, err := request(ts, args[1:])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), raw, 0o600))
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s %s: %d, want %s: %s", args[1], args[2], status, args[0], raw)
	}
}

func request(ts *testscript.TestScript, args []string) (int, []byte, error) {
	var body io.Reader
	if len(args) > 3 {
		body = strings.NewReader(args[3])
	}
	req, err := http.NewRequest(args[0], ts.Getenv("REST")+args[1], body)
	if err != nil {
		return 0, nil, err
	}
	if args[2] != "-" {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// jsonCommand: json PATH WANT holds a value of the answer to a regular
// expression; json PATH -> NAME sets $NAME to it.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	raw, err := os.ReadFile(ts.MkAbs("answer"))
	ts.Check(err)
	var v any
	ts.Check(json.Unmarshal(raw, &v))
	for step := range strings.SplitSeq(args[0], ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: there is no element %s in %s", args[0], step, raw)
			}
			v = x[i]
		default:
			v = nil
		}
	}
	got := fmt.Sprint(v)
	if len(args) == 3 && args[1] == "->" {
		ts.Setenv(args[2], got)
		return
	}
	ok, err := regexp.MatchString("^(?:"+args[1]+")$", got)
	ts.Check(err)
	if ok == neg {
		ts.Fatalf("%s is %q, want %q (negated: %v): %s", args[0], got, args[1], neg, raw)
	}
}

// eventually PATTERN METHOD PATH KEY asks until the answer matches.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	deadline := time.Now().Add(patience)
	for {
		_, raw, err := request(ts, args[1:])
		if err == nil && want.Match(raw) {
			ts.Check(os.WriteFile(ts.MkAbs("answer"), raw, 0o600))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no answer matched %s: %s %v", args[0], raw, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// maxLines FILE N: the file has at most N lines.
func maxLines(ts *testscript.TestScript, _ bool, args []string) {
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n := strings.Count(ts.ReadFile(args[0]), "\n"); n > most {
		ts.Fatalf("%s has %d lines, at most %d are wanted", args[0], n, most)
	}
}
