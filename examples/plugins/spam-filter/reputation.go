package main

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/sdk"
)

const (
	// most is how many mails of a sender count: then both numbers are halved, so that who
	// changes is seen to have changed.
	most = 64
	// byPeople is how many mails the word of a person counts for.
	byPeople = 8
	// heaviest is how many points the worst reputation gives, and the best takes away.
	heaviest = 4
	// lasting is how long a sender is remembered after the last mail, in seconds.
	lasting = 90 * 24 * 3600
)

// reputation counts a sender's mail.
type reputation struct{ good, bad int }

// senderOf names whose reputation is meant. Mail that nobody vouches for has one of its own,
// or else everybody could spoil the name of a bank.
func senderOf(m *sdk.Message) string {
	domain := strings.ToLower(domainOf(m.From().Addr))
	if m.Auth().FromAligned {
		return "sure/" + domain
	}
	return "claimed/" + domain
}

func recall(who string) (r reputation) {
	text, _ := sdk.KV.Get(who)
	good, bad, _ := strings.Cut(string(text), " ")
	r.good, _ = strconv.Atoi(good)
	r.bad, _ = strconv.Atoi(bad)
	return r
}

// learn counts a mail as so many. What can't be remembered is no reason to fail.
func learn(who string, r reputation, bad bool, times int) {
	if bad {
		r.bad += times
	} else {
		r.good += times
	}
	if r.good+r.bad > most {
		r.good, r.bad = r.good/2, r.bad/2
	}
	if err := sdk.KV.Put(who, []byte(strconv.Itoa(r.good)+" "+strconv.Itoa(r.bad)), lasting); err != nil {
		sdk.Log.Warn("the reputation of " + who + " is not remembered: " + err.Error())
	}
}

// points are those that a reputation gives: few as long as few mails were seen.
func (r reputation) points() float64 {
	return heaviest * float64(r.bad-r.good) / float64(r.bad+r.good+byPeople)
}
