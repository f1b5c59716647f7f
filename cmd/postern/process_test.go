package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// process is the real binary. Started again, it listens where it did before, so that
// its clients find it.
type process struct {
	testing.TB
	data   string
	args   []string
	env    []string
	cmd    *exec.Cmd
	banner serve.Banner // its keys are those of the first start
}

// environ is that of a gateway on free ports whose clients are tests: they ask far faster
// than any other.
func environ(more ...string) []string {
	env := os.Environ()
	for _, class := range []string{"READ", "SEND", "CHANGE", "UPLOAD", "STREAM"} {
		env = append(env, "POSTERN_LIMITS_REQUESTS_"+class+"=0")
	}
	for _, door := range serve.Doors {
		env = append(env, "POSTERN_"+strings.ToUpper(door)+"_LISTEN=127.0.0.1:0")
	}
	return append(env, more...)
}

func startBinary(t testing.TB, flags ...string) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{TB: t, data: filepath.Join(dir, "d"), args: flags, env: environ()}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.stop()
		}
	})
	p.start()
	p.env = environ("POSTERN_REST_LISTEN="+strings.TrimPrefix(p.banner.REST, "http://"), "POSTERN_SUBMISSION_LISTEN="+p.banner.Submission,
		"POSTERN_SUBMISSIONS_LISTEN="+p.banner.Submissions, "POSTERN_MX_LISTEN="+p.banner.MX,
		"POSTERN_IMAP_LISTEN="+p.banner.IMAP, "POSTERN_IMAPS_LISTEN="+p.banner.IMAPS)
	return p
}

// start runs the binary over its data. Where it listened before, somebody else on the
// machine may have got a port meanwhile, to connect from: he has it for a moment.
func (p *process) start() {
	p.Helper()
	known := p.banner.Keys
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) { // a poll with a deadline
		said, err := p.try()
		if err == nil {
			break
		}
		if !strings.Contains(said, "address already in use") || time.Since(began) > time.Minute {
			p.Fatalf("the gateway did not start: %v\n%s", err, said)
		}
	}
	if p.banner.Keys == nil {
		p.banner.Keys = known
	}
}

// try is start once; it returns what the binary said if that failed.
func (p *process) try() (said string, err error) {
	cmd := exec.Command(binary(p.TB), append([]string{"quickstart", "--data", p.data, "--json"}, p.args...)...)
	cmd.Env = p.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	log, err := os.CreateTemp(p.TempDir(), "log")
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	p.cmd, p.banner = cmd, serve.Banner{}
	err = json.NewDecoder(out).Decode(&p.banner)
	if err == nil {
		return "", nil
	}
	p.cmd = nil
	_ = cmd.Process.Kill() // it has ended, or says nothing that one could read
	_ = cmd.Wait()
	text, _ := os.ReadFile(log.Name())
	return string(text), err
}

// stop ends it as an operator does.
func (p *process) stop() {
	p.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.Errorf("the gateway ended with %v", err)
	}
	p.cmd = nil
}

// kill ends it as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed: that is the point
	p.cmd = nil
}

// ask makes a request and reads the answer to its end.
func (p *process) ask(c *http.Client, method, path, key string, body io.Reader) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(p.Context(), method, p.banner.REST+path, body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := c.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, answer
}

// do is ask by the domain's key, for an answer in JSON.
func (p *process) do(method, path string, body io.Reader) (int, gatewaytest.Answer) {
	p.Helper()
	status, answer := p.ask(http.DefaultClient, method, path, p.banner.Keys.Domain, body)
	var a gatewaytest.Answer
	if err := json.Unmarshal(answer, &a); err != nil {
		p.Fatal(err, string(answer))
	}
	return status, a
}
