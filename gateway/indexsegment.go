package gateway

// IndexSegment is a piece of the search index of an account: what is known of the
// messages of a range of numbers. It never changes.
type IndexSegment struct {
	First, Last MessageNumber // the range it covers, also where there are no messages
	Messages    int           // how many it knows
	Blob        Blob          // its bytes, which only the search room can read
}

// IndexState is how far the search index of an account reaches, or of many accounts.
type IndexState struct {
	Accounts int   // how many it is about
	Newest   int64 // numbers given to messages
	Indexed  int64 // how many of them it covers
	Segments int
	Bytes    int64 // of the segments
}

// Add counts another state in.
func (s *IndexState) Add(o IndexState) {
	s.Accounts += o.Accounts
	s.Newest += o.Newest
	s.Indexed += o.Indexed
	s.Segments += o.Segments
	s.Bytes += o.Bytes
}

// Lag is how many messages it does not know yet.
func (s *IndexState) Lag() int64 { return s.Newest - s.Indexed }

// AccountRef names an account.
type AccountRef struct {
	Domain  DomainID
	Account AccountID
}
