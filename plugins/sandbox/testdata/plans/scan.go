package main

// scanner walks through JSON that is known to be well formed.
type scanner struct {
	b []byte
	i int
}

// to goes on to a byte, and behind it.
func (s *scanner) to(c byte) {
	for s.b[s.i] != c {
		s.i++
	}
	s.i++
}

func (s *scanner) text() []byte {
	s.to('"')
	from := s.i
	for s.b[s.i] != '"' {
		if s.b[s.i] == '\\' {
			s.i++
		}
		s.i++
	}
	s.i++
	return s.b[from : s.i-1]
}

// skip passes over a value.
func (s *scanner) skip() {
	for depth := 0; ; s.i++ {
		switch s.b[s.i] {
		case '"':
			s.text()
			s.i--
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if next := s.b[s.i+1]; depth == 0 && (next == ',' || next == '}' || next == ']') {
			s.i++
			return
		}
	}
}

// members calls f with each name of an object, in front of its value.
func (s *scanner) members(f func(name []byte)) {
	for s.to('{'); s.b[s.i] != '}'; {
		name := s.text()
		s.to(':')
		f(name)
		if s.b[s.i] == ',' {
			s.i++
		}
	}
	s.i++
}

// message finds what decide wants to know.
func (s *scanner) message() (subject, from string, bulk bool) {
	s.members(func(name []byte) {
		switch string(name) {
		case "subject":
			subject = string(s.text())
		case "from":
			s.members(func(name []byte) {
				if string(name) == "addr" {
					from = string(s.text())
				} else {
					s.skip()
				}
			})
		case "headers":
			for s.to('['); s.b[s.i] != ']'; {
				bulk = string(s.text()) == "List-Unsubscribe" || bulk
				s.text()
				if s.to(']'); s.b[s.i] == ',' {
					s.i++
				}
			}
			s.i++
		default:
			s.skip()
		}
	})
	return subject, from, bulk
}
