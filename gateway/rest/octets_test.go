package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The content of a file may be an array of bytes, as some clients write it.
func TestOctets(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("attachment_bytes", "9000"))
	send := func(want int, content string) gatewaytest.Answer {
		t.Helper()
		return c.do(want, "POST", "/emails", c.g.Keys.Domain,
			`{"from":"a@demo.localhost","to":"bot@demo.localhost","subject":"s","text":"t","attachments":[{"filename":"a.bin","content":`+content+`}]}`)
	}
	long := strings.Repeat("7,", 8999) + "7"
	for content, want := range map[string]string{
		"[104,105]": "hi", "[ 0 , 255,\n10 ]": "\x00\xff\n", "[]": "", "[" + long + "]": strings.Repeat("\x07", 9000),
	} {
		id := send(200, content).Str("id")
		files := c.do(200, "GET", "/emails/"+id+"/attachments", c.g.Keys.Domain, nil)
		resp, err := http.Get(files.Str("data.0.download_url")) //nolint:noctx // it is our own
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%.20s: %.20q, %v", content, got, err)
		}
	}
	for content, want := range map[string]int{
		"[256]": 400, "[-1]": 400, "[1.5]": 400, "[01]": 400, `["a"]`: 400, "[1,]": 400, "[1 2]": 400, "[null]": 400, "[1e2]": 400, "[[1]]": 400, "[1": 400,
		"[" + long + ",7]": 413,
	} {
		send(want, content)
	}
}
