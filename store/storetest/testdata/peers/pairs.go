package main

import "github.com/centerleap/postern/store/storetest"

// eachPair calls set for all that a plain key-value store keeps of a message: nine
// pairs, those that Postern's engine is given.
func eachPair(m *storetest.Message, set func(key, value []byte) error) error {
	if err := set(m.RecordKey, m.Record); err != nil {
		return err
	}
	for _, k := range m.IndexKeys {
		if err := set(k, m.Entry); err != nil {
			return err
		}
	}
	if err := set(sibling(m, 'B'), m.Body); err != nil {
		return err
	}
	return set(sibling(m, 'F'), m.Change)
}

// sibling is a key beside that of the record.
func sibling(m *storetest.Message, name byte) []byte {
	return append([]byte{name}, m.RecordKey...)
}
