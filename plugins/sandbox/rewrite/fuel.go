package rewrite

// region is code that is paid for at one place, all of it or none.
//
// What a module may run without a check can be paid where it begins, at the head of its
// function or loop. But Go's compiler makes of each function that can be suspended one
// loop around a table of jumps: there each jump backwards would pay for the whole
// function. So what comes behind a block, and the arms of an if, are regions of their
// own, which pay when they are reached and check nothing. Small ones are paid before,
// at the region that always comes before them, up to a bound: then nothing runs unpaid,
// and little is paid in vain.
type region struct {
	cost      int64
	folded    int64 // of cost, what belongs to regions behind
	before    int   // the region that always comes before
	check     bool
	passed    bool  // a branch on a condition or a loop: nothing leads here but from there
	elsewhere bool  // the head of a loop that is paid for where it is gone to: see jumps
	pays      int   // such a head, for this one goes there; or 0
	since     int64 // what was to be paid in all where there was a check for certain
}

// Bounds of what is paid before it is known to be reached; ours, a compromise of speed
// and exactness.
const (
	foldOne  = 24 // one region
	foldAll  = 64 // all of those behind one
	foldPast = 64 // what is past a branch on a condition or a loop: mostly it runs
)

// longRegion is what may be paid for at once: code without a loop can be long, and each of
// its instructions may have the kernel find a page of memory. Ours.
const longRegion = 1 << 10

// weightCheck is what a check or charge costs itself.
const weightCheck = 2

// open starts the first region of a function.
func (b *body) open() {
	b.regions = append(b.regions[:0], region{cost: weightCheck, check: true})
	b.now, b.total = 0, 0
}

// pay adds a weight to what runs here.
func (b *body) pay(weight int64) {
	b.regions[b.now].cost += weight
	b.total += weight
}

// check starts a region that asks for more.
func (b *body) check(at int) { b.start(at, true) }

// cut starts a region with a check where this one has become long.
func (b *body) cut() {
	if b.regions[b.now].cost > longRegion && len(b.frames) > 0 && !b.frames[len(b.frames)-1].dead {
		b.check(b.r.at - b.from)
	}
}

// split starts a region that may not be reached, or may be without what is written
// before it. It asks for more if much may have run since somebody did for certain.
func (b *body) split(at int) { b.start(at, b.total-b.regions[b.now].since > longRegion) }

// pass starts a region past a branch on a condition, or a loop: few leave there.
func (b *body) pass(at int) {
	b.split(at)
	b.regions[b.now].passed = true
}

func (b *body) start(at int, check bool) {
	r := region{before: b.now, check: check, since: b.regions[b.now].since}
	if check {
		r.cost, r.since = weightCheck, b.total
		b.blocks += 2                                    // to ask, and to go on
		b.held += int64(len(b.locals) + len(b.operands)) // it parts and joins
	}
	b.now = len(b.regions)
	b.regions = append(b.regions, r)
	b.edits = append(b.edits, edit{at: at, end: at, kind: editPay, n: uint32(b.now)})
}

// settle decides which regions are paid before, and what the others cost.
func (b *body) settle() {
	for i := len(b.regions) - 1; i > 0; i-- {
		r := &b.regions[i]
		into := &b.regions[r.before]
		switch {
		case r.elsewhere:
			into.cost += r.cost
		case r.check:
		case r.passed && r.cost <= foldPast:
			into.cost += r.cost
			r.cost = 0
		case r.cost <= foldOne && into.folded+r.cost <= foldAll:
			into.cost, into.folded = into.cost+r.cost, into.folded+r.cost
			r.cost = 0
		default:
			r.cost += weightCheck
		}
	}
	for i := range b.regions {
		if r := &b.regions[i]; r.pays > 0 && b.regions[r.pays].elsewhere {
			r.cost += b.regions[r.pays].cost
		}
	}
}
