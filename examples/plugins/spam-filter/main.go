// Spam-filter gives arriving mail a score: so many points for each rule that holds, more or
// fewer for what its sender's domain is known for. From junk_at on it goes to Junk. It learns
// from its own scores, and more from people who move mail to Junk or out of it.
package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/centerleap/postern/sdk"
)

// label marks what was taken for spam.
const label = "spam"

// usual is the score from which mail goes to Junk, unless the setting junk_at says otherwise.
const usual = 5

func init() {
	sdk.Inbound(arrived)
	sdk.OnEvent(moved)
}

func arrived(m *sdk.Message) sdk.Verdict {
	limit := threshold()
	looked := mail{m, text(m)}
	score, why := 0.0, []string(nil)
	for _, r := range rules {
		if r.holds(&looked) {
			score += r.points
			why = append(why, r.name)
		}
	}
	who := senderOf(m)
	seen := recall(who)
	if score >= limit || score < limit/2 {
		learn(who, seen, score >= limit, 1) // by the rules alone: a reputation would feed on itself
	}
	if points := seen.points(); points != 0 && (points > 0 || m.Auth().FromAligned) {
		score += points
		why = append(why, "reputation "+written(points))
	}
	if why == nil {
		why = []string{"no rule"}
	}
	v := sdk.Accept()
	if score >= limit {
		v = sdk.Quarantine("").Label(label)
	}
	return v.Score(score).AddHeader("X-Spam-Score", written(score)).Reason(written(score) + " of " + written(limit) + ": " + strings.Join(why, ", "))
}

func threshold() float64 {
	text := sdk.Config("junk_at")
	if text == "" {
		return usual
	}
	limit, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(limit) {
		sdk.Log.Warn("junk_at is a number, not " + strconv.Quote(text))
		return usual
	}
	return limit
}

func written(score float64) string { return strconv.FormatFloat(score, 'f', 1, 64) }

// moved learns from people. What the gateway's plugins move it is not told of.
func moved(m *sdk.Message) error {
	marked := false
	for _, l := range m.Labels() {
		marked = marked || l == label
	}
	who := senderOf(m)
	switch junk := m.Folder() == "Junk"; {
	case junk && !marked:
		learn(who, recall(who), true, byPeople)
		return m.Label(label)
	case !junk && marked && m.Folder() != "Trash":
		learn(who, recall(who), false, byPeople)
		return m.Unlabel(label, "quarantined") // the second is the gateway's
	}
	return nil // it is filed, or what is marked as spam is where it belongs
}

func main() {}
