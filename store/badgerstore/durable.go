package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	badger "github.com/dgraph-io/badger/v4"
)

// durable makes one group durable: with SyncWrites Badger syncs its log before
// Commit returns.
func durable(txn *badger.Txn) error { return txn.Commit() }

// badgerLog passes Badger's words on, and listens for the one thing it only
// says: when the sync of its value log fails, Badger logs that and goes on as
// if all were well. Then nothing may be acknowledged any more.
type badgerLog struct{ store *Store }

func (l *badgerLog) log(level slog.Level, format string, args ...any) string {
	msg := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.store.cfg.Log.LogAttrs(context.Background(), level, "badger", slog.String("text", msg))
	return msg
}

func (l *badgerLog) Errorf(format string, args ...any) {
	if msg := strings.ToLower(l.log(slog.LevelError, format, args...)); strings.Contains(msg, "sync") {
		l.store.fail("a sync failed", fmt.Errorf("badger: "+format, args...))
	}
}

func (l *badgerLog) Warningf(format string, args ...any) { l.log(slog.LevelWarn, format, args...) }
func (l *badgerLog) Infof(format string, args ...any)    { l.log(slog.LevelDebug, format, args...) }
func (l *badgerLog) Debugf(format string, args ...any)   {}
