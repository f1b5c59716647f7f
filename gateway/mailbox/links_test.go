package mailbox

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func FuzzClaim(f *testing.F) {
	const secret = "0123"
	good := claim{1, 2, 3, 4, gateway.ID{5}, "1.2"}
	f.Add(good.sign(secret), "1.2")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, token, part string) {
		if c, ok := readClaim(secret, token); ok && c.sign(secret) != token {
			t.Errorf("%q means %+v, which is %q", token, c, c.sign(secret))
		}
		c := claim{1, 2, 3, -4, gateway.ID{5}, part}
		got, ok := readClaim(secret, c.sign(secret))
		if short := len(c.sign(secret)) <= maxToken; ok != short || ok && got != c {
			t.Errorf("%+v was read as %+v, %v", c, got, ok)
		}
	})
}

// Not a bit of a token can be changed, and no other secret will do.
func TestClaimSigned(t *testing.T) {
	c := claim{1, 2, 3, 4, gateway.ID{5}, "1.2"}
	token := c.sign("a")
	if _, ok := readClaim("a", token); !ok {
		t.Fatal("our own token is refused")
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		if _, ok := readClaim("a", base64.RawURLEncoding.EncodeToString(raw)); ok {
			t.Errorf("bit %d was changed", i)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
	for name, tt := range map[string]struct{ secret, token string }{
		"another secret": {"b", token}, "no secret": {"", (&claim{}).sign("")}, "cut": {"a", token[:len(token)-1]},
		"longer": {"a", token + "A"}, "padded": {"a", token + "="}, "a line break": {"a", token + "\n"}, "empty": {"a", ""},
		"huge": {"a", strings.Repeat("A", maxToken+1)},
	} {
		if _, ok := readClaim(tt.secret, tt.token); ok {
			t.Errorf("%s: it is believed", name)
		}
	}
}

// A stream's token says what it was made for, and nothing that is signed for another
// purpose is one.
func TestTicketSigned(t *testing.T) {
	want := Ticket{1, 2, gateway.ID{5}, []string{"A", "INBOX"}, time.Unix(4, 0).UTC()}
	token := want.sign("a")
	if got, ok := readTicket("a", token); !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, %t", got, ok)
	}
	c := claim{1, 2, 3, 4, gateway.ID{5}, "1.2"}
	for name, tt := range map[string]struct{ secret, token string }{
		"a link": {"a", c.sign("a")}, "another secret": {"b", token}, "no secret": {"", want.sign("")}, "cut": {"a", token[:len(token)-1]}, "empty": {"a", ""},
	} {
		if _, ok := readTicket(tt.secret, tt.token); ok {
			t.Errorf("%s: it is believed", name)
		}
	}
	if _, ok := readClaim("a", token); ok {
		t.Error("a token is a link")
	}
}
