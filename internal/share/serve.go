package share

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Ping asks whether the replica lives, and answers that.
type Ping struct{}

// Question is a signalbox.Question of a Request's source.
type Question struct {
	Query string
	From  time.Time
}

// Request is what a replica has asked of one source.
type Request struct {
	Config    string // hash of the configuration that both must have
	Source    string
	At        time.Time // what moment they are about
	Within    time.Duration
	Questions []Question
}

// Answer is a signalbox.Answer, in its words.
type Answer struct {
	At       time.Time
	Samples  []signalbox.Sample
	Warnings []string
	Err      string
}

// Reply holds an Answer to each Question, in their order.
type Reply struct {
	Answers   []Answer
	Now       time.Time     // of the clock of who answers
	Skew      time.Duration // of the source's clock, ahead of Now
	SkewKnown bool
}

// answers are the reply's, to the questions that were asked.
func (r *Reply) answers(qs []signalbox.Question) ([]signalbox.Answer, error) {
	if len(r.Answers) != len(qs) {
		return nil, fmt.Errorf("%d answers came to %d questions", len(r.Answers), len(qs))
	}
	out := make([]signalbox.Answer, len(qs))
	for i, a := range r.Answers {
		out[i] = signalbox.Answer{Question: qs[i], At: a.At, Samples: a.Samples, Warnings: a.Warnings}
		if a.Err != "" {
			out[i].Err = errors.New(a.Err)
		}
	}
	return out, nil
}

// Times of who is connected to. A connection of which nothing comes for longer
// than silent is dead: a living one brings pings.
const (
	handshakeWait = 5 * time.Second
	silent        = 30 * time.Second
	mostWithin    = time.Minute // that a question may take
)

// errStops: this replica stops, and answers no more.
var errStops = errors.New("this replica stops")

// Asker is what other replicas call.
type Asker struct {
	s   *Share
	ctx context.Context
}

// Ping answers.
func (a *Asker) Ping(*Ping, *Ping) error { return nil }

// Ask asks a source of this replica what another wants to know. It refuses what
// belongs to another configuration than the one in force here.
func (a *Asker) Ask(req *Request, rep *Reply) error {
	if has := a.s.o.Config(); req.Config != has {
		return fmt.Errorf("the configuration here is another: %.12s, not %.12s", has, req.Config)
	}
	source, ok := a.s.o.Source(req.Source)
	if !ok {
		return fmt.Errorf("there is no source %q here that can be asked", req.Source)
	}
	qs := make([]signalbox.Question, len(req.Questions))
	for i, q := range req.Questions {
		qs[i] = signalbox.Question{Source: req.Source, Query: q.Query, From: q.From}
	}
	ctx, cancel := context.WithTimeout(a.ctx, min(req.Within, mostWithin))
	defer cancel()
	answers := source.Ask(ctx, qs, req.At)
	if a.ctx.Err() != nil { // what was not answered for that is no word of the source's
		return errStops
	}
	rep.Answers = make([]Answer, len(answers))
	for i, got := range answers {
		rep.Answers[i] = Answer{At: got.At, Samples: got.Samples, Warnings: got.Warnings}
		if got.Err != nil {
			rep.Answers[i].Err = got.Err.Error()
		}
	}
	if c, ok := source.(signalbox.Clock); ok {
		rep.Skew, rep.SkewKnown = c.Skew()
	}
	rep.Now = a.s.o.Now()
	a.s.metrics.served.Add(float64(len(qs)))
	return nil
}

// serve answers other replicas until ctx ends.
func (s *Share) serve(ctx context.Context) error {
	server := rpc.NewServer()
	if err := server.Register(&Asker{s: s, ctx: ctx}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.at.Listener.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	config := s.id.server(func(print string) bool { return s.known(ctx, print) })
	for {
		conn, err := s.accept(ctx)
		if err != nil {
			return err
		}
		conns.Go(func() { s.answer(ctx, server, tls.Server(&living{Conn: conn}, config)) })
	}
}

// Pauses after a connection that could not be taken.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// accept waits for the next connection. One that can't be taken (out of file
// descriptors, for one) is no reason to take none ever again: an error is that
// of ctx, or of a listener that was closed.
func (s *Share) accept(ctx context.Context) (net.Conn, error) {
	for pause := firstAcceptPause; ; pause = min(2*pause, lastAcceptPause) {
		conn, err := s.at.Listener.Accept()
		if err == nil || ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		s.o.Log.Warn("no connection to share the asking can be taken", "error", err, "again_in", pause)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// answer serves one connection until it ends, or ctx does.
func (s *Share) answer(ctx context.Context, server *rpc.Server, conn *tls.Conn) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	within, cancel := context.WithTimeout(ctx, handshakeWait)
	err := conn.HandshakeContext(within)
	cancel()
	if err != nil {
		s.o.Log.Warn("a connection to share the asking is refused", "from", conn.RemoteAddr().String(), "error", err)
		return
	}
	server.ServeConn(conn)
}

// living is a connection that ends when nothing comes for long.
type living struct{ net.Conn }

func (c *living) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silent)); err != nil { //nolint:forbidigo // a deadline of the operating system's
		return 0, err
	}
	return c.Conn.Read(p)
}
