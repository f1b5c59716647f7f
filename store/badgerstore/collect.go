package badgerstore

// movedBody is a body that is copied to the end of the log.
type movedBody struct {
	blobRecord
	bytes []byte
}
