package sdk

import "github.com/centerleap/postern/sdk/abi"

// What follows reads the documents of package abi, each as encoding/json would.

// event reads an event document.
func (s *scanner) event() (e abi.Event) {
	s.members(func(name string) {
		if !s.eventOf(&e, name) && !s.eventMail(&e, name) {
			s.skip()
		}
	})
	return e
}

// eventOf reads what an event says about the call and about where a message is.
func (s *scanner) eventOf(e *abi.Event, name string) bool {
	switch name {
	case "v":
		e.V = int(s.integer())
	case "hook":
		e.Hook = s.text()
	case "id":
		e.ID = s.text()
	case "attempt":
		e.Attempt = int(s.integer())
	case "type":
		e.Type = s.text()
	case "detail":
		e.Detail = s.text()
	case "message_id":
		e.MessageID = s.text()
	case "time":
		e.Time = s.text()
	case "domain":
		e.Domain = s.text()
	case "mailbox":
		e.Mailbox = s.text()
	case "thread_id":
		e.ThreadID = s.text()
	case "new_thread_id":
		e.NewThreadID = s.text()
	case "candidates":
		e.Candidates = list(s, (*scanner).candidate)
	case "via":
		e.Via = s.text()
	case "api_key_id":
		e.APIKeyID = s.text()
	case "dry_run":
		e.DryRun = s.boolean()
	case "folder":
		e.Folder = s.text()
	case "labels":
		e.Labels = list(s, (*scanner).text)
	case "flags":
		e.Flags = list(s, (*scanner).text)
	case "score":
		e.Score = s.number()
	case "scheduled":
		e.Scheduled = s.text()
	case "previous":
		e.Previous = s.text()
	default:
		return false
	}
	return true
}

// eventMail reads what an event says about the message itself.
func (s *scanner) eventMail(e *abi.Event, name string) bool {
	switch name {
	case "envelope":
		e.Envelope = s.envelope()
	case "auth":
		e.Auth = s.auth()
	case "automated":
		e.Automated = s.automated()
	case "size":
		e.Size = s.integer()
	case "subject":
		e.Subject = s.text()
	case "from":
		e.From = s.address()
	case "to":
		e.To = list(s, (*scanner).address)
	case "cc":
		e.Cc = list(s, (*scanner).address)
	case "bcc":
		e.Bcc = list(s, (*scanner).address)
	case "reply_to":
		e.ReplyTo = list(s, (*scanner).address)
	case "rfc_message_id":
		e.RFCMessageID = s.text()
	case "in_reply_to":
		e.InReplyTo = s.text()
	case "references":
		e.References = list(s, (*scanner).text)
	case "tags":
		e.Tags = list(s, (*scanner).tag)
	case "headers":
		e.Headers = list(s, (*scanner).pair)
	case "text":
		e.Text = s.text()
	case "text_truncated":
		e.TextTruncated = s.boolean()
	case "parts":
		e.Parts = list(s, (*scanner).part)
	default:
		return false
	}
	return true
}

func (s *scanner) envelope() (v abi.Envelope) {
	s.members(func(name string) {
		switch name {
		case "mail_from":
			v.MailFrom = s.text()
		case "rcpt_to":
			v.RcptTo = list(s, (*scanner).text)
		case "remote_ip":
			v.RemoteIP = s.text()
		case "helo":
			v.Helo = s.text()
		default:
			s.skip()
		}
	})
	return v
}

func (s *scanner) auth() (v abi.Auth) {
	s.members(func(name string) {
		switch name {
		case "spf":
			v.SPF = s.text()
		case "dkim":
			v.DKIM = s.text()
		case "dmarc":
			v.DMARC = s.text()
		case "from_aligned":
			v.FromAligned = s.boolean()
		case "disposition":
			v.Disposition = s.text()
		default:
			s.skip()
		}
	})
	return v
}

func (s *scanner) automated() (v abi.Automated) {
	s.members(func(name string) {
		switch name {
		case "auto":
			v.Auto = s.boolean()
		case "list":
			v.List = s.boolean()
		case "bulk":
			v.Bulk = s.boolean()
		case "bounce":
			v.Bounce = s.boolean()
		case "reply_ok":
			v.ReplyOK = s.boolean()
		default:
			s.skip()
		}
	})
	return v
}

func (s *scanner) address() (v abi.Address) {
	v.Name, v.Addr = s.twoTexts("name", "addr")
	return v
}

func (s *scanner) tag() (v abi.Tag) {
	v.Name, v.Value = s.twoTexts("name", "value")
	return v
}

func (s *scanner) candidate() (v abi.Candidate) {
	v.ThreadID, v.Subject = s.twoTexts("thread_id", "subject")
	return v
}

// twoTexts reads an object of two strings.
func (s *scanner) twoTexts(first, second string) (a, b string) {
	s.members(func(name string) {
		switch name {
		case first:
			a = s.text()
		case second:
			b = s.text()
		default:
			s.skip()
		}
	})
	return a, b
}

// pair reads an array of two strings: what more it has is passed over.
func (s *scanner) pair() (v [2]string) {
	i := 0
	for going := s.open('[', ']'); going && !s.wrong; going = s.more(']') {
		if i < len(v) {
			v[i] = s.text()
		} else {
			s.skip()
		}
		i++
	}
	return v
}

func (s *scanner) part() (v abi.Part) {
	s.members(func(name string) {
		switch name {
		case "i":
			v.Index = int(s.integer())
		case "type":
			v.Type = s.text()
		case "name":
			v.Name = s.text()
		case "size":
			v.Size = s.integer()
		default:
			s.skip()
		}
	})
	return v
}

// conversation reads what the import thread answers.
func (s *scanner) conversation() (v abi.Conversation) {
	s.members(func(name string) {
		switch name {
		case "thread_id":
			v.ThreadID = s.text()
		case "subject":
			v.Subject = s.text()
		case "count":
			v.Count = int(s.integer())
		case "messages":
			v.Messages = list(s, (*scanner).said)
		default:
			s.skip()
		}
	})
	return v
}

func (s *scanner) said() (v abi.Said) {
	s.members(func(name string) {
		switch name {
		case "id":
			v.ID = s.text()
		case "rfc_message_id":
			v.RFCMessageID = s.text()
		case "sent":
			v.Sent = s.boolean()
		case "from":
			v.From = s.address()
		case "to":
			v.To = list(s, (*scanner).address)
		case "time":
			v.Time = s.text()
		case "subject":
			v.Subject = s.text()
		case "text":
			v.Text = s.text()
		case "text_truncated":
			v.TextTruncated = s.boolean()
		default:
			s.skip()
		}
	})
	return v
}

// keys reads a page of keys.
func (s *scanner) keys() (v abi.KVPage) {
	s.members(func(name string) {
		switch name {
		case "keys":
			v.Keys = list(s, (*scanner).text)
		case "next":
			v.Next = s.text()
		default:
			s.skip()
		}
	})
	return v
}

// response reads the beginning of an HTTP answer.
func (s *scanner) response() (v abi.HTTPResponse) {
	s.members(func(name string) {
		switch name {
		case "status":
			v.Status = int(s.integer())
		case "headers":
			v.Headers = list(s, (*scanner).pair)
		case "size":
			v.Size = s.integer()
		default:
			s.skip()
		}
	})
	return v
}
