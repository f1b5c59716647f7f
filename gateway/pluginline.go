package gateway

import "time"

// PluginLine is one line of a plugin's log: what it said during a call, or why the
// call failed. It may hold text of the mail it was about.
type PluginLine struct {
	Plugin    ID
	Sequence  uint64 // of its plugin, from 1; the store gives it
	At        time.Time
	Level     LineLevel
	Version   string // of the plugin's code; its digest's start if it has no name
	Hook      Hook
	Email     ID     // zero if the message had none yet, as mail that arrives
	MessageID string // RFC 5322 section 3.6.4; "" if it has none
	Text      string
	Pauses    bool // it says that the hook is not asked for a while: an event, too; not stored
}

// LineLevel is how much a line matters, as the import log of the ABI has it.
type LineLevel uint8

// The levels.
const (
	LineDebug LineLevel = iota
	LineInfo
	LineWarning
	LineError
	lineLevels
)

var lineLevelNames = [lineLevels]string{"debug", "info", "warning", "error"}

// LineLevelOf is a guest's number as a level.
func LineLevelOf(n int) LineLevel { return LineLevel(min(max(n, 0), int(LineError))) }

// ParseLineLevel reads a level's name.
func ParseLineLevel(name string) (LineLevel, error) {
	for l, n := range lineLevelNames {
		if n == name {
			return LineLevel(l), nil
		}
	}
	return 0, Fieldf(InvalidParameter, "level", "level is debug, info, warning or error")
}

// String is the level's name.
func (l LineLevel) String() string { return lineLevelNames[min(l, LineError)] }

// LineFilter asks for lines of a plugin: the newest first or, with Forward, the oldest.
type LineFilter struct {
	Level   LineLevel // it and those that matter more
	Since   time.Time
	Beyond  uint64 // behind the line of this number in the order asked for; 0: from the start
	Forward bool
	Limit   int
}

// LinePage is what was found.
type LinePage struct {
	Lines []PluginLine
	More  bool   // in the order asked for
	Last  uint64 // the newest line that was looked at, whether it matched or not
}
