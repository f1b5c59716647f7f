package main

import (
	"context"
	"strings"
)

// openNative runs the rule as a function of the host, written as one would: it has no
// state, and no limits.
func openNative(context.Context, string) (*peer, error) {
	var action, folder string
	return &peer{
		call: func() error {
			action, folder = "", ""
			switch {
			case strings.Contains(strings.ToLower(field("Subject")), "invoice") && !strings.HasSuffix(field("From"), "@bank.example>"):
				action = "quarantine"
			case field("List-Unsubscribe") != "":
				folder = "Newsletters"
			}
			return nil
		},
		check: func(int) error { return check(action, folder, "n1", 1) },
		close: func() error { return nil },
	}, nil
}
