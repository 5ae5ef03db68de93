package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// Bounds of when an action can still have an effect: the longest after its
// claim that a Start is believed to send, and how long the API server may take
// with a request that it got.
const (
	sendBound = time.Minute
	latency   = 30 * time.Second
)

// remediator replaces credentials. It keeps connections, and no state of
// actions; it is safe for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var (
	_ signalbox.Remediator = (*remediator)(nil)
	_ signalbox.Sealer     = (*remediator)(nil)
)

// credential is one kind of credential. An error of it is a *signalbox.Failure
// where the answer is definite and nothing was written.
type credential interface {
	moves() []string
	// look fills in what the move would find and do. It only reads.
	look(ctx context.Context, move string, f *signalbox.Forecast) error
	// mine reports that the action's write is there already.
	mine(ctx context.Context, a signalbox.Action) (string, bool, error)
	// write does the move that was just looked at.
	write(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error)
	probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error)
}

// open resolves a step.
func (r *remediator) open(ctx context.Context, s signalbox.Step) (credential, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	c, err := r.dial(ctx, sp)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	if !slices.Contains(c.moves(), s.To) {
		return nil, reach.Refused("tool %q: %q is not one of %v", s.Name, s.To, c.moves())
	}
	return c, nil
}

func (r *remediator) dial(ctx context.Context, sp spec) (credential, error) {
	if sp.AWS != nil {
		return newAWS(ctx, *sp.AWS, r.now)
	}
	k, err := r.clients.Cluster(cluster.Access{Kubeconfig: sp.Kubeconfig, InCluster: sp.InCluster})
	if err != nil {
		return nil, err
	}
	a, err := newAPI(k, sp.Namespace)
	if err != nil {
		return nil, err
	}
	if sp.Sealed != nil {
		return &sealed{api: a, spec: sp, now: r.now}, nil
	}
	return &token{api: a, spec: sp, now: r.now}, nil
}

// Preview reads what the move depends on. What the API server answers for sure
// is Refused; when it can't be seen, that is an error.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	c, err := r.open(ctx, s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	f, err := r.look(ctx, c, s)
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	return f, nil
}

func (r *remediator) look(ctx context.Context, c credential, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{At: r.now()}
	err := c.look(ctx, s.To, &f)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused, f.Already, err = failure.Error(), false, nil
	}
	if f.NeedsApproval == "" {
		f.NeedsApproval = "a credential is replaced or taken away: what was not seen to use it stops working"
	}
	return f, err
}

// Start does the move, if what it finds is what the forecast found. An error is
// a *signalbox.Failure unless the answer to a write was lost, or an earlier
// Start of the action may still come through.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	receipt, err := r.start(ctx, a)
	return receipt, fence.InDoubt(a, err)
}

func (r *remediator) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	c, err := r.open(ctx, a.Step)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	if detail, done, err := c.mine(ctx, a); err != nil {
		return signalbox.Receipt{}, reach.Unsent(err)
	} else if done {
		return signalbox.Receipt{At: r.now(), Detail: detail}, nil
	}
	f, err := r.look(ctx, c, a.Step)
	switch {
	case err != nil:
		return signalbox.Receipt{}, reach.Unsent(err)
	case f.Refused != "":
		return signalbox.Receipt{}, reach.Refused("tool %q: %s", a.Step.Name, f.Refused)
	case f.Already:
		return signalbox.Receipt{At: r.now(), Detail: f.Found + ": nothing was written"}, nil
	case f.Version != a.Forecast.Version:
		return signalbox.Receipt{}, reach.Refused("tool %q: it changed since the preview: it was %s, now it is %s", a.Step.Name, reach.Shown(a.Forecast.Version), reach.Shown(f.Version))
	}
	receipt, err := c.write(ctx, a)
	if errors.Is(err, reach.ErrConflict) {
		return signalbox.Receipt{}, reach.Refused("tool %q: %v", a.Step.Name, err)
	}
	return receipt, err
}

// Probe reads what became of an action.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	c, err := r.open(ctx, a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	p, err := c.probe(ctx, a)
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	return p, nil
}

// Seal puts token t on a SealedSecret, so that a write of a that is still under
// way is refused. Other credentials are not of class A.
func (r *remediator) Seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	c, err := r.open(ctx, a.Step)
	if err != nil {
		return err
	}
	s, ok := c.(*sealed)
	if !ok {
		return fmt.Errorf("tool %q: can't be sealed (class %s)", a.Step.Name, a.Forecast.Class)
	}
	if err := s.seal(ctx, a, t); err != nil {
		return fmt.Errorf("tool %q: %w", a.Step.Name, err)
	}
	return nil
}

// fingerprint names a value without telling it.
func fingerprint(label string, value []byte) string {
	sum := sha256.Sum256(value)
	return label + " sha256:" + hex.EncodeToString(sum[:4])
}

// late reports that nothing which a sent can still arrive.
func late(now time.Time, a signalbox.Action) bool {
	return !now.Before(a.ClaimedAt.Add(sendBound + latency))
}

func phase(p signalbox.Phase, format string, args ...any) signalbox.Progress {
	return signalbox.Progress{Phase: p, Reason: fmt.Sprintf(format, args...)}
}

func succeeded(at time.Time, format string, args ...any) signalbox.Progress {
	return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: signalbox.Receipt{At: at, Detail: fmt.Sprintf(format, args...)}}
}
