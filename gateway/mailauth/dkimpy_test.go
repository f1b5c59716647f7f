package mailauth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// python is where Debian's packages are.
const python = "/usr/bin/python3"

// A library of another language agrees with us, in both directions and all forms.
func TestDKIMPY(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import dkim, nacl").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("dkimpy is missing (.ci/setup installs it): %v, %s", err, out)
		}
		t.Skipf("dkimpy is missing (.ci/setup installs it): %v", err)
	}
	messages := []string{
		mail1, mail1 + twentyKB, strings.TrimSuffix(mail1, "Hello Bob\r\n"), mail1 + "\r\n \r\n\r\n",
		"From: ann@a.test\r\nSubject:  folded \r\n\t and  wide \r\nX-Eight: \u00e9\r\nTo: bob@c.test\r\n\r\n \u00e9  in \t the body \r\n.\r\n",
		"From: ann@a.test\r\nX-Long: " + strings.Repeat("long ", 1000) + "\r\n\r\n" + strings.Repeat("x", 5000) + "\r\n",
	}
	type document struct {
		Keys     map[string]string `json:"keys"`
		Messages [][]byte          `json:"messages"`
		Forms    []string          `json:"forms"`
		Sign     [][3]string       `json:"sign"`
		Verify   [][]byte          `json:"verify"`
	}
	ask := document{Keys: make(map[string]string), Forms: []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"}}
	for _, k := range keysOf() {
		ask.Keys[k.Selector+"._domainkey.a.test"] = keyRecord(k)
		ask.Sign = append(ask.Sign, [3]string{k.Algorithm + "-sha256", k.Selector, pythonKey(t, k.Algorithm)})
	}
	for _, m := range messages {
		ask.Messages = append(ask.Messages, []byte(m))
		ask.Verify = append(ask.Verify, []byte(sign(t, "a.test", m)))
	}
	ask.Verify = append(ask.Verify, []byte(sign(t, "a.test", mail1)+"changed\r\n"))
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), python, "testdata/dkimpy.py")
	var stderr bytes.Buffer
	run.Stdin, run.Stderr = bytes.NewReader(in), &stderr
	raw, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var out struct {
		Verified [][]bool `json:"verified"`
		Signed   [][]byte `json:"signed"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Verified) != len(ask.Verify) || len(out.Signed) != len(messages)*len(ask.Forms)*len(ask.Sign) {
		t.Fatalf("%d verified, %d signed", len(out.Verified), len(out.Signed))
	}
	for i, all := range out.Verified {
		good := i < len(messages)
		if len(all) != 2 || all[0] != good || all[1] != good {
			t.Errorf("of ours in %.300q they say %v", ask.Verify[i], all)
		}
	}
	c := checker(t, dnsOf())
	for _, m := range out.Signed {
		if got := resultsOf(check(t, c, "", string(m))); got != Pass {
			t.Errorf("of theirs in %.300q we say %s", m, got)
		}
	}
}

// pythonKey is a private key as dkimpy reads it.
func pythonKey(t *testing.T, algorithm string) string {
	t.Helper()
	switch k := signer(t, algorithm).(type) {
	case *rsa.PrivateKey:
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	case ed25519.PrivateKey:
		return base64.StdEncoding.EncodeToString(k.Seed())
	}
	t.Fatalf("no key of %s", algorithm)
	return ""
}
