package gateway

import "time"

// PluginReplay asks what a version of a plugin decides about mail that was decided about
// before.
type PluginReplay struct {
	Hook    Hook
	Version string // see Plugin.Find; "": the active one
	Against string // the version that it is compared with; "": what was decided then
}

// Past is a message that was decided about, as a hook sees it now, and what plugins said.
type Past struct {
	Look  *Look
	Steps []Step
}

// ReplayReport is what came of a replay. Nothing was done.
type ReplayReport struct {
	Version, Against PluginVersion // Against is empty if there was none
	Asked            int           // messages
	Truncated        bool          // the time was over before all were asked about
	Unknown          int           // messages of which it is not known what was decided then
	Now, Then        ReplayTally   // of Version, and of what it is compared with
	Differs          int
	Differences      []ReplayDifference // the first ones
}

// ReplayTally is what one side of a replay said, all messages together.
type ReplayTally struct {
	Actions  map[Action]int
	Failures int
	Fuel     int64
	P50, P99 time.Duration // of a call
}

// ReplayDifference is a message about which two sides say different things.
type ReplayDifference struct {
	Message   *Message
	Mailbox   string
	Now, Then ReplayOutcome
}

// ReplayOutcome is what a side says about a message, with long texts cut; see Brief.
type ReplayOutcome struct {
	Verdict Verdict
	Reason  string
	Failure string // why it failed; then the verdict is that of its failure policy
}
