package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/centerleap/postern/gateway"
)

// signatureFamilies begin the three headers of a signed event. Verifying libraries look
// for either: those of Standard Webhooks, and those of Svix, whom Resend uses.
var signatureFamilies = [...]string{"webhook-", "svix-"}

// userAgent names us to endpoints.
const userAgent = "Postern-Webhooks/1"

// post makes one attempt. No redirect is followed: what an endpoint was set to is where
// the events go.
func (w *Webhooks) post(ctx context.Context, hook *gateway.Webhook, event string, doc []byte) gateway.WebhookAttempt {
	a := gateway.WebhookAttempt{At: w.cfg.Now()}
	header, err := signed(hook, event, a.At, doc)
	if err != nil {
		a.Error = "the event can't be signed: make a new secret"
		return a
	}
	began := time.Now()
	answer, err := w.cfg.HTTP.Do(ctx, http.MethodPost, hook.Endpoint, header, doc, w.cfg.Limits.WebhookAnswer)
	a.Took, a.Status = time.Since(began), answer.Status
	a.Answer = strings.ToValidUTF8(string(answer.Body), "\ufffd")
	switch {
	case a.Status/100 == 2: // it is taken, whatever becomes of the rest of the answer
	case a.Status != 0:
		a.Error = fmt.Sprintf("the endpoint answered %d", a.Status)
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		a.Error = "the endpoint did not answer in time"
	case gateway.KindOf(err) == gateway.Restricted:
		a.Error = gateway.AsError(err).Message
	default: // what the network said is in the operator's log
		a.Error = "the endpoint could not be reached"
	}
	return a
}

// signed are the headers of an event: with a signature by the secret, and by the former
// one while that is good.
func signed(hook *gateway.Webhook, event string, at time.Time, doc []byte) (http.Header, error) {
	secrets := []gateway.Secret{hook.Secret}
	if hook.Former != "" && at.Before(hook.FormerUntil) {
		secrets = append(secrets, hook.Former)
	}
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signer, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err == nil {
			signatures[i], err = signer.Sign(event, at, doc)
		}
		if err != nil {
			return nil, err
		}
	}
	h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent}}
	for _, family := range signatureFamilies {
		h.Set(family+"id", event)
		h.Set(family+"timestamp", strconv.FormatInt(at.Unix(), 10))
		h.Set(family+"signature", strings.Join(signatures, " "))
	}
	return h, nil
}
