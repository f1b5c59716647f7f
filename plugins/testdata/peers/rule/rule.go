// Package rule is the filter that all peers run, for those that are written in Go.
package rule

import (
	"strconv"
	"strings"
)

// Decision is what becomes of a mail.
type Decision struct {
	Action string   `json:"action,omitempty"`
	Folder string   `json:"folder,omitempty"`
	Labels []string `json:"labels"`
}

// asked counts calls in a global: with fresh state it is 1 in each.
var asked int

// Decide looks at three header fields. The label tells how often it was asked.
func Decide(header func(name string) string) Decision {
	asked++
	d := Decision{Labels: []string{"n" + strconv.Itoa(asked)}}
	switch {
	case strings.Contains(strings.ToLower(header("Subject")), "invoice") && !strings.HasSuffix(header("From"), "@bank.example>"):
		d.Action = "quarantine"
	case header("List-Unsubscribe") != "":
		d.Folder = "Newsletters"
	}
	return d
}

// Reset is how state is before the first call.
func Reset() { asked = 0 }
