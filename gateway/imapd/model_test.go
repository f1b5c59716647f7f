package imapd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// plan is how much a run of the model does.
type plan struct {
	seed    uint64
	clients int
	steps   int           // of each client between two looks at the whole
	rounds  int           // such looks; 0: as many as there is time for
	mailbox int           // messages above which clients rather remove some
	time    time.Duration // at most
}

// model is a gateway with clients that do things at random beside each other.
type model struct {
	plan  plan
	g     *gatewaytest.Gateway
	addr  string
	tls   *tls.Config
	key   string
	world *world

	naming             sync.Mutex
	sessions, commands atomic.Int64
}

// Thousands of sessions do things at random, beside mail that arrives and programs that
// use REST. Each client believes only what it is told: whenever all rest, what it believes
// is how things are, and how things are can have come of what was done. See world.
//
// POSTERN_MODEL_SEED repeats a run as far as its random choices go; POSTERN_MODEL_TIME,
// such as 2h, has it go on for so long.
func TestModel(t *testing.T) {
	p := plan{seed: uint64(time.Now().UnixNano()), clients: 10, steps: 40, rounds: 50, mailbox: 40, time: 40 * time.Second}
	if testing.Short() {
		p.rounds = 5
	}
	if v := os.Getenv("POSTERN_MODEL_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.seed = seed
	}
	if v := os.Getenv("POSTERN_MODEL_TIME"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatal(err)
		}
		p.time, p.rounds = d, 0
	}
	t.Logf("POSTERN_MODEL_SEED=%d", p.seed)
	err := runModel(t, p)
	if err == nil {
		return
	}
	t.Errorf("seed %d, %d clients of %d steps: %v", p.seed, p.clients, p.steps, err)
	for range 4 { // fewer steps tell more
		p.clients, p.steps, p.rounds, p.time = max(2, p.clients/2), max(5, p.steps/2), 20, 10*time.Second
		if err := runModel(t, p); err != nil {
			t.Errorf("and with %d clients of %d steps: %v", p.clients, p.steps, err)
		}
	}
}

func runModel(t *testing.T, p plan) error {
	g := gatewaytest.Start(t)
	m := &model{plan: p, g: g, addr: g.Addr("imaps"), tls: g.TLS(), key: g.Keys.Account, world: newWorld()}
	var clients []*simulated
	for i := range p.clients {
		clients = append(clients, &simulated{m: m, id: i, rng: rand.New(rand.NewPCG(p.seed, uint64(i))), kept: make(map[uint32]picture)})
	}
	defer func() {
		for _, s := range clients {
			s.over()
		}
	}()
	began := time.Now()
	for round := 0; (p.rounds == 0 || round < p.rounds) && time.Since(began) < p.time; round++ {
		if err := m.round(t.Context(), clients, round); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	t.Logf("%d sessions, %d commands in %v", m.sessions.Load(), m.commands.Load(), time.Since(began))
	return nil
}

// round lets all clients do their steps beside each other, and looks at the whole then.
func (m *model) round(ctx context.Context, clients []*simulated, round int) error {
	errs := make([]error, len(clients)+2)
	var all sync.WaitGroup
	for i, s := range clients {
		all.Go(func() {
			for range m.plan.steps {
				if errs[i] = s.told(s.step()); errs[i] != nil {
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(m.plan.seed, uint64(1000+round)))
	arrivals, changes := rng.IntN(m.plan.steps), rng.IntN(m.plan.steps)
	all.Go(func() { errs[len(clients)] = m.arrive(ctx, arrivals) })
	all.Go(func() { errs[len(clients)+1] = m.change(ctx, rng, changes) })
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return m.settle(clients)
}

// told makes of what ended a step what is wrong with it: nothing if the session may end.
func (s *simulated) told(err error) error {
	if err == nil {
		return nil
	}
	deleted := s.box != nil && s.m.world.mayBeDeleted(s.box.validity)
	log := ""
	if s.c != nil {
		log = s.c.Log()
	}
	var bad *imapread.MalformedError
	if errors.Is(err, errOver) || deleted && !errors.As(err, &bad) && hasLeft(err) {
		s.over()
		return nil
	}
	return fmt.Errorf("client %d: %w\n%s", s.id, err, log)
}

// hasLeft reports whether an error means that the gateway closed, maybe while we wrote.
func hasLeft(err error) bool {
	return slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE}, func(e error) bool { return errors.Is(err, e) })
}

// arrive lets mail arrive as over SMTP.
func (m *model) arrive(ctx context.Context, n int) error {
	for range n {
		token := m.world.newToken()
		m.world.made(token, m.world.begin(), place{}, nil, true)
		env := gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1"}
		if err := m.g.Receiver.Receive(ctx, env, strings.NewReader(modelMail(token))); err != nil {
			return err
		}
	}
	return nil
}

// change marks, stars and deletes messages over REST.
func (m *model) change(ctx context.Context, rng *rand.Rand, n int) error {
	for range n {
		at, ok := m.world.somewhere(rng)
		if !ok {
			continue
		}
		var status int
		var err error
		path, from := fmt.Sprintf("/emails/%d?folder=INBOX", at.uid), m.world.begin()
		switch rng.IntN(3) {
		case 0:
			on := rng.IntN(2) == 0
			status, err = m.rest(ctx, http.MethodPatch, path, fmt.Sprintf(`{"is_read":%v}`, on))
			m.world.stored(from, []place{at}, map[bool]string{true: "+FLAGS", false: "-FLAGS"}[on], []string{`\Seen`}, status == http.StatusOK)
		case 1:
			status, err = m.rest(ctx, http.MethodPatch, path, `{"is_starred":true}`)
			m.world.stored(from, []place{at}, "+FLAGS", []string{`\Flagged`}, status == http.StatusOK)
		case 2:
			status, err = m.rest(ctx, http.MethodDelete, path+"&permanent=true", "")
			m.world.removed(from, []place{at}, status == http.StatusOK, "REST")
		}
		if err != nil || status != http.StatusOK && status != http.StatusNotFound && status != http.StatusConflict {
			return fmt.Errorf("REST %s: %d, %w", path, status, err)
		}
	}
	return nil
}

func (m *model) rest(ctx context.Context, method, path, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.g.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+m.key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// settle looks at the whole until it is right: what a client that has left asked for may
// still be under way. Nothing else changes meanwhile, so what is wrong stays wrong.
func (m *model) settle(clients []*simulated) error {
	deadline := time.Now().Add(patience / 2)
	for pause := time.Millisecond; ; pause *= 2 {
		wrong, err := m.atRest(clients)
		if err != nil || wrong == nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("at rest: %w", wrong)
		}
		time.Sleep(pause) // a poll with a deadline
	}
}

// atRest compares what everybody believes with how things are. err is a fault that
// nothing will mend.
func (m *model) atRest(clients []*simulated) (wrong, err error) {
	all, wrong := m.look()
	if wrong != nil {
		return wrong, nil
	}
	if err := m.world.possible(all); err != nil {
		return err, nil
	}
	for _, s := range clients {
		if s.c == nil || s.box == nil {
			continue
		}
		if s.idle != "" { // it is told without asking
			err = s.told(s.listen())
		} else {
			err = s.told(s.plain("NOOP"))
		}
		if err != nil {
			return nil, err
		}
		if s.box == nil {
			continue
		}
		t := all[s.box.validity]
		if t == nil {
			return fmt.Errorf("client %d is in %s, which is not there", s.id, s.box.name), nil
		}
		if err := s.box.matches(t); err != nil {
			return fmt.Errorf("client %d (idle: %v): %w\n%s", s.id, s.idle != "", err, s.c.Log()), nil
		}
	}
	return nil, nil
}

// listen takes what has come in IDLE.
func (s *simulated) listen() error {
	for {
		r, err := s.c.Next(5 * time.Millisecond)
		if errors.Is(err, gatewaytest.ErrSilent) {
			return nil
		}
		if err == nil {
			err = s.hear(r)
		}
		if err != nil {
			return err
		}
	}
}

// truth is how a mailbox is.
type truth struct {
	name     string
	validity uint32
	uids     []uint32
	tokens   []string
	flags    [][]string
}

// look reads all mailboxes as a client that has just come.
func (m *model) look() (map[uint32]*truth, error) {
	s := &simulated{m: m, id: -1, rng: rand.New(rand.NewPCG(m.plan.seed, 1))}
	if err := s.connect(); err != nil {
		return nil, err
	}
	defer s.over()
	if _, err := s.do("LIST", `LIST "" *`); err != nil {
		return nil, err
	}
	all := make(map[uint32]*truth)
	for _, name := range s.listed {
		t, err := s.lookAt(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[t.validity] = t
	}
	return all, nil
}

func (s *simulated) lookAt(name string) (*truth, error) {
	r, err := s.do("STATUS", "STATUS "+name+" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
	if err != nil || r.Name != "OK" {
		return nil, fmt.Errorf("STATUS: %+v, %w", r, err)
	}
	status := s.status
	s.box = &picture{name: name, since: s.m.world.begin(), validity: uint32(status["UIDVALIDITY"])}
	if r, err = s.do("EXAMINE", "EXAMINE "+name); err != nil || r.Name != "OK" {
		return nil, fmt.Errorf("EXAMINE: %+v, %w", r, err)
	}
	if err := s.learn(); err != nil {
		return nil, err
	}
	t := &truth{name: name, validity: s.box.validity}
	unseen := 0
	for i, sl := range s.box.slots {
		if sl.uid == 0 || sl.token == "" || sl.flags == nil || uint64(sl.uid) >= status["UIDNEXT"] {
			return nil, fmt.Errorf("message %d is %+v of %v", i+1, sl, status)
		}
		if !slices.Contains(sl.flags, `\Seen`) {
			unseen++
		}
		t.uids, t.tokens, t.flags = append(t.uids, sl.uid), append(t.tokens, sl.token), append(t.flags, sl.flags)
	}
	if int(status["MESSAGES"]) != len(t.uids) || int(status["UNSEEN"]) != unseen {
		return nil, fmt.Errorf("STATUS says %v, and there are %d messages, %d of them unseen", status, len(t.uids), unseen)
	}
	return t, nil
}
