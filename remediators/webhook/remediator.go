package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// Kind is this package's line in the table of remediators.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "webhook",
		Keyword: "webhook",
		Tools: map[string]kind.Tool{
			"webhook": {Settings: func() kind.Settings { return newSettings() }, About: true},
		},
		Spec: resolve,
		Open: open,
	}
}

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("webhook: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}

// remediator sends requests. It keeps no state of actions; it is safe for
// concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var _ signalbox.Remediator = (*remediator)(nil)

// request is a step made ready to send.
type request struct {
	*spec
	to     *url.URL
	body   []byte
	key    []byte // of the signature; nil: none
	client *http.Client
}

// prepare resolves a step, and reads what it needs of this machine.
func (r *remediator) prepare(s *signalbox.Step) (*request, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("tool %q: %v", s.Name, err)
	}
	q := &request{spec: sp}
	refused := func(err error) (*request, error) { return q, reach.Refused("tool %q: %v", s.Name, err) }
	if q.to, err = sp.address(); err != nil {
		return refused(err)
	}
	if q.body, err = sp.fill(s.About); err != nil {
		return refused(err)
	}
	if sp.Signature != nil {
		if q.key, err = secret(sp.Signature.KeyFile); err != nil {
			return refused(fmt.Errorf("signature.key_file: %w", err))
		}
	}
	if q.client, err = r.clients.Guarded(sp.Client, reach.Guard{Networks: sp.Networks}); err != nil {
		return refused(err)
	}
	return q, nil
}

// class is B where the server knows a request that it has had.
func (s *spec) class() signalbox.Class {
	if s.Key != "" {
		return signalbox.ClassB
	}
	return signalbox.ClassD
}

// Preview fills the body in and resolves the name. It sends the target nothing.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	q, err := r.prepare(&s)
	if q == nil {
		return signalbox.Forecast{}, err
	}
	f := signalbox.Forecast{
		At: r.now(), Class: q.class(), Targets: []signalbox.Target{signalbox.Target(q.target(s.Name))},
		Found: "what it does can't be read, before or after",
	}
	if q.Approval {
		f.NeedsApproval = "the tool " + s.Name + " has approval: required"
	}
	if err != nil {
		var failure *signalbox.Failure
		errors.As(err, &failure)
		f.Refused = failure.Error()
		return f, nil
	}
	f.Reach = fmt.Sprintf("%s %s, with %d bytes of %s", q.Method, q.shown(q.to), len(q.body), q.ContentType)
	err = reach.Guard{Networks: q.Networks}.Host(ctx, q.to.Hostname())
	var barred *reach.Barred
	if errors.As(err, &barred) {
		f.Refused = fmt.Sprintf("tool %q: %v", s.Name, barred)
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	return f, nil
}

// Start sends the request once; with a key again, while the server keeps it.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	again := a.Stage == signalbox.Started || a.Stage == signalbox.Doubt
	q, err := r.prepare(&a.Step)
	switch {
	case err != nil:
		return signalbox.Receipt{}, once(again, err)
	case again && q.Key == "":
		return signalbox.Receipt{}, errors.New("it may have been sent before, and is not sent twice: the server knows no key")
	case again && !r.kept(q, &a):
		return signalbox.Receipt{}, fmt.Errorf("it may have been sent before, and the server keeps the key for %s only", q.Retains.Std())
	}
	req, connected, err := q.make(ctx, &a, r.now())
	if err != nil {
		return signalbox.Receipt{}, once(again, reach.Unsent(err))
	}
	if err := reach.Pass(ctx, a.Gate); err != nil {
		return signalbox.Receipt{}, once(again, err)
	}
	resp, err := q.client.Do(req)
	if err != nil {
		text := fmt.Errorf("%s %s: %w", q.Method, q.shown(q.to), reach.Unanswered(ctx, err))
		if !connected.Load() {
			return signalbox.Receipt{}, once(again, &signalbox.Failure{Reason: "nothing was sent", Err: text})
		}
		return signalbox.Receipt{}, text
	}
	resp.Body.Close() // the status tells all; what a body says is not repeated
	receipt, err := q.judge(resp, r.now())
	return receipt, once(again, err)
}

// kept reports whether the server still has the key of an action that was claimed
// before it was first sent.
func (r *remediator) kept(q *request, a *signalbox.Action) bool {
	return !r.now().After(a.ClaimedAt.Add(q.Retains.Std() - reach.CallTimeout))
}

// once takes the certainty from a failure of a second attempt: what became of the
// first one it does not say.
func once(again bool, err error) error {
	var failure *signalbox.Failure
	if again && errors.As(err, &failure) {
		return fmt.Errorf("sent again: %s; what came of the first request is not known", failure.Error())
	}
	return err
}

// make builds the request, and tells whether it ever had a connection.
func (q *request) make(ctx context.Context, a *signalbox.Action, now time.Time) (*http.Request, *atomic.Bool, error) {
	connected := new(atomic.Bool)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, q.Method, q.to.String(), bytes.NewReader(q.body))
	if err != nil {
		return nil, nil, errors.New("the request can't be made")
	}
	if len(q.body) > 0 {
		req.Header.Set("Content-Type", q.ContentType)
	}
	if q.Key != "" {
		req.Header.Set(q.Key, string(a.ID))
	}
	if g := q.Signature; g != nil {
		stamp := ""
		if g.Timestamp != "" {
			stamp = strconv.FormatInt(now.Unix(), 10)
			req.Header.Set(g.Timestamp, stamp)
		}
		req.Header.Set(g.Header, g.Prefix+sign(q.key, q.body, stamp))
	}
	return req, connected, nil
}

// Probe writes nothing, and knows nothing: the answer to the request was all.
func (r *remediator) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	return signalbox.Progress{
		Phase:  signalbox.InDoubt,
		Reason: "what a webhook did can't be read back: look at the target of " + a.Step.Name + ", and settle it",
	}, nil
}
