package gateway

// IndexSegment is a piece of the search index of an account: what is known of the
// messages of a range of numbers. It never changes.
type IndexSegment struct {
	First, Last MessageNumber // the range it covers, also where there are no messages
	Messages    int           // how many it knows
	Blob        Blob          // its bytes, which only the search room can read
}

// IndexState is how far the search index of an account has come, or of many accounts.
type IndexState struct {
	Accounts int
	Messages int64 // how many it knows
	Behind   int64 // how many numbers it does not reach yet
	Segments int
	Bytes    int64 // of the segments
}

// AccountRef names an account.
type AccountRef struct {
	Domain  DomainID
	Account AccountID
}
