package rest

import "io"

// octets reads an array of numbers from 0 to 255 as the bytes they are: so some client
// libraries write binary content. fn gets them in pieces.
func (t *tokens) octets(fn func([]byte) error) error {
	if err := t.take('[', "a string or an array of bytes"); err != nil {
		return err
	}
	piece := make([]byte, 0, 4<<10)
	for first := true; ; first = false {
		c, err := t.peek()
		if err != nil {
			return err
		}
		if c == ']' && first {
			_, err = t.r.Discard(1)
			return err
		}
		b, err := t.octet()
		if err != nil {
			return err
		}
		piece = append(piece, b)
		done, err := t.more(']')
		if err != nil {
			return err
		}
		if done || len(piece) == cap(piece) {
			if err := fn(piece); done || err != nil {
				return err
			}
			piece = piece[:0]
		}
	}
}

// octet reads one.
func (t *tokens) octet() (byte, error) {
	v, n := 0, 0
	for {
		c, err := t.r.ReadByte()
		if err != nil && err != io.EOF {
			return 0, t.fail(err)
		}
		if err == io.EOF || c < '0' || c > '9' {
			if err == nil {
				_ = t.r.UnreadByte() // a byte was read just now
			}
			break
		}
		v, n = v*10+int(c-'0'), n+1
		if v > 255 || n > 1 && v < 10 {
			n = 0
			break
		}
	}
	if n == 0 {
		return 0, t.errorf("a byte is a number from 0 to 255")
	}
	return byte(v), nil
}
