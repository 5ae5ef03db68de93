package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

var errDown = errors.New("connection refused")

// switchboard is the remediator of all switches of the company.
type switchboard struct{ s *sim }

func (b switchboard) of(step signalbox.Step) (*points, error) {
	p := b.s.co.pos[step.Name]
	if p == nil {
		return nil, fmt.Errorf("no switch %q", step.Name)
	}
	return p, nil
}

// Preview implements signalbox.Remediator.
func (b switchboard) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	p, err := b.of(s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	return p.preview(s)
}

// Start implements signalbox.Remediator.
func (b switchboard) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	p, err := b.of(a.Step)
	if err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: err.Error()}
	}
	return p.start(ctx, a)
}

// Probe implements signalbox.Remediator.
func (b switchboard) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	p, err := b.of(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	return p.probe(a)
}

// Seal implements signalbox.Sealer.
func (b switchboard) Seal(_ context.Context, a signalbox.Action, tok signalbox.Token) error {
	p, err := b.of(a.Step)
	if err != nil {
		return err
	}
	return p.seal(a, tok)
}

// effect is one throw that took place.
type effect struct {
	id       signalbox.ActionID
	to       string
	at       time.Time
	claimed  time.Time
	back     bool
	policy   string
	owner    string // of its incident
	class    signalbox.Class
	token    signalbox.Token
	name     string // of its switch
	detector string // of its incident
}

// points is one switch, whose log is the oracle.
type points struct {
	s     *sim
	name  string
	class signalbox.Class

	mu      sync.Mutex
	value   string
	version int
	fence   signalbox.Token
	last    signalbox.ActionID
	known   map[signalbox.ActionID]bool
	effects []effect
	tries   map[signalbox.ActionID]int // requests that came

	down bool // nothing is reached
	deaf bool // requests are taken, answers are lost
	slow bool // requests take as long as latency
}

// latency is the greatest that a switch of class C says it has, and keeps.
const latency = 20 * time.Second

func (p *points) target() signalbox.Target { return signalbox.Target("points " + p.name) }

func (p *points) preview(s signalbox.Step) (signalbox.Forecast, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return signalbox.Forecast{}, errDown
	}
	undo := s
	undo.To = p.value
	f := signalbox.Forecast{
		Class: p.class, Targets: []signalbox.Target{p.target()}, Found: p.value, Position: p.value, Version: fmt.Sprint(p.version),
		Already: p.value == s.To && s.To != "fresh", Undo: &undo, ByHand: "set " + p.name + " to " + p.value,
	}
	if p.class == signalbox.ClassC {
		f.Latency = signalbox.Duration(latency)
	}
	return f, nil
}

// chance is a fraction that follows from the seed and from what is asked, and
// how often, so that it does not depend on the order of what happens at once.
func (p *points) chance(a *signalbox.Action, what string, try int) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %d", p.s.o.Seed, what, a.ID, try)
	return float64(h.Sum64()>>11) / (1 << 53)
}

func (p *points) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	term := p.s.term.Load()
	p.mu.Lock()
	p.tries[a.ID]++
	try := p.tries[a.ID]
	p.mu.Unlock()
	if p.chance(&a, "pause", try) < 0.1 { // before the gate is asked
		time.Sleep(time.Duration(p.chance(&a, "long", try) * float64(3*time.Second))) //nolint:forbidigo // bubble time
	}
	if p.chance(&a, "door", try) < 0.02 {
		p.s.atDoor(p.chance(&a, "what", try))
	}
	r, err := p.reach(&a, term, try)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	done := make(chan error, 1)
	p.s.onTheWay.Go(func() { // what is on its way arrives, whatever becomes of its sender
		time.Sleep(r.lag) //nolint:forbidigo // bubble time
		done <- p.take(&a, r.version)
	})
	if r.deaf {
		return signalbox.Receipt{}, errors.New("answer lost")
	}
	select {
	case err := <-done:
		return signalbox.Receipt{At: time.Now()}, err
	case <-ctx.Done():
		return signalbox.Receipt{}, ctx.Err()
	}
}

// request is one that reached its switch.
type request struct {
	version int           // that it found
	lag     time.Duration // until its effect
	deaf    bool          // its answer is lost
}

// reach asks the gate and reaches the switch, where the oracle looks at it.
// Lease, kill file and controls stand still from the one to the other: they
// could change in the same moment of virtual time, of which nobody can say
// whether it is before or after.
func (p *points) reach(a *signalbox.Action, term int64, try int) (r request, err error) {
	p.s.door.RLock()
	defer p.s.door.RUnlock()
	if err := a.Gate(); err != nil {
		return r, &signalbox.Failure{Reason: "not started", Err: err}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return r, errDown
	}
	p.s.oracle.sent(p, a, p.s.term.Load() == term)
	r.version, r.deaf = p.version, p.deaf || p.chance(a, "deaf", try) < 0.04
	if p.slow || p.chance(a, "slow", try) < 0.1 {
		r.lag = time.Duration(p.chance(a, "lag", try) * float64(latency))
	}
	return r, nil
}

// take is the effect, if the class allows it.
func (p *points) take(a *signalbox.Action, version int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.class {
	case signalbox.ClassA:
		if p.version != version || p.fence > a.Token {
			return &signalbox.Failure{Reason: "the target has moved on"}
		}
		p.fence = a.Token
	case signalbox.ClassB:
		if p.known[a.ID] {
			return nil
		}
		p.known[a.ID] = true
	case signalbox.ClassC, signalbox.ClassD:
	}
	p.version++
	p.value, p.last = a.Step.To, a.ID
	e := effect{id: a.ID, to: a.Step.To, at: time.Now(), claimed: a.ClaimedAt, back: a.Undoes != "", policy: a.Policy, class: p.class, token: a.Token}
	p.s.oracle.took(p, a, e)
	p.effects = append(p.effects, e)
	p.s.co.mu.Lock()
	p.s.co.thrown(p.name, p.value)
	p.s.co.mu.Unlock()
	return nil
}

func (p *points) probe(a signalbox.Action) (signalbox.Progress, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: time.Now()}}
	switch {
	case p.down:
		return signalbox.Progress{}, errDown
	case p.last == a.ID || p.known[a.ID]:
		return done, nil
	case p.class == signalbox.ClassA && (a.Sealed == 0 || p.fence < a.Sealed):
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "not sealed"}, nil
	case p.class == signalbox.ClassC && p.value == a.Step.To:
		return done, nil
	}
	return signalbox.Progress{Phase: signalbox.NotStarted, Reason: "nothing of it is there"}, nil
}

func (p *points) seal(a signalbox.Action, tok signalbox.Token) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	if p.last != a.ID && p.fence < tok {
		p.fence = tok
		p.version++
	}
	return nil
}

// byHand is a person's throw.
func (p *points) byHand(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value, p.last = to, ""
	p.version++
	p.s.co.mu.Lock()
	p.s.co.thrown(p.name, to)
	p.s.co.mu.Unlock()
}
