package mailbox

// KeywordsFull reports whether a client may bring no new keyword.
func (v *View) KeywordsFull() bool {
	most := int(v.mail.cfg.Limits.Keywords)
	return len(v.Keywords(most)) >= most
}
