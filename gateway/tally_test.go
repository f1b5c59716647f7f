package gateway

import (
	"slices"
	"testing"
	"time"
)

func TestTallyCounts(t *testing.T) {
	at := time.Date(2026, 11, 29, 10, 59, 0, 0, time.UTC)
	message, delivery := Event{UID: 7}, Event{Delivery: ID{1}}
	tests := []struct {
		name string
		typ  EventType
		of   Event
		want Hour
	}{
		{"received", EventReceived, message, Hour{Received: 1}},
		{"accepted to be sent", EventQueued, message, Hour{Sent: 1}},
		{"accepted for later", EventScheduled, message, Hour{Sent: 1}},
		{"released", EventQueued, delivery, Hour{}},
		{"scheduled again", EventScheduled, delivery, Hour{}},
		{"delivered", EventDelivered, delivery, Hour{Delivered: 1}},
		{"with the smart host", EventSent, delivery, Hour{Delivered: 1}},
		{"given up", EventFailed, delivery, Hour{Failed: 1}},
		{"refused", EventBounced, delivery, Hour{Failed: 1}},
		{"late", EventDelayed, delivery, Hour{}},
		{"a flag", EventUpdated, message, Hour{}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Tally
			e := tt.of
			e.Type, e.At, e.Sequence = tt.typ, at, uint64(i)+1
			got.Count(&e)
			if got.Total != tt.want || got.Sequence != e.Sequence {
				t.Errorf("total %+v as far as %d, want %+v", got.Total, got.Sequence, tt.want)
			}
			hour := tt.want
			hour.At = at.Truncate(time.Hour)
			if want := []Hour{hour}; tt.want != (Hour{}) && !slices.Equal(got.Hours, want) {
				t.Errorf("hours %+v, want %+v", got.Hours, want)
			}
		})
	}
}

// Hours are kept in order whatever the clock does, and no more than TallyHours.
func TestTallyHours(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 30, 0, 0, time.UTC)
	var tally Tally
	for i, hour := range []int{0, 1, 3, 2, 60, 59, 11, 100, 53, 52} {
		tally.Count(&Event{Sequence: uint64(i) + 1, Type: EventReceived, At: start.Add(time.Duration(hour) * time.Hour)})
	}
	var got []int
	for _, h := range tally.Hours {
		got = append(got, int(h.At.Sub(start.Truncate(time.Hour))/time.Hour))
	}
	if want := []int{53, 59, 60, 100}; !slices.Equal(got, want) {
		t.Errorf("hours %v, want %v", got, want)
	}
	if tally.Total.Received != 10 {
		t.Errorf("counted %d, want 10", tally.Total.Received)
	}
	past := tally.Past(24, start.Add(101*time.Hour))
	if len(past) != 24 || past[22].Received != 1 || past[23].Received != 0 || !past[23].At.Equal(start.Add(101*time.Hour).Truncate(time.Hour)) {
		t.Errorf("the past day is %+v", past)
	}
}
