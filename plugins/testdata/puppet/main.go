// Puppet is a plugin that does what the subject of a message, or its configuration,
// tells it to.
package main

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(do)
	sdk.Outbound(do)
	sdk.Thread(func(m *sdk.Message) sdk.Verdict {
		switch what, arg, _ := strings.Cut(m.Subject(), " "); what {
		case "join":
			return sdk.Join(arg)
		case "apart":
			return sdk.NewThread()
		}
		return sdk.Accept()
	})
	sdk.OnEvent(func(m *sdk.Message) error {
		if done, err := told(m); done {
			return err
		}
		if m.Subject() == sdk.Config("fail") {
			return errors.New("as it was told")
		}
		n := strconv.Itoa(count())
		sdk.Log.Info(m.EventID() + " " + m.Type() + " " + strconv.Itoa(m.Attempt()))
		return m.Label("n" + n)
	})
	sdk.OnTick(func() error {
		turn := sdk.Tick()
		since := "none"
		if !turn.Previous.IsZero() {
			since = turn.Scheduled.Sub(turn.Previous).String()
		}
		sdk.Log.Info("turn " + strconv.Itoa(count()) + " of " + turn.Domain + ", before it " + since)
		return tock(turn)
	})
}

// strict is a word for which this build quarantines mail, whatever else that word means;
// the linker sets it.
var strict string

// asked counts the messages that an instance saw.
var asked int

func do(m *sdk.Message) sdk.Verdict {
	asked++
	what, arg, _ := strings.Cut(m.Subject(), " ")
	if only := sdk.Config("only"); only != "" {
		what = only
	}
	if strict != "" && what == strict {
		return sdk.Quarantine("strict about " + what)
	}
	switch what {
	case "reject":
		return sdk.Reject(554, arg)
	case "tempfail":
		return sdk.Tempfail(arg)
	case "quarantine":
		return sdk.Quarantine(arg)
	case "discard":
		return sdk.Discard()
	case "send-on":
		return sdk.Accept().Redirect(arg).Keep()
	case "deny":
		return sdk.Deny(arg)
	case "hold":
		return sdk.Hold(arg)
	case "header":
		return sdk.Accept().AddHeader("X-Puppet", arg)
	case "label":
		return sdk.Accept().Label(sdk.Config("label"))
	case "final":
		return sdk.Accept().Label(sdk.Config("label")).Final()
	case "panic":
		count()
		panic(arg)
	case "loop":
		for i := 0; ; i++ {
		}
	case "hoard":
		hoard()
	case "count":
		return sdk.Accept().Label("n" + strconv.Itoa(count()))
	case "count-reject":
		return sdk.Reject(0, "number "+strconv.Itoa(count()))
	case "fill":
		return fill()
	case "put":
		if err := sdk.KV.Put(sdk.Config("key"), []byte(arg), 0); err != nil {
			sdk.Log.Info("put: " + err.Error())
		}
	case "get":
		v, found := sdk.KV.Get(sdk.Config("key"))
		sdk.Log.Info("got " + strconv.Quote(string(v)) + " " + strconv.FormatBool(found) + " " + strconv.Quote(sdk.Config(sdk.Config("key"))))
	case "envelope":
		to := ""
		for _, rcpt := range m.Recipients() {
			to += rcpt + " "
		}
		sdk.Log.Info("to " + to + ".")
	case "asked":
		return sdk.Accept().Label("asked-" + strconv.Itoa(asked))
	case "say":
		say(arg)
	case "dry":
		return sdk.Accept().Label("dry-" + strconv.FormatBool(m.DryRun()))
	case "auth":
		a := m.Auth()
		sdk.Log.Info(a.SPF + " " + a.DKIM + " " + a.DMARC + " " + strconv.FormatBool(a.FromAligned) + " " + a.Disposition)
		raw, _ := io.ReadAll(m.Part(-1))
		sdk.Log.Info(strconv.Itoa(m.HeaderCount("Authentication-Results")) + " " + strconv.Itoa(strings.Count(string(raw), "dmarc=pass")))
		return sdk.Accept().Folder(arg)
	case "look":
		return look(m)
	}
	return sdk.Accept()
}

// say says the text behind a level.
func say(arg string) {
	level, text, _ := strings.Cut(arg, " ")
	switch level {
	case "debug":
		sdk.Log.Debug(text)
	case "warning":
		sdk.Log.Warn(text)
	case "error":
		sdk.Log.Error(text)
	default:
		sdk.Log.Info(text)
	}
}

// hoard takes memory until there is none.
func hoard() {
	for held := [][]byte{}; ; {
		held = append(held, make([]byte, 1<<20))
	}
}

// count counts messages in the KV.
func count() int {
	v, _ := sdk.KV.Get("count")
	n, _ := strconv.Atoi(string(v))
	if err := sdk.KV.Put("count", []byte(strconv.Itoa(n+1)), 0); err != nil {
		sdk.Log.Error(err.Error())
	}
	return n + 1
}

// fill writes until it may no more.
func fill() sdk.Verdict {
	for i := 0; ; i++ {
		if err := sdk.KV.Put("fill"+strconv.Itoa(i), make([]byte, 1000), 0); err != nil {
			return sdk.Accept().Label("filled-" + strconv.Itoa(i))
		}
	}
}

// look tells in the log what it sees.
func look(m *sdk.Message) sdk.Verdict {
	sdk.Log.Info("mail to " + m.Mailbox() + " from " + m.From().Addr + " " + strconv.Itoa(len(m.To())) + " " + m.Auth().DMARC + " " + m.Text(4))
	text, err := io.ReadAll(m.Part(0))
	sdk.Log.Info("part " + strconv.Quote(string(text)) + why(err))
	_, err = m.Part(7).Read(make([]byte, 1))
	sdk.Log.Info("part 7" + why(err))
	raw, err := io.ReadAll(m.Part(-1))
	sdk.Log.Info("raw " + strconv.FormatBool(len(raw) > 0) + why(err))
	sdk.Log.Info("fields " + m.Header("x-two") + " " + m.HeaderAt("X-Two", -1) + " " + strconv.Itoa(m.HeaderCount("x-two")) + " " + m.Header("x-none") + ".")
	return sdk.Accept()
}

func why(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func main() {}
