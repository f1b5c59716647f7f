package mailbox

// SetIndex answers searches in the place of the account's index.
func (m *Mail) SetIndex(index Index) { m.index = index }
