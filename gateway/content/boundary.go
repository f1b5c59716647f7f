package content

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// boundary handles a line that starts with two hyphens; done says that it was a
// boundary of an open multipart.
func (s *scanner) boundary(b []byte) (done bool, err error) {
	if len(s.boundaries) == 0 || len(b) > 300 {
		return false, nil
	}
	name := strings.TrimRight(clean(string(b[2:])), " \t") // as mediaType has cleaned the parameter
	i, ok := s.boundaries[name]
	closing := false
	if !ok {
		if name, closing = strings.CutSuffix(name, "--"); !closing {
			return false, nil
		}
		if i, ok = s.boundaries[name]; !ok {
			return false, nil
		}
	}
	if s.stack[i].closed {
		return false, nil
	}
	if err := s.closeAbove(i); err != nil {
		return true, err
	}
	e := s.stack[i]
	if closing {
		e.closed = true
		s.eol = s.eol[:0]
		return true, nil
	}
	if int64(len(s.c.Parts)) >= s.lim.MIMEParts {
		s.c.Defects |= gateway.DefectParts
		e.closed = true // the rest is there, but not listed
		return true, nil
	}
	e.children++
	s.open(e.part, strings.TrimPrefix(e.prefix+"."+strconv.Itoa(e.children), "."))
	s.part(s.current()).HeaderAt = s.pos + int64(len(b)) // behind the boundary's line
	return true, nil
}

// closeAbove ends all entities inside stack[i], at the boundary that is at pos.
func (s *scanner) closeAbove(i int) error {
	for len(s.stack)-1 > i {
		if err := s.close(s.pos - int64(len(s.eol))); err != nil {
			return err
		}
	}
	return nil
}

// close ends the innermost entity, whose last byte is before end.
func (s *scanner) close(end int64) error {
	e := s.current()
	if e.mode == inHeader { // it ended within its header
		if err := s.endHeader(e); err != nil {
			return err
		}
		if s.current() != e { // a nested message without a byte
			if err := s.close(end); err != nil {
				return err
			}
		}
	}
	p := s.part(e)
	p.BodySize = max(0, end-p.BodyAt)
	if e.mode == inLeaf {
		e.scratch = e.decode.end(e.scratch[:0])
		s.decoded(e, p)
		s.choose(e, p)
	} else {
		s.closeTree(e, p)
	}
	if e.boundary != "" && s.boundaries[e.boundary] == len(s.stack)-1 {
		delete(s.boundaries, e.boundary)
		if !e.closed {
			s.c.Defects |= gateway.DefectBoundary
		}
		for j, o := range s.stack[:len(s.stack)-1] { // an outer one may have the same name
			if o.boundary == e.boundary {
				s.boundaries[e.boundary] = j
			}
		}
	}
	s.stack = s.stack[:len(s.stack)-1]
	return nil
}

// closeTree ends an entity that is made of others.
func (s *scanner) closeTree(e *entity, p *gateway.Part) {
	if p.Type == "message/rfc822" {
		p.DecodedSize = p.BodySize
		if p.Lines = s.eols - e.eols; len(s.eol) > 0 {
			p.Lines-- // the last one belongs to the boundary that follows
		}
	} else if e.children == 0 {
		s.own(p) // it is shown as a text
	}
}
