package serve

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
)

// StoreReport counts what a check of a store has read, and what it found.
type StoreReport struct {
	gateway.StoreSummary
	Groups   int64 // of the log
	Records  int64
	Findings int
	// Unchecked: the log or the index is damaged, so that the records were not
	// looked at one by one, and only bodies were counted.
	Unchecked bool
}

// VerifyStore reads all that is in the store of a data folder, which no gateway
// has open, and checks that it is sound: the log, the index and the bodies by their
// checksums, then every count and reference of the records.
func VerifyStore(ctx context.Context, data string, log *slog.Logger, found func(what string)) (r StoreReport, err error) {
	cfg := storeConfig(data, log)
	tell := r.teller(found)
	sum, err := badgerstore.Verify(ctx, cfg, func(f badgerstore.Finding) {
		r.Unchecked = r.Unchecked || f.Blob == 0
		tell(f.What)
	})
	r.read(sum)
	if err == nil && !r.Unchecked { // else a start would refuse it, or repair what was to be looked at
		r.StoreSummary, err = checkRecords(ctx, cfg, tell)
	}
	return r, err
}

// RepairStore makes of a damaged store one that a gateway opens. What can't be
// saved is told, and then what the records lack because of it. The store as it was
// stays beside the new one.
func RepairStore(ctx context.Context, data string, log *slog.Logger, found func(what string)) (r StoreReport, err error) {
	cfg := storeConfig(data, log)
	tell := r.teller(found)
	sum, err := badgerstore.Repair(ctx, cfg, func(f badgerstore.Finding) { tell(f.What) }, func(dir string) error {
		if r.Findings == 0 {
			return nil
		}
		return restored(ctx, badgerstore.Config{Dir: dir, Log: log}) // what is lost was seen, as after a backup
	})
	r.read(sum)
	if err == nil {
		r.StoreSummary, err = checkRecords(ctx, cfg, tell)
	}
	return r, err
}

func storeConfig(data string, log *slog.Logger) badgerstore.Config {
	return badgerstore.Config{Dir: filepath.Join(data, storeFolder), Log: log}
}

// teller counts what it passes on.
func (r *StoreReport) teller(found func(string)) func(string) {
	return func(what string) {
		r.Findings++
		found(what)
	}
}

func (r *StoreReport) read(s badgerstore.Summary) {
	r.Groups, r.Records, r.Bodies, r.BodyBytes = s.Groups, s.Records, s.Bodies, s.BodyBytes
}

// checkRecords opens the store for a check of what is in it.
func checkRecords(ctx context.Context, cfg badgerstore.Config, tell func(string)) (sum gateway.StoreSummary, err error) {
	e, err := badgerstore.Open(cfg)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s, err := store.New(e, store.Config{Threading: threading.Rules{}})
	if err != nil {
		return sum, err
	}
	return s.Check(ctx, keys.System(), tell)
}
