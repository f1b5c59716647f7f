package threading

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/centerleap/postern/gateway"
)

func TestBaseSubject(t *testing.T) {
	for _, tt := range []struct {
		in, base string
		reply    bool
	}{
		{"Project Update", "project update", false},
		{"Re: Project Update", "project update", true},
		{"RE[2]: re: Project  Update", "project update", true},
		{"AW: WG: Angebot", "angebot", true},
		{"Fwd: Re: x", "x", false},
		{"[list] Re: x", "x", true},
		{"[list] x", "[list] x", false},
		{"Re: x (fwd)", "x", true},
		{"Re:", "", true},
		{"", "", false},
		{"Reply: x", "reply: x", false},
		{"12:30 meeting", "12:30 meeting", false},
		{"[a[b] re: x", "[a[b] re: x", false},
	} {
		if base, reply := BaseSubject(tt.in); base != tt.base || reply != tt.reply {
			t.Errorf("BaseSubject(%q) = %q, %v, want %q, %v", tt.in, base, reply, tt.base, tt.reply)
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func facts(id, subject string, at time.Time, from, to string, refs ...string) gateway.ThreadFacts {
	return Facts(&gateway.Content{
		MessageID: id, Subject: subject, Date: at, References: refs,
		From: []gateway.Address{{Addr: from}}, To: []gateway.Address{{Addr: to}},
	}, at)
}

func TestJoins(t *testing.T) {
	first := facts("<1@x>", "Lunch", noon, "a@x", "b@x")
	for _, tt := range []struct {
		name  string
		other gateway.ThreadFacts
		want  bool
	}{
		{"reply without headers", facts("<2@x>", "Re: lunch", noon.Add(time.Hour), "b@x", "a@x"), true},
		{"reply with headers", facts("<2@x>", "Re: lunch", noon.Add(time.Hour), "b@x", "a@x", "<9@x>"), false},
		{"no reply", facts("<2@x>", "Lunch", noon.Add(time.Hour), "b@x", "a@x"), false},
		{"before it", facts("<2@x>", "Re: lunch", noon.Add(-time.Hour), "b@x", "a@x"), false},
		{"a week and a second later", facts("<2@x>", "Re: lunch", noon.Add(SubjectWindow+time.Second), "b@x", "a@x"), false},
		{"a week later", facts("<2@x>", "Re: lunch", noon.Add(SubjectWindow), "b@x", "a@x"), true},
		{"other people", facts("<2@x>", "Re: lunch", noon.Add(time.Hour), "c@x", "a@x"), false},
		{"empty base", facts("<2@x>", "Re:", noon.Add(time.Hour), "b@x", "a@x"), false},
	} {
		if got := Joins(&first, &tt.other); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFactsDate(t *testing.T) {
	for _, tt := range []struct {
		name string
		date time.Time
		want time.Time
	}{
		{"its own", noon.Add(-time.Hour), noon.Add(-time.Hour)},
		{"none", time.Time{}, noon},
		{"a little ahead", noon.Add(time.Hour), noon.Add(time.Hour)},
		{"far ahead", noon.Add(25 * time.Hour), noon},
	} {
		f := Facts(&gateway.Content{Date: tt.date}, noon)
		if !f.Date.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, f.Date, tt.want)
		}
	}
}

// Mailbox draws the facts of some correspondence, with lost and repeated ids.
func Mailbox(t *rapid.T) []gateway.ThreadFacts {
	ids := rapid.SliceOfN(rapid.IntRange(0, 12), 2, 10).Draw(t, "ids")
	all := make([]gateway.ThreadFacts, len(ids))
	for i, id := range ids {
		var refs []string
		for _, r := range rapid.SliceOfN(rapid.IntRange(0, 15), 0, 3).Draw(t, "refs") {
			refs = append(refs, fmt.Sprintf("<%d@x>", r))
		}
		subject := rapid.SampledFrom([]string{"lunch", "Re: lunch", "plan", "Re: plan", "Fwd: plan"}).Draw(t, "subject")
		people := rapid.SampledFrom([][2]string{{"a@x", "b@x"}, {"b@x", "a@x"}, {"a@x", "c@x"}}).Draw(t, "people")
		at := noon.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "day")) * 12 * time.Hour)
		all[i] = facts(fmt.Sprintf("<%d@x>", id), subject, at, people[0], people[1], refs...)
	}
	return all
}

// describe names the groups by what their messages are, in order.
func describe(all []gateway.ThreadFacts) (out []string) {
	for _, g := range Group(all) {
		s := ""
		for _, i := range g {
			s += fmt.Sprintf("%q ", all[i].Rank)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := Mailbox(t)
		want := describe(all)
		seed := rapid.Uint64().Draw(t, "seed")
		shuffled := slices.Clone(all)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := describe(shuffled); !slices.Equal(got, want) {
			t.Fatalf("threads\n%v\nshuffled\n%v", want, got)
		}
	})
}

func TestAddingNeverSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := Mailbox(t)
		group := func(n int) map[int]int {
			m := make(map[int]int)
			for g, list := range Group(all[:n]) {
				for _, i := range list {
					m[i] = g
				}
			}
			return m
		}
		before, after := group(len(all)-1), group(len(all))
		for i := range before {
			for j := range before {
				if before[i] == before[j] && after[i] != after[j] {
					t.Fatalf("messages %d and %d were together", i, j)
				}
			}
		}
	})
}

func TestJoinsIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := Mailbox(t)
		if Joins(&all[0], &all[1]) != Joins(&all[1], &all[0]) {
			t.Fatal("one way only")
		}
	})
}

func FuzzBaseSubject(f *testing.F) {
	for _, s := range []string{"Re: [x] Fwd: a (fwd)", "[[", "re[1]:re:", "re: \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		base, _ := BaseSubject(s)
		if again, reply := BaseSubject(base); again != base || reply {
			t.Errorf("%q: base %q has base %q, reply %v", s, base, again, reply)
		}
	})
}

func BenchmarkFacts(b *testing.B) {
	c := &gateway.Content{
		MessageID: "<1@x>", Subject: "Re: Project Update", Date: noon,
		References: []string{"<2@x>", "<3@x>", "<4@x>"}, InReplyTo: "<4@x>",
		From: []gateway.Address{{Addr: "a@x"}}, To: []gateway.Address{{Addr: "b@x"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if f := Facts(c, noon); len(f.Links) != 3 {
			b.Fatal(f)
		}
	}
}
