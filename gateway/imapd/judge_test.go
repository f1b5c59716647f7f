package imapd_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// judge is a second reader of both sides of a conversation: it knows where commands
// begin and end, and holds the door to one tagged answer for each, in order, or an
// end. It knows nothing of what commands mean, besides IDLE.
type judge struct {
	sent string // by the client, not read yet
	said string // by the server, not read yet
	bye  bool   // the server has announced the end
}

var (
	announced = regexp.MustCompile(`\{([0-9]{1,18})(\+?)\}$`)
	response  = regexp.MustCompile(`^(\*|\+|[^\x00-\x20(){%*"\\+\x7f-\xff]+) (.*)$`)
	ownFaults = []string{"the command was not understood", "internal error", "a response is too long", "SERVERBUG"}
)

// line takes one whole line off the client's bytes; false if there is none.
func (j *judge) line() (string, bool) {
	l, rest, ok := strings.Cut(j.sent, "\n")
	if ok {
		j.sent = rest
	}
	return strings.TrimSuffix(l, "\r"), ok
}

// answer takes the next response that is tagged or asks for more; over is true at
// the end.
func (j *judge) answer() (first, rest string, over bool, err error) {
	for {
		l, tail, ok := strings.Cut(j.said, "\r\n")
		if !ok {
			return "", "", true, nil // what is half said is cut by the end
		}
		whole := l
		for {
			m := announced.FindStringSubmatch(l)
			if m == nil {
				break
			}
			n, _ := strconv.Atoi(m[1])
			if n > len(tail) {
				return "", "", true, nil
			}
			tail = tail[n:]
			if l, tail, ok = strings.Cut(tail, "\r\n"); !ok {
				return "", "", true, nil
			}
			whole += l
		}
		j.said = tail
		m := response.FindStringSubmatch(strings.ReplaceAll(whole, "\n", "?"))
		if m == nil || strings.ContainsAny(whole, "\r\n\x00") {
			return "", "", false, fmt.Errorf("%q is no response", whole)
		}
		for _, f := range ownFaults {
			if m[1] != "+" && strings.Contains(whole, f) {
				return "", "", false, fmt.Errorf("the door is at fault: %q", whole)
			}
		}
		if m[1] != "*" {
			return m[1], m[2], false, nil
		}
		j.bye = j.bye || strings.HasPrefix(m[2], "BYE") || strings.HasPrefix(m[2], "BAD")
	}
}

// hold reads both sides to the end.
func (j *judge) hold() error {
	for {
		l, ok := j.line()
		if !ok {
			break
		}
		over, err := j.command(l)
		if err != nil || over {
			return err
		}
	}
	if first, rest, over, err := j.answer(); err != nil || !over && first != "+" {
		return fmt.Errorf("an answer to nothing: %q %q %w", first, rest, err)
	}
	return nil
}

// command reads one command that began with a line, and its answer.
func (j *judge) command(l string) (over bool, err error) {
	tag, rest, _ := strings.Cut(l, " ")
	idle := strings.EqualFold(strings.TrimSpace(rest), "IDLE")
	for {
		m := announced.FindStringSubmatch(l)
		if m != nil && m[2] == "+" {
			if l, over = j.literal(m[1]); over {
				return true, j.ended(tag)
			}
			continue
		}
		first, text, over, err := j.answer()
		switch {
		case err != nil:
			return true, err
		case over && j.bye:
			return true, nil
		case over && (m != nil || idle) && j.sent == "":
			return true, nil // it was asked for more, or waited
		case over:
			return true, fmt.Errorf("no answer to %.100q", tag+" "+rest)
		case first == "+" && m != nil:
			if l, over = j.literal(m[1]); over {
				return true, j.ended(tag)
			}
		case first == "+" && idle:
			idle = false
			if l, ok := j.line(); ok && !strings.EqualFold(l, "DONE") || !ok {
				return true, j.ended(tag)
			}
		case first == tag && (strings.HasPrefix(text, "OK") || strings.HasPrefix(text, "NO") || strings.HasPrefix(text, "BAD")):
			return false, nil
		default:
			return true, fmt.Errorf("%q is answered with %q %q", tag+" "+rest, first, text)
		}
	}
}

// literal takes the bytes of a literal and the line behind them; over if they are
// not all there.
func (j *judge) literal(size string) (line string, over bool) {
	n, err := strconv.Atoi(size)
	if err != nil || n > len(j.sent) {
		j.sent = ""
		return "", true
	}
	j.sent = j.sent[n:]
	line, ok := j.line()
	return line, !ok
}

// ended wants no answer but to the command under way, and then the end.
func (j *judge) ended(tag string) error {
	for {
		first, text, over, err := j.answer()
		if err != nil || over {
			return err
		}
		if first != "+" && first != tag {
			return fmt.Errorf("an answer to what is not whole: %q %q", first, text)
		}
	}
}
