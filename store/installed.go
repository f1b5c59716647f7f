package store

import (
	"sync"

	"github.com/centerleap/postern/gateway"
)

// installed remembers the installations of the domains that were asked for last. Every
// hook of every message needs them, and walking over them costs as much as two plugins.
// Only this process changes the store, so a commit that changes an installation has it
// forgotten before it returns.
type installed struct {
	mu      sync.Mutex
	changes uint64 // of any installation since the start
	bytes   int
	by      map[gateway.DomainID][]gateway.Plugin
}

// installedBytes bounds what is remembered, about; ours: some thousand installations.
const installedBytes = 4 << 20

// get returns what is remembered of a domain, and otherwise the state of things that keep
// has to be told. Nobody changes what is returned.
func (i *installed) get(d gateway.DomainID) (all []gateway.Plugin, known bool, changes uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, known = i.by[d]
	return all, known, i.changes
}

// keep remembers what was read, unless something has changed since get.
func (i *installed) keep(d gateway.DomainID, all []gateway.Plugin, changes uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, known := i.by[d]; known || i.changes != changes {
		return
	}
	if i.by == nil {
		i.by = make(map[gateway.DomainID][]gateway.Plugin)
	}
	i.bytes += footprint(all)
	for other := range i.by { // any of them: those in use are soon back
		if i.bytes <= installedBytes {
			break
		}
		i.drop(other)
	}
	i.by[d] = all
}

// forget drops what is remembered of a domain, and what is being read meanwhile.
func (i *installed) forget(d gateway.DomainID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.changes++
	i.drop(d)
}

func (i *installed) drop(d gateway.DomainID) {
	i.bytes -= footprint(i.by[d])
	delete(i.by, d)
}

// footprint is about how much memory installations take.
func footprint(all []gateway.Plugin) (n int) {
	n = 64
	for i := range all {
		p := &all[i]
		n += 1024 + 128*len(p.Kept)
		for k, v := range p.Config {
			n += 64 + len(k) + len(v)
		}
		for k, v := range p.Secrets {
			n += 64 + len(k) + len(v)
		}
	}
	return n
}
