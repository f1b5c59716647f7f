package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"plugin-peers/rule"

	"github.com/centerleap/postern/sdk/abi"
)

// attachment is a part as large as mail has: 25 MiB.
var attachment = []byte(strings.Repeat("These are some words of a large file.\n", 25<<20/38+1)[:25<<20])

// partTime is what a call about it may take: enough on any machine, so that no peer is cut
// off.
const partTime = time.Minute

// Part gives the attachment, a range at a time.
func (h *mailHost) Part(_ int, off int64, p []byte) (int, error) {
	return copy(p, attachment[min(off, int64(len(attachment))):]), nil
}

// checkSum holds a guest to have got all of it.
func checkSum(said string) error {
	if want := fmt.Sprint(rule.Sum(0, attachment)); said != want {
		return fmt.Errorf("the sum is %.40q, want %s", said, want)
	}
	return nil
}

// checkSumIn is checkSum for a verdict that has it as its label.
func checkSumIn(doc []byte) error {
	var v abi.Verdict
	if err := json.Unmarshal(doc, &v); err != nil || len(v.Labels) != 1 {
		return fmt.Errorf("%q: %w", doc, err)
	}
	return checkSum(strings.TrimPrefix(v.Labels[0], "s"))
}
