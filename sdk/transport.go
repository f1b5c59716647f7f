package sdk

import (
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// Auth says who really sent a message: results such as pass, fail and none.
type Auth = abi.Auth

// Automated says whether a program wrote a message.
type Automated = abi.Automated

// Auth is what was found out about the sender.
func (*Message) Auth() Auth {
	return Auth{
		SPF: value("auth.spf"), DKIM: value("auth.dkim"), DMARC: value("auth.dmarc"),
		FromAligned: value("auth.from_aligned") == "true", Disposition: value("auth.disposition"),
	}
}

// Automated is whether a program wrote it, and which kind of program.
func (*Message) Automated() Automated {
	is := func(what string) bool { return value("automated."+what) == "true" }
	return Automated{Auto: is("auto"), List: is("list"), Bulk: is("bulk"), Bounce: is("bounce"), ReplyOK: is("reply_ok")}
}

// ReplyOK reports whether an automatic reply would do no harm.
func (*Message) ReplyOK() bool { return value("automated.reply_ok") == "true" }

// ReturnPath is the reverse-path of the envelope: where failures are reported. Empty for a
// report itself.
func (*Message) ReturnPath() string { return value("envelope.mail_from") }

// Recipients are the addresses that the envelope names: for a plugin of an account its
// own, for one of a domain all that are in the domain.
func (*Message) Recipients() []string { return texts("envelope.rcpt_to") }

// RemoteIP is the address of the host that handed it in.
func (*Message) RemoteIP() string { return value("envelope.remote_ip") }

// Helo is the name that host gave itself.
func (*Message) Helo() string { return value("envelope.helo") }

// Via is the way mail that leaves came in: rest, smtp or plugin.
func (*Message) Via() string { return value("via") }

// APIKeyID is the key that mail that leaves was handed in with.
func (*Message) APIKeyID() string { return value("api_key_id") }

// Tags are what its sender marked mail that leaves with.
func (*Message) Tags() (list []Tag) {
	each("tags", ".name", func(name, at string) { list = append(list, Tag{Name: name, Value: value(at + ".value")}) })
	return list
}

// Time is when it came; for the event hook, when it happened.
func (*Message) Time() time.Time { return moment("time") }

// moment is a time of the document; zero if it is absent.
func moment(path string) time.Time {
	t, _ := time.Parse(time.RFC3339, value(path))
	return t
}
