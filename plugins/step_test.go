package plugins

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A step keeps the lines that have room, whole, and says how many others there are.
func TestBriefly(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		most       int64
		want       string
	}{
		{"nothing", "", 6, ""},
		{"all", "abc def", 6, "abc|def"},
		{"all but one", "abc def g", 6, "abc|def|1 more line is in the plugin's log"},
		{"the first", "abc defg h", 6, "abc|2 more lines are in the plugin's log"},
		{"none", "abc", 2, "1 more line is in the plugin's log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said []gateway.PluginLine
			for text := range strings.FieldsSeq(tt.said) {
				said = append(said, gateway.PluginLine{Text: text})
			}
			var got []string
			for _, l := range briefly(said, tt.most) {
				got = append(got, l.Text)
			}
			if text := strings.Join(got, "|"); text != tt.want {
				t.Errorf("%q, want %q", text, tt.want)
			}
			for i, text := range strings.Fields(tt.said) {
				if said[i].Text != text { // the log has them all
					t.Errorf("line %d became %q", i, said[i].Text)
				}
			}
		})
	}
}
