package gateway

// StoreSummary counts what a check of the whole store has read.
type StoreSummary struct {
	Domains, Accounts, Messages, Bodies, BodyBytes int64
}
