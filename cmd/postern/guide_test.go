package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// need skips a test whose outside tool is missing; where everything has to run,
// it fails.
func need(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: %v", what, err)
	default:
		t.Skipf("%s is missing: %v", what, err)
	}
}

// guide reads the API guide, which is no part of this repository.
func guide(t *testing.T) string {
	t.Helper()
	path := os.Getenv("POSTERN_GUIDE")
	if path == "" {
		path = filepath.Join("..", "..", "..", "shared", "guide", "api-keys-guide.txt")
	}
	raw, err := os.ReadFile(path)
	need(t, "the API guide (POSTERN_GUIDE)", err)
	return string(raw)
}

// Every row of the table names a heading of the guide and evidence that exists.
func TestGuideTable(t *testing.T) {
	text := guide(t)
	raw, err := os.ReadFile("testdata/guide.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	rows := 0
	for i, line := range strings.Split(string(raw), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		rows++
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || cells[1] == "" {
			t.Errorf("line %d is no row: %q", i+1, line)
			continue
		}
		if !strings.Contains(text, cells[0]) {
			t.Errorf("line %d: the guide has no heading %q", i+1, cells[0])
		}
		if fault := evidence(cells[2], tests); fault != "" {
			t.Errorf("line %d: %s", i+1, fault)
		}
	}
	if rows < 90 {
		t.Errorf("%d rows; the guide says about 90 things", rows)
	}
}

func evidence(e string, tests map[string]bool) string {
	kind, what, _ := strings.Cut(e, " ")
	switch {
	case what == "":
	case kind == "later" || kind == "departure":
		return ""
	case kind == "test":
		if !tests[what] {
			return "there is no test " + what
		}
		return ""
	case kind == "script":
		if _, err := os.Stat(filepath.Join("testdata", "script", what)); err != nil {
			return err.Error()
		}
		return ""
	case kind == "snippet":
		for _, s := range snippets {
			if s.name() == what {
				return ""
			}
		}
		return "there is no snippet " + what
	}
	return fmt.Sprintf("%q is no evidence", e)
}

// testNames finds the tests of the whole repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	def := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range def.FindAllSubmatch(raw, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// snippet is a piece of the guide: from the line after label to the line end.
type snippet struct {
	label, end string
	run        []string // program and arguments; the file comes last
	ext        string
	account    bool   // run with an account key
	before     string // a line the snippet takes for granted
	want       string // of the output, a regular expression
	after      string // the heading it stands under, where its own occurs twice
	listens    bool   // it never ends: an email is sent when it is connected
}

// name is how the table calls a snippet.
func (s *snippet) name() string {
	if s.after != "" {
		return s.label + " under " + s.after
	}
	return s.label
}

var snippets = []snippet{
	{label: "JavaScript (fetch)", end: "cURL", run: []string{"node"}, ext: "mjs", want: `Email sent: [0-9a-f-]{36}`},
	{label: "cURL", end: "Deno / Edge Runtime", run: []string{"bash"}, ext: "sh", want: `"id":"[0-9a-f-]{36}"`},
	{label: "Deno / Edge Runtime", end: "Request Body", run: []string{"../../.ci/node/node_modules/.bin/deno", "run", "--allow-net", "--allow-env"}, ext: "ts"},
	{label: "JavaScript — List then Read", end: "Update Email", run: []string{"node"}, ext: "mjs", account: true, want: `(?s)\[NEW\] Hello from a customer.*Preview: .*<p>`},
	{label: "Mark Read / Unread / Star", end: "Delete Email", run: []string{"node"}, ext: "mjs", account: true},
	{label: "JavaScript — Send Reply", end: "Get Thread", run: []string{"node"}, ext: "mjs", account: true},
	{label: "JavaScript — Send with attachment", end: "List Attachments", run: []string{"node"}, ext: "mjs", account: true},
	{label: "JavaScript — Download attachment", end: "Real-Time Streaming", run: []string{"node"}, ext: "mjs", account: true, before: "const emailId = process.env.EMAIL_ID;\n"},
	{
		label: "JavaScript (EventSource)", end: "cURL (test connection)", run: []string{"node"}, ext: "mjs", account: true, listens: true,
		before: "import EventSource from 'eventsource';\n", want: `New email in INBOX! UID: 12349`,
	},
	{
		label: "cURL (test connection)", end: "SMTP Configuration", run: []string{"bash"}, ext: "sh", account: true, listens: true,
		want: `"mailbox":"INBOX","uid":1235[0-9]`,
	},
	{
		label: "Node.js (Nodemailer)", end: "Python (smtplib)", run: []string{"node"}, ext: "mjs",
		before: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);\n",
	},
	{label: "Python (smtplib)", end: "PHP (PHPMailer)", run: []string{"python3"}, ext: "py"},
	{label: "PHP (PHPMailer)", end: "cURL", run: []string{"php", "-d", "auto_prepend_file=" + phpMailer}, ext: "php"},
	{label: "cURL", after: "PHP (PHPMailer)", end: "Rate Limits", run: []string{"bash"}, ext: "sh"},
	{label: "Delete Email", end: "Permission Required", run: []string{"bash"}, ext: "sh", account: true, want: `"folder":"Trash"`},
}

// phpMailer is where Debian keeps PHPMailer.
const phpMailer = "/usr/share/php/libphp-phpmailer/autoload.php"

// cutSnippet takes a snippet out of the guide. Only host and port, and the key
// of a literal, are replaced.
func cutSnippet(t *testing.T, text string, s *snippet, g *gatewaytest.Gateway, key string) string {
	t.Helper()
	if s.after != "" {
		_, text, _ = strings.Cut(text, "\n"+s.after+"\n")
	}
	_, after, found := strings.Cut(text, "\n"+s.label+"\n")
	code, _, ended := strings.Cut(after, "\n"+s.end+"\n")
	if !found || !ended {
		t.Fatalf("the guide has no snippet between %q and %q", s.label, s.end)
	}
	if s.label == "Delete Email" { // a request line, not code
		_, line, ok := strings.Cut(code, "DELETE https://")
		if !ok {
			t.Fatal("the guide has no DELETE line")
		}
		code = fmt.Sprintf("curl -s -X DELETE 'https://%s' -H 'Authorization: Bearer bm_live_xxx'", strings.TrimSpace(line))
	}
	if strings.HasPrefix(code, "<?php") {
		code = "<?php" + s.before + code[len("<?php"):]
	} else {
		code = s.before + code
	}
	_, port, err := net.SplitHostPort(g.Addr("submission"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("https://api.centerleap.com", g.URL, "mail.centerleap.com", "localhost", "587", port,
		"bm_live_xxx", key, "bm_live_your_key_here", key).Replace(code)
}

// The guide's snippets run as they stand, against a gateway that has what they
// speak of: the domain yourdomain.com, its bot, and an email with UID 12345.
func TestGuideSnippets(t *testing.T) {
	text := guide(t)
	_, err := os.Stat(phpMailer)
	need(t, "PHPMailer (.ci/setup installs it)", err)
	for _, tool := range []string{"node", "bash", "curl", "python3", "php"} {
		_, err := exec.LookPath(tool)
		need(t, tool, err)
	}
	modules, err := filepath.Abs("../../.ci/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{".bin/deno", "nodemailer", "eventsource"} {
		_, err := os.Stat(filepath.Join(modules, tool))
		need(t, tool+" (.ci/setup installs it)", err)
	}
	g := gatewaytest.Start(t)
	w := newWorld(t, g)
	for _, s := range snippets {
		t.Run(s.name(), func(t *testing.T) {
			key := w.domainKey
			if s.account {
				key = w.botKey
			}
			if s.label == "Delete Email" {
				key = w.secondKey // the bot's 12345 has been moved by then
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "snippet."+s.ext)
			if err := os.WriteFile(file, []byte(cutSnippet(t, text, &s, g, key)), 0o600); err != nil {
				t.Fatal(err)
			}
			// What the snippets find beside them: the packages, and curl's email.
			if err := errors.Join(os.Symlink(modules, filepath.Join(dir, "node_modules")), os.WriteFile(filepath.Join(dir, "email.txt"), []byte(curlEmail), 0o600)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			program := s.run[0]
			if strings.HasPrefix(program, ".") {
				program = filepath.Join(modules, ".bin", filepath.Base(program))
			}
			cmd := exec.CommandContext(ctx, program, append(slices.Clone(s.run[1:]), file)...)
			ca := filepath.Join(g.Data, "tls", "ca.pem")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CENTERLEAP_API_KEY="+key, "EMAIL_ID="+w.withFile, "NO_COLOR=1",
				"NODE_EXTRA_CA_CERTS="+ca, "SSL_CERT_FILE="+ca, "CURL_CA_BUNDLE="+ca)
			var out []byte
			if s.listens {
				out, err = w.listen(t, cmd, s.want)
			} else {
				out, err = cmd.CombinedOutput()
			}
			if err != nil || !regexp.MustCompile(s.want).Match(out) {
				t.Errorf("%v\n%s\nwant %q", err, out, s.want)
			}
			w.check(t, s.name())
		})
	}
}

// curlEmail is what the guide says is in email.txt.
const curlEmail = "From: hello@yourdomain.com\nTo: recipient@example.com\nSubject: Hello from CenterLeap\n\nThis email was sent via API key.\n"

// listen runs a snippet that never ends: an email arrives when it is connected,
// and it is ended when its output is what is wanted.
func (w *world) listen(t *testing.T, cmd *exec.Cmd, want string) ([]byte, error) {
	t.Helper()
	out := &gatewaytest.Log{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the shell's children, too
		_ = cmd.Wait()
	}()
	gatewaytest.Eventually(t, "the snippet is connected", func() bool { return strings.Contains(strings.ToLower(out.String()), "connected") })
	w.receive(t, "Subject: news\r\n\r\nhi")
	re := regexp.MustCompile(want)
	gatewaytest.Eventually(t, "the snippet hears of the email: "+want, func() bool { return re.MatchString(out.String()) })
	return []byte(out.String()), nil
}

// world is what the snippets speak of.
type world struct {
	g                            *gatewaytest.Gateway
	domainKey, botKey, secondKey string
	original, withFile           string // thread of the original message; email with a file
	sent                         float64
}

func newWorld(t *testing.T, g *gatewaytest.Gateway) *world {
	t.Helper()
	w := &world{g: g}
	make201 := func(path, body string) gatewaytest.Answer {
		status, a := g.Do("POST", path, g.Keys.Admin, body)
		if status != 201 {
			t.Fatalf("%s: %d %v", path, status, a)
		}
		return a
	}
	make201("/domains", `{"name":"yourdomain.com","verified":true}`)
	make201("/accounts", `{"email":"bot@yourdomain.com"}`)
	make201("/accounts", `{"email":"second@yourdomain.com"}`)
	w.domainKey = make201("/api-keys", `{"domain":"yourdomain.com"}`).Str("token")
	w.botKey = make201("/api-keys", `{"email":"bot@yourdomain.com"}`).Str("token")
	w.secondKey = make201("/api-keys", `{"email":"second@yourdomain.com"}`).Str("token")
	w.fill(t, "bot@yourdomain.com")
	w.fill(t, "second@yourdomain.com")
	w.receive(t, "Subject: Original Subject\r\nMessage-ID: <original-message-id@example.com>\r\n\r\nhi")
	w.receive(t, "Subject: A file\r\nMessage-ID: <file@example.com>\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nhi")
	w.receive(t, "From: John Doe <sender@example.com>\r\nSubject: Hello from a customer\r\nMessage-ID: <message-id/1+x%y@example.com>\r\nContent-Type: text/html\r\n\r\n<p>Full HTML</p>")
	_, a := g.Do("GET", "/emails/original-message-id@example.com", w.botKey, nil)
	w.original = a.Str("thread_id")
	_, a = g.Do("GET", "/emails/file@example.com", w.botKey, nil)
	w.withFile = a.Str("email_id")
	return w
}

// fill gives an account 12,345 emails, so that there is a UID 12345.
func (w *world) fill(t *testing.T, email string) {
	t.Helper()
	d, err := w.g.Domains.Get(t.Context(), keys.System(), "yourdomain.com")
	if err != nil {
		t.Fatal(err)
	}
	sc := keys.Internal(d.ID)
	a, err := w.g.Store.Account(t.Context(), sc, d.ID, email)
	if err != nil {
		t.Fatal(err)
	}
	for uid := 0; uid < 12345; {
		b, err := w.g.Store.CreateBlob(t.Context(), sc, d.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("Subject: filler\r\n\r\nx")); err != nil {
			t.Fatal(err)
		}
		blob, err := b.Seal()
		if err != nil {
			t.Fatal(err)
		}
		f := &gateway.Filing{Message: &gateway.Message{Arrived: time.Now(), Blob: blob, Content: gateway.Content{Subject: "filler", TextPart: -1, HTMLPart: -1}}}
		for range min(200, 12345-uid) {
			uid++
			f.Copies = append(f.Copies, gateway.Copy{Account: a.ID, ID: gateway.ID{byte(a.ID), byte(uid >> 16), byte(uid >> 8), byte(uid), 1}, Folder: gateway.Inbox})
		}
		if err := w.g.Store.Deliver(t.Context(), sc, f); err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
}

func (w *world) receive(t *testing.T, raw string) {
	t.Helper()
	env := gateway.Envelope{ReturnPath: "sender@example.com", Recipients: []string{"bot@yourdomain.com"}, RemoteIP: "192.0.2.1"}
	if err := w.g.Receiver.Receive(t.Context(), env, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

// check looks at what a snippet left behind.
func (w *world) check(t *testing.T, label string) {
	t.Helper()
	get := func(path, key string) gatewaytest.Answer {
		status, a := w.g.Do("GET", path, key, nil)
		if status != 200 {
			t.Fatalf("%s: %d %v", path, status, a)
		}
		return a
	}
	switch label {
	case "Node.js (Nodemailer)", "Python (smtplib)", "PHP (PHPMailer)", "cURL under PHP (PHPMailer)":
		w.sent++
		a := get("/emails?folder=Sent&email=hello@yourdomain.com", w.domainKey)
		if a.At("total") != w.sent || a.Str("data.0.to") != "recipient@example.com" {
			t.Errorf("%s: Sent holds %v", label, a)
		}
	case "JavaScript (fetch)", "cURL", "Deno / Edge Runtime":
		from := "hello@yourdomain.com"
		if strings.HasPrefix(label, "Deno") {
			from = "noreply@yourdomain.com"
		} else {
			w.sent++
			if n := get("/emails?folder=Sent&email="+from, w.domainKey).At("total"); n != w.sent {
				t.Errorf("%v emails were sent, want %v", n, w.sent)
			}
			return
		}
		if a := get("/emails?folder=Sent&email="+from, w.domainKey); a.Str("data.0.subject") != "Welcome!" {
			t.Errorf("Deno sent %v", a)
		}
	case "Mark Read / Unread / Star":
		a := get("/emails?folder=Archive", w.botKey)
		if a.At("total") != 1.0 || a.At("data.0.is_starred") != true || a.At("data.0.is_read") != false {
			t.Errorf("Archive: %v", a)
		}
	case "JavaScript — Send Reply":
		a := get("/emails/threads/"+w.original, w.botKey)
		if a.At("message_count") != 2.0 || a.Str("data.1.in_reply_to") != "<original-message-id@example.com>" || a.At("data.1.is_sent") != true {
			t.Errorf("thread: %v", a)
		}
	case "JavaScript — Send with attachment":
		if a := get("/emails?folder=Sent", w.botKey); a.At("data.0.has_attachments") != true {
			t.Errorf("Sent: %v", a)
		}
	}
}
