package share

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/rpc"
	"sync"
	"sync/atomic"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// link is the connection to one other replica, made again when it breaks.
type link struct {
	s      *Share
	to     peer
	stop   context.CancelFunc
	ended  sync.WaitGroup
	client atomic.Pointer[rpc.Client] // nil: not connected
	clocks clocks                     // of sources, as it saw them, against this replica's clock
}

// Times of a link. A replica that does not answer a ping in time is taken for
// stopped.
const (
	dialWait  = 3 * time.Second
	pingEvery = 500 * time.Millisecond
	pingWait  = time.Second
	firstWait = 500 * time.Millisecond
	mostWait  = 5 * time.Second
)

func (s *Share) newLink(ctx context.Context, to peer) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{s: s, to: to, stop: cancel}
	l.ended.Go(func() { l.run(ctx) })
	return l
}

// end closes the connection; what waits for it fails at once.
func (l *link) end() {
	l.stop()
	l.ended.Wait()
}

func (l *link) run(ctx context.Context) {
	pause := firstWait
	for ctx.Err() == nil {
		if client, err := l.dial(ctx); err != nil {
			l.s.o.Log.Debug("a replica does not answer", "replica", l.to.Replica, "address", l.to.Address, "error", err)
		} else {
			pause = firstWait
			l.client.Store(client)
			l.s.count()
			l.s.o.Log.Info("the asking is shared", "with", l.to.Replica)
			err := l.watch(ctx, client)
			l.client.Store(nil)
			_ = client.Close()
			l.s.count()
			if ctx.Err() == nil {
				l.s.o.Log.Warn("the asking is not shared", "with", l.to.Replica, "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, mostWait)
	}
}

func (l *link) dial(ctx context.Context) (*rpc.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{}, Config: l.s.id.client(l.to.Print)}
	conn, err := d.DialContext(ctx, "tcp", l.to.Address)
	if err != nil {
		return nil, err
	}
	return rpc.NewClient(conn), nil
}

// errSilent: the replica did not answer a ping.
var errSilent = errors.New("it answers no ping")

// watch pings until that fails, or ctx ends.
func (l *link) watch(ctx context.Context, client *rpc.Client) error {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, pingWait)
		err := call(within, client, "Asker.Ping", &Ping{}, &Ping{})
		cancel()
		if err != nil {
			return errors.Join(errSilent, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// call waits for an answer, or until ctx ends. To send may block for as long as
// the other end does not read, so it is done beside.
func call(ctx context.Context, client *rpc.Client, method string, args, reply any) error {
	done := make(chan error, 1)
	go func() { done <- client.Call(method, args, reply) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errAway: the replica is not connected.
var errAway = errors.New("the replica is not connected")

// ask has questions to one source asked by the replica, of the moment at. With
// an error there is no answer to any of them.
func (l *link) ask(ctx context.Context, source string, qs []signalbox.Question, at time.Time) ([]signalbox.Answer, error) {
	client := l.client.Load()
	if client == nil {
		return nil, errAway
	}
	req := &Request{Config: l.s.o.Config(), Source: source, At: at, Within: mostWithin, Questions: make([]Question, len(qs))}
	if deadline, ok := ctx.Deadline(); ok {
		req.Within = time.Until(deadline)
	}
	for i, q := range qs {
		req.Questions[i] = Question{Query: q.Query, From: q.From}
	}
	sent := l.s.o.Now()
	rep := &Reply{}
	if err := call(ctx, client, "Asker.Ask", req, rep); err != nil {
		return nil, err
	}
	answers, err := rep.answers(qs)
	if err == nil && rep.SkewKnown {
		l.clocks.saw(source, rep.Skew+offset(sent, l.s.o.Now(), rep.Now), l.s.o.Now())
	}
	return answers, err
}

// offset is how far another's clock is ahead of ours: it was read at some moment
// between two of ours.
func offset(sent, got, theirs time.Time) time.Duration {
	return theirs.Sub(sent.Add(got.Sub(sent) / 2))
}

// ready are the links over which questions can go now.
func (s *Share) ready() []*link {
	among := *s.among.Load()
	ready := make([]*link, 0, len(among))
	for _, l := range among {
		if l.client.Load() != nil {
			ready = append(ready, l)
		}
	}
	return ready
}

func (s *Share) count() { s.metrics.replicas.Set(float64(len(s.ready()) + 1)) }
