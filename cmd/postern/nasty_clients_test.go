package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/nastymail"
)

// TestImaplibNastyMail has Python's libraries read mail that is hard to read.
func TestImaplibNastyMail(t *testing.T) {
	r := newMailReader(t, "python3")
	c, err := gatewaytest.DialIMAP(r.banner.IMAPS, gatewaytest.TrustLocal(t, filepath.Dir(filepath.Dir(r.banner.CA))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.OK("LOGIN " + gatewaytest.Account + " " + r.banner.Keys.Account); err != nil {
		t.Fatal(err)
	}
	r.mkdir("nasty")
	for i, mail := range nastymail.Cases() {
		if mail.Refused {
			continue
		}
		if _, err := c.OK(fmt.Sprintf("APPEND Archive {%d}", len(mail.Raw)), mail.Raw); err != nil {
			t.Fatalf("%s: %v", mail.Name, err)
		}
		if err := os.WriteFile(r.path(fmt.Sprintf("nasty/%03d-%s", i, mail.Name)), []byte(mail.Raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := r.python("nasty_reader.py"); out != "done\n" {
		t.Errorf("got %q", out)
	}
}
