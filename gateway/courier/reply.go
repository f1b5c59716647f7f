package courier

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// reply is what the next hop said to one command.
type reply struct {
	code  int
	lines []string // the text of each line, as it came
}

func (r reply) is(class int) bool { return r.code/100 == class }

// Why a reply is not one. The connection is of no more use: nobody knows which command
// the next bytes answer.
var (
	errSyntax = errors.New("a reply that is not SMTP")
	errFlood  = errors.New("a reply without end")
	errTurn   = errors.New("a reply to nothing that was asked")
)

// maxReplyLine bounds one line of a reply, in bytes. RFC 5321 section 4.5.3.1.5 allows
// 512; some servers write more.
const maxReplyLine = 4 << 10

// replies reads replies, and no more of them than is allowed.
type replies struct {
	buf  *bufio.Reader
	each int64 // bytes of one reply
	left int64 // bytes of all that are still to come
}

func newReplies(r io.Reader, l gateway.Limits) *replies {
	return &replies{buf: bufio.NewReaderSize(r, maxReplyLine), each: l.CourierReply, left: l.CourierReplies}
}

// next reads one reply. RFC 5321 section 4.2: all its lines have the same code.
func (r *replies) next() (reply, error) {
	var rep reply
	for budget := r.each; ; {
		line, err := r.buf.ReadSlice('\n')
		budget -= int64(len(line))
		r.left -= int64(len(line))
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || budget < 0 || r.left < 0:
			return reply{}, errFlood
		case errors.Is(err, io.EOF):
			return reply{}, io.ErrUnexpectedEOF
		case err != nil:
			return reply{}, err
		}
		code, text, last, ok := replyLine(line)
		if !ok || rep.code != 0 && rep.code != code {
			return reply{}, errSyntax
		}
		rep.code = code
		rep.lines = append(rep.lines, text)
		if last {
			return rep, nil
		}
	}
}

// quiet reports whether nothing was said that was not asked for. Where all commands are
// answered that has to be so: bytes that follow the answer to STARTTLS were put there by
// somebody who can't read what comes after it (CVE-2011-0411), and a reply that is there
// before its command would be taken for that of another.
func (r *replies) quiet() bool { return r.buf.Buffered() == 0 }

// replyLine reads "250-text" or "250 text"; a lone code has no text.
func replyLine(line []byte) (code int, text string, last, ok bool) {
	s := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	if len(s) < 3 || s[0] < '2' || s[0] > '5' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0, "", false, false
	}
	code = int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if len(s) == 3 {
		return code, "", true, true
	}
	return code, s[4:], s[3] == ' ', s[3] == ' ' || s[3] == '-'
}

// enhanced finds the enhanced status code in the text of a reply, RFC 2034 section 4:
// class.subject.detail, the class being the first digit of the code. Some servers write
// it in the last line alone.
func (r reply) enhanced() (code [3]int, found bool) {
	for _, line := range r.lines {
		if code, _, found = cutEnhanced(line, r.code/100); found {
			return code, true
		}
	}
	return [3]int{r.code / 100, 0, 0}, false
}

func cutEnhanced(line string, class int) (code [3]int, rest string, found bool) {
	word, rest, _ := strings.Cut(line, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return code, line, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 3 {
			return code, line, false
		}
		code[i] = int(n)
	}
	return code, rest, code[0] == class
}

// maxText bounds the text of an answer, in bytes: a reply of ours has 512 with its codes.
const maxText = 400

// text is what the reply says to people, fit for a log, a report and a header field.
func (r reply) text() string {
	var b strings.Builder
	for _, line := range r.lines {
		if _, rest, found := cutEnhanced(line, r.code/100); found {
			line = rest
		}
		b.WriteString(line[:min(len(line), maxText)])
		if b.WriteByte(' '); b.Len() > 2*maxText {
			break
		}
	}
	return oneLine(b.String())
}

// oneLine leaves printable ASCII and single spaces.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	return strings.TrimSpace(text[:min(len(text), maxText)])
}

// answer is the reply as the end of a recipient's attempt.
func (r reply) answer(at Phase) Answer {
	code, _ := r.enhanced()
	return Answer{Outcome: r.outcome(at), Phase: at, Remote: true, Code: r.code, Enhanced: code, Text: r.text()}
}

// outcome classifies the reply to MAIL, RCPT, DATA or the final dot. RFC 5321 section
// 4.2.1: 4yz may go well later, 5yz will not. 552 is both: a mailbox that is full today
// (5.2.2), too many recipients for one transaction (section 4.5.3.1.10: as if it were
// 452), or a message that is too long, which no retry makes shorter.
func (r reply) outcome(at Phase) Outcome {
	code, _ := r.enhanced()
	full := r.code == 552 && (code[1] == 2 && code[2] == 2 || at == PhaseRcpt && code[1] != 3 && code != [3]int{5, 2, 3})
	switch {
	case r.is(2) && at == PhaseEnd:
		return Delivered
	case r.is(5) && !full:
		return Failed
	}
	return Deferred
}
