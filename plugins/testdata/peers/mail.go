package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// header is that of a usual newsletter.
var header = func() (fields [][2]string) {
	for i := range 12 {
		fields = append(fields, [2]string{"Received", fmt.Sprintf("from mx%d.peer.example (mx%d.peer.example [192.0.2.%d]) by mx.demo.example with ESMTPS id q6mr1234567qvk.%d; Sat, 28 Nov 2026 09:00:00 +0000", i, i, i, i)})
	}
	return append(fields, [][2]string{
		{"Authentication-Results", "mx.demo.example; spf=pass smtp.mailfrom=peer.example; dkim=pass header.d=peer.example; dmarc=pass header.from=peer.example"},
		{"From", "Ann of Peer <ann@peer.example>"},
		{"To", "bot@demo.example"},
		{"Subject", "What is new in November, and what will be in December"},
		{"Date", "Sat, 28 Nov 2026 09:00:00 +0000"},
		{"Message-ID", "<20261128090000.q6mr1234567qvk.33@peer.example>"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "multipart/alternative; boundary=0000000000001234567890abcdef"},
		{"List-Id", "News of Peer <news.peer.example>"},
		{"List-Unsubscribe", "<https://peer.example/unsubscribe?who=bot@demo.example>"},
		{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"},
	}...)
}()

// event is the document about it, of about 5 KB.
var event = func() []byte {
	doc, err := json.Marshal(&abi.Event{
		V: 1, Hook: abi.HookInbound, MessageID: "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794", Time: "2026-11-28T09:00:00Z", Domain: "demo.example", Mailbox: "bot@demo.example",
		Envelope: abi.Envelope{MailFrom: "ann@peer.example", RcptTo: []string{"bot@demo.example"}, RemoteIP: "192.0.2.10", Helo: "mx1.peer.example"},
		Auth:     abi.Auth{SPF: "pass", DKIM: "pass", DMARC: "pass"}, Size: 18234, Subject: field("Subject"), From: abi.Address{Name: "Ann of Peer", Addr: "ann@peer.example"},
		Headers: header, Text: strings.Repeat("These are some words of a newsletter. ", 50), Parts: []abi.Part{{Index: 0, Type: "text/plain", Size: 1900}, {Index: 1, Type: "text/html", Size: 14000}},
	})
	if err != nil {
		panic(err) // it can be written
	}
	return doc
}()

// field is the first field of a name.
func field(name string) string {
	for _, f := range header {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// fields are those that the rule looks at, a line each.
func fields() string {
	return "Subject: " + field("Subject") + "\nFrom: " + field("From") + "\nList-Unsubscribe: " + field("List-Unsubscribe")
}

// check holds an answer to what the rule has to say. n is how often the state that gave
// it was asked.
func check(action, folder, label string, n int) error {
	if action != "" && action != "accept" || folder != "Newsletters" || label != fmt.Sprint("n", n) {
		return fmt.Errorf("action %q, folder %q, label %q; want Newsletters and n%d", action, folder, label, n)
	}
	return nil
}

// checkJSON is check for a document.
func checkJSON(doc []byte, n int) error {
	var v abi.Verdict
	if err := json.Unmarshal(doc, &v); err != nil {
		return err
	}
	if len(v.Labels) != 1 {
		return errors.New("there is not one label")
	}
	return check(v.Action, v.Folder, v.Labels[0], n)
}
