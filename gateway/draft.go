package gateway

import "io"

// Compose is a message as a client describes it: what POST /emails says.
// Source: API guide, "Request Body".
type Compose struct {
	From        Address
	To, Cc, Bcc []Address
	ReplyTo     []Address
	Subject     string
	Text, HTML  string
	Headers     []HeaderField
	Tags        []Tag
	InReplyTo   string // Message-ID or the ID of a message of ours
	References  []string
	Attachments []Attachment
}

// Recipients returns all forward-paths, each once, in order.
func (c *Compose) Recipients() []string {
	seen := make(map[string]bool)
	var all []string
	for _, list := range [][]Address{c.To, c.Cc, c.Bcc} {
		for _, a := range list {
			if f := FoldAddress(a.Addr); !seen[f] {
				seen[f] = true
				all = append(all, a.Addr)
			}
		}
	}
	return all
}

// Attachment is a file to send. Its bytes are wherever Open finds them: files
// of 25 MiB never stand in memory.
type Attachment struct {
	Filename    string
	ContentType string // empty: application/octet-stream
	ContentID   string // set: shown inline
	Size        int64  // decoded
	Open        func() (io.ReadCloser, error)
}
