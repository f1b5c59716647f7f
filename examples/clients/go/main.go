// Command go sends an email over REST with the standard library alone. However often it is
// tried, with the same Idempotency-Key it is sent once.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	me := cmp.Or(os.Getenv("CENTERLEAP_EMAIL"), "bot@demo.localhost")
	id, err := send(map[string]string{
		"from": me, "to": cmp.Or(os.Getenv("CENTERLEAP_TO"), me), "subject": "Hello from Go", "text": "It works.",
	}, fmt.Sprint("hello-", time.Now().UnixNano()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, "sent", id)
}

// send tries a few times: at what the gateway can't help, and when it says to wait.
func send(email map[string]string, once string) (id string, err error) {
	body, err := json.Marshal(email)
	if err != nil {
		return "", err
	}
	for wait := time.Second; wait < 20*time.Second; wait *= 2 {
		var again bool
		if id, again, err = try(body, once); !again {
			return id, err
		}
		<-time.After(wait)
	}
	return "", err
}

func try(body []byte, once string) (id string, again bool, err error) {
	url := cmp.Or(os.Getenv("CENTERLEAP_URL"), "http://127.0.0.1:8080")
	req, err := http.NewRequest(http.MethodPost, url+"/emails", bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("CENTERLEAP_API_KEY"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", once)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", true, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", true, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, fmt.Errorf("%s: %s", resp.Status, answer)
	}
	var sent struct {
		ID string `json:"id"`
	}
	err = json.Unmarshal(answer, &sent)
	return sent.ID, false, err
}
