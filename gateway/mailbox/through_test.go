package mailbox_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// hiding are the ways in which a mail may say a text: what follows its address fields.
var hiding = []struct {
	name string
	mail func(text string) string
}{
	{"as it stands", func(text string) string { return "\r\nIt says " + text + ".\r\n" }},
	{"in capitals", func(text string) string {
		return "Content-Type: text/plain; charset=UTF-8\r\n\r\n" + strings.ToUpper(text)
	}},
	{"in base64", func(text string) string {
		return "Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n"
	}},
	{"quoted", func(text string) string {
		return "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + text[:3] + "=\r\n" + text[3:] + "\r\n"
	}},
	{"beside letters of Latin-1", func(text string) string {
		return "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe: " + text + "\r\n"
	}},
	{"in entities of markup", func(text string) string {
		return fmt.Sprintf("Content-Type: text/html\r\n\r\n<p>&#%d;%s</p>\r\n", text[0], text[1:])
	}},
	{"around a NUL", func(text string) string { return "\r\n" + text[:2] + "\x00" + text[2:] + "\r\n" }},
	{"at the end of much", func(text string) string { return "\r\n" + strings.Repeat("and so on\r\n", 4000) + text + "\r\n" }},
	{"in the second part", func(text string) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below.\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>" + text + "</b>\r\n--b--\r\n"
	}},
	{"in utf-16", func(text string) string {
		wide := []byte{0xfe, 0xff}
		for i := range len(text) {
			wide = append(wide, 0, text[i])
		}
		return "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(wide) + "\r\n"
	}},
}

// Several readers look through many messages at once, each on whatever is idle: all find
// what is there, however it is written, and nothing else.
func TestSearchLooksThroughAll(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	h.follow()
	s.mail = h.mail
	s.mail.SetIndex(knowing(nil, 0))
	var want []int
	const letters = 400
	for i := range letters {
		text := "flour, not needed"
		if i%3 == 0 {
			text, want = "needle here", append(want, i)
		}
		s.put("From: ann@h.test\r\nSubject: number " + fmt.Sprint(i) + "\r\n" + hiding[i%len(hiding)].mail(text))
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			v, err := s.mail.View(context.Background(), s.scope(), s.a, gateway.Inbox)
			if err != nil {
				t.Error(err)
				return
			}
			defer v.Close()
			for _, c := range []mailbox.Criteria{{Bodies: []string{"Needle HERE"}}, {Texts: []string{"needle"}}, {Not: []mailbox.Criteria{{Bodies: []string{"not need"}}}}} {
				got, err := v.Search(context.Background(), &c)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v: found %v, %v, want %v", c, got, err, want)
				}
			}
			for i := range letters {
				c := mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "subject", Text: fmt.Sprint("NUMBER ", i)}}}
				if i%100 == 7 {
					if got, err := v.Search(context.Background(), &c); err != nil || !slices.Contains(got, i) || len(got) > 11 {
						t.Errorf("%+v: found %v, %v", c, got, err)
					}
				}
			}
		})
	}
	readers.Wait()
}
