package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/spf13/cobra"
)

// A replay is read by people: what changed stands with - and +, what did not is left out,
// and nothing that mail holds steers the terminal.
func TestPrintReplay(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{
			"two versions",
			`{"version":{"version":"2","sha256":"00"},"against":{"version":"","sha256":"0123456789abcdef"},"asked":7,"differs":2,
			 "now":{"actions":{"accept":6,"quarantine":1},"failures":1,"fuel":70,"p50_us":3,"p99_us":9},"then":{"actions":{"accept":7},"fuel":60,"p50_us":2,"p99_us":8},
			 "differences":[{"email_id":"E","email":"bot@x","from":"ann@y","subject":"hi \u001b[2J",
			  "then":{"verdict":{"action":"accept"},"changes":{"labels":["a","b"],"folder":"Work","score":1.5},"error":null},
			  "now":{"verdict":{"action":"quarantine","reason":"odd"},"changes":{"labels":["a"],"folder":"Work","header_edits":[{"op":"set","name":"X","value":"y"},{"op":"delete","name":"Z","value":null}],
			   "subject":"","reply":{"from":null,"subject":"Re","text":"no","html":null},"thread":{"op":"merge","thread_id":null,"with":["T"]}},"error":"trap"}}]}`,
			"7 messages; version 2 against version 0123456789ab\n" +
				"version 2: 6 accept, 1 quarantine (1 failed); 70 fuel, p50 3 us, p99 9 us\n" +
				"version 0123456789ab: 7 accept; 60 fuel, p50 2 us, p99 8 us\n\n" +
				"E  bot@x  ann@y  \"hi \\x1b[2J\"\n" +
				"  - accept\n  - labels: a b\n  - score: 1.5\n" +
				"  + quarantine\n  + reason: odd\n  + labels: a\n  + sets: X: y\n  + deletes: Z\n  + subject: \"\"\n  + replies: no, subject Re\n  + thread: merge T\n  + error: trap\n\n" +
				"2 differ, of which 1 are not shown; nothing of it was done\n",
		},
		{
			"nothing known",
			`{"version":{"version":"2","sha256":"00"},"against":null,"asked":1,"unknown":1,"truncated":true,"now":{"actions":{"allow":1}},"then":{},"differences":[]}`,
			"1 messages; version 2 against what was decided then\nthe time was over before all were asked about\nversion 2: 1 allow; 0 fuel, p50 0 us, p99 0 us\n" +
				"of 1 messages it is not known what was decided then\n\n0 differ; nothing of it was done\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r replayAnswer
			if err := json.Unmarshal([]byte(tt.answer), &r); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetOut(&out)
			if err := (&pluginsCommand{client: &client{}}).printReplay(cmd, &r); err != nil || out.String() != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", err, out.String(), tt.want)
			}
		})
	}
}
