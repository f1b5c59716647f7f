// Command resendgo uses Resend's Go library, unmodified, against /resend of a gateway, and
// holds each answer to what the library's types promise. RESEND_BASE_URL says where;
// DOMAIN_KEY and ADMIN_KEY are keys.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/resend/resend-go/v3"
)

var calls int

// ok wants a call to succeed, and what it answers to be right.
func ok[T any](what string, v T, err error, right func(T) bool) T {
	calls++
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
	if right != nil && !right(v) {
		log.Fatalf("%s: %+v", what, v)
	}
	return v
}

// no wants a call to fail with some words.
func no[T any](what string, v T, err error, words string) {
	calls++
	if err == nil || !strings.Contains(err.Error(), words) {
		log.Fatalf("%s: %+v, %v", what, v, err)
	}
}

func until(what string, look func() bool) {
	for range 400 {
		if look() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	log.Fatalf("this did not happen: %s", what)
}

const (
	bot  = "bot@demo.localhost"
	from = "Bot <bot@demo.localhost>"
)

func main() {
	domain, admin := resend.NewClient(os.Getenv("DOMAIN_KEY")), resend.NewClient(os.Getenv("ADMIN_KEY"))
	id := send(domain)
	receive(domain, id)
	webhooks(domain)
	domains(admin)
	keys(domain)
	fmt.Println(calls, "calls")
}

func send(c *resend.Client) string {
	mail := &resend.SendEmailRequest{
		From: from, To: []string{bot}, Cc: []string{"cc@demo.localhost"}, ReplyTo: "answers@demo.localhost", Subject: "Hello from Go", Html: "<p>hi</p>", Text: "hi",
		Tags: []resend.Tag{{Name: "kind", Value: "go"}}, Headers: map[string]string{"X-Entity": "8"},
		Attachments: []*resend.Attachment{{Filename: "a.txt", Content: []byte("attached")}},
	}
	once := &resend.SendEmailOptions{IdempotencyKey: "go"}
	sent, err := c.Emails.SendWithOptions(context.Background(), mail, once)
	ok("send", sent, err, func(r *resend.SendEmailResponse) bool { return len(r.Id) == 36 })
	again, err := c.Emails.SendWithOptions(context.Background(), mail, once)
	ok("send again", again, err, func(r *resend.SendEmailResponse) bool { return r.Id == sent.Id })
	got, err := c.Emails.Get(sent.Id)
	ok("get", got, err, func(e *resend.Email) bool {
		return e.Id == sent.Id && e.Object == "email" && e.To[0] == bot && e.Cc[0] == "cc@demo.localhost" && len(e.Bcc) == 0 && e.ReplyTo[0] == "answers@demo.localhost" &&
			strings.Contains(e.From, bot) && e.Subject == "Hello from Go" && e.Html == "<p>hi</p>" && e.Text == "hi" && e.CreatedAt != "" && e.LastEvent != ""
	})
	files, err := c.Emails.ListAttachments(sent.Id)
	ok("attachments", files, err, func(l resend.ListEmailAttachmentsResponse) bool { return len(l.Data) == 1 && l.Data[0].Filename == "a.txt" })
	file, err := c.Emails.GetAttachment(sent.Id, files.Data[0].Id)
	ok("attachment", file, err, func(f *resend.EmailAttachment) bool { return fetch(f.DownloadUrl) == "attached" })

	later, err := c.Emails.Send(&resend.SendEmailRequest{From: from, To: []string{"away@example.com"}, Subject: "Later", Text: "x", ScheduledAt: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	ok("schedule", later, err, nil)
	moved, err := c.Emails.Update(&resend.UpdateEmailRequest{Id: later.Id, ScheduledAt: time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)})
	ok("reschedule", moved, err, func(r *resend.UpdateEmailResponse) bool { return r.Id == later.Id && r.Object == "email" })
	canceled, err := c.Emails.Cancel(later.Id)
	ok("cancel", canceled, err, func(r *resend.CancelScheduledEmailResponse) bool { return r.Id == later.Id })

	two := []*resend.SendEmailRequest{{From: from, To: []string{"b1@example.com"}, Subject: "one", Text: "x"}, {From: "x@elsewhere.example", To: []string{"b2@example.com"}, Subject: "two", Text: "x"}}
	batch, err := c.Batch.SendWithOptions(context.Background(), two, &resend.BatchSendEmailOptions{BatchValidation: resend.BatchValidationPermissive})
	ok("batch", batch, err, func(r *resend.BatchEmailResponse) bool { return len(r.Data) == 1 && len(r.Errors) == 1 && r.Errors[0].Index == 1 })
	limit := 2
	page, err := c.Emails.ListWithOptions(context.Background(), &resend.ListOptions{Limit: &limit})
	ok("list", page, err, func(l resend.ListEmailsResponse) bool { return len(l.Data) == 2 && l.HasMore && l.Data[0].Id != "" })
	rest, err := c.Emails.ListWithOptions(context.Background(), &resend.ListOptions{After: &page.Data[1].Id})
	ok("list on", rest, err, func(l resend.ListEmailsResponse) bool { return len(l.Data) > 0 && l.Data[0].Id != page.Data[1].Id })
	back, err := c.Emails.ListWithOptions(context.Background(), &resend.ListOptions{Limit: &limit, Before: &rest.Data[0].Id})
	ok("list back", back, err, func(l resend.ListEmailsResponse) bool {
		return len(l.Data) == 2 && !l.HasMore && l.Data[0].Id == page.Data[0].Id && l.Data[1].Id == page.Data[1].Id
	})
	none, err := c.Emails.Get("01890000-0000-7000-8000-000000000000")
	no("get none", none, err, "no such email")
	bad, err := c.Emails.Send(&resend.SendEmailRequest{From: from, Subject: "to nobody", Text: "x"})
	no("send to nobody", bad, err, "to")
	return sent.Id
}

func receive(c *resend.Client, _ string) {
	id := ""
	until("it arrives", func() bool {
		all, err := c.Emails.Receiving.List()
		ok("receiving", all, err, nil)
		for _, e := range all.Data {
			if e.Subject == "Hello from Go" {
				id = e.Id
			}
		}
		return id != ""
	})
	got, err := c.Emails.Receiving.Get(id)
	ok("received", got, err, func(e *resend.ReceivedEmail) bool {
		return e.Object == "email" && e.Headers["x-entity"] == "8" && strings.TrimSpace(e.Text) == "hi" && e.MessageId != "" && len(e.Attachments) == 1 &&
			strings.Contains(fetch(e.Raw.DownloadUrl), "X-Entity: 8\r\n")
	})
	files, err := c.Emails.Receiving.ListAttachments(id)
	ok("its attachments", files, err, func(l resend.ListEmailAttachmentsResponse) bool { return len(l.Data) == 1 })
	file, err := c.Emails.Receiving.GetAttachment(id, files.Data[0].Id)
	ok("its attachment", file, err, func(f *resend.EmailAttachment) bool { return fetch(f.DownloadUrl) == "attached" })
}

func webhooks(c *resend.Client) {
	type told struct {
		headers resend.WebhookHeaders
		body    string
	}
	heard := make(chan told, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- told{resend.WebhookHeaders{Id: r.Header.Get("svix-id"), Timestamp: r.Header.Get("svix-timestamp"), Signature: r.Header.Get("svix-signature")}, string(body)}
	}))
	defer srv.Close()
	made, err := c.Webhooks.Create(&resend.CreateWebhookRequest{Endpoint: srv.URL, Events: []string{"email.received"}})
	ok("webhook", made, err, func(w *resend.CreateWebhookResponse) bool {
		return w.Object == "webhook" && strings.HasPrefix(w.SigningSecret, "whsec_")
	})
	shown, err := c.Webhooks.Get(made.Id)
	ok("get webhook", shown, err, func(w *resend.Webhook) bool {
		return w.Endpoint == srv.URL && w.Status == "enabled" && w.SigningSecret == made.SigningSecret && len(w.Events) == 1
	})
	all, err := c.Webhooks.List()
	ok("webhooks", all, err, func(l *resend.ListWebhooksResponse) bool { return len(l.Data) == 1 && l.Data[0].Id == made.Id })
	sent, err := c.Emails.Send(&resend.SendEmailRequest{From: from, To: []string{bot}, Subject: "tell", Text: "x"})
	ok("send", sent, err, nil)
	event := <-heard
	err = c.Webhooks.Verify(&resend.VerifyWebhookOptions{Payload: event.body, Headers: event.headers, WebhookSecret: made.SigningSecret})
	ok("verify", event, err, func(t told) bool { return strings.Contains(t.body, `"type":"email.received"`) })
	off := "disabled"
	changed, err := c.Webhooks.Update(made.Id, &resend.UpdateWebhookRequest{Status: &off})
	ok("update webhook", changed, err, func(r *resend.UpdateWebhookResponse) bool { return r.Id == made.Id })
	gone, err := c.Webhooks.Remove(made.Id)
	ok("remove webhook", gone, err, func(r *resend.DeleteWebhookResponse) bool { return r.Deleted })
}

func domains(c *resend.Client) {
	made, err := c.Domains.Create(&resend.CreateDomainRequest{Name: "resend-go.example"})
	ok("domain", made, err, func(d resend.CreateDomainResponse) bool { return d.Id != "" && d.Status != "" && len(d.Records) > 2 })
	shown, err := c.Domains.Get(made.Id)
	ok("get domain", shown, err, func(d resend.Domain) bool { return d.Object == "domain" && d.Name == "resend-go.example" })
	all, err := c.Domains.List()
	ok("domains", all, err, func(l resend.ListDomainsResponse) bool { return len(l.Data) == 2 })
	back, err := c.Domains.ListWithOptions(context.Background(), &resend.ListOptions{Before: &made.Id})
	ok("domains back", back, err, func(l resend.ListDomainsResponse) bool { return len(l.Data) == 1 && l.Data[0].Id == all.Data[0].Id })
	changed, err := c.Domains.Update(made.Id, &resend.UpdateDomainRequest{Tls: "enforced"})
	ok("update domain", changed, err, func(d resend.Domain) bool { return d.Id == made.Id })
	gone, err := c.Domains.Remove(made.Id)
	ok("remove domain", gone, err, func(done bool) bool { return done })
}

func keys(c *resend.Client) {
	made, err := c.ApiKeys.Create(&resend.CreateApiKeyRequest{Name: "go", Permission: "sending_access"})
	ok("key", made, err, func(k resend.CreateApiKeyResponse) bool { return strings.HasPrefix(k.Token, "bm_live_") })
	all, err := c.ApiKeys.List()
	ok("keys", all, err, func(l resend.ListApiKeysResponse) bool {
		for _, k := range l.Data {
			if k.Id == made.Id && k.Name == "go" {
				return true
			}
		}
		return false
	})
	lesser := resend.NewClient(made.Token)
	list, err := lesser.Emails.List()
	no("list with a send-only key", list, err, "key")
	gone, err := c.ApiKeys.Remove(made.Id)
	ok("remove key", gone, err, func(done bool) bool { return done })
	sent, err := lesser.Emails.Send(&resend.SendEmailRequest{From: from, To: []string{bot}, Subject: "x", Text: "x"})
	no("send with a revoked key", sent, err, "key")
}

func fetch(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}
