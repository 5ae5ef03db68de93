package outward

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/urlutil"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// LokiOptions is how a Loki is reached, and the stream that it gets.
type LokiOptions struct {
	Name    string // of the source
	URL     string // base address, below which its API is
	Tenant  string // X-Scope-OrgID; empty: none
	Timeout time.Duration
	HTTP    promconfig.HTTPClientConfig
	Labels  map[string]string // of the one stream; at least one
	Env     kind.Env
}

// Loki is a Sink over loki-client-go. See the package's doc for how it is used.
type Loki struct {
	o        LokiOptions
	config   loki.Config
	labels   model.LabelSet
	ask      *httpclient.Client
	outcomes *outcomes

	client *client
	ending chan struct{} // the client before still ends; nil: there is none
}

// The client sends a batch once it has waited for gathering, and looks for that
// every 10 ms. Handing a batch over takes less; grace is for a busy machine.
const (
	gathering = 100 * time.Millisecond
	grace     = 5 * time.Second
	looking   = 10 * time.Millisecond
)

// Where Loki takes lines, and where it is asked for them.
const (
	pushPath  = "/loki/api/v1/push"
	rangePath = "/loki/api/v1/query_range"
)

// NewLoki returns a Sink that is not connected yet. It reads the TLS files.
func NewLoki(o LokiOptions) (*Loki, error) {
	ask, err := httpclient.New(o.Name, o.URL, o.HTTP, o.Env)
	if err != nil {
		return nil, err
	}
	push := ask.Base().JoinPath(pushPath)
	seen, err := newOutcomes(push.Host)
	if err != nil {
		return nil, err
	}
	l := &Loki{o: o, labels: model.LabelSet{}, ask: ask, outcomes: seen}
	for name, value := range o.Labels {
		l.labels[model.LabelName(name)] = model.LabelValue(value)
	}
	l.config = loki.Config{
		URL: urlutil.URLValue{URL: push}, TenantID: o.Tenant, Timeout: o.Timeout, Client: httpclient.Clone(o.HTTP),
		BatchWait: gathering, BatchSize: 64 * batchBytes,
		// One try: a batch that failed is ours to try again.
		BackoffConfig: backoff.BackoffConfig{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, MaxRetries: 1},
	}
	l.config.Client.SetDirectory(o.Env.ConfigDir)
	l.config.Client.FollowRedirects = false
	return l, nil
}

// client is one client of the library, and what it says.
type client struct {
	*loki.Client
	said   *said
	handed chan struct{} // closed once the last batch was handed over
}

// connected returns the client. One that was given up must have ended before:
// the outcomes are counted by host.
func (l *Loki) connected(ctx context.Context) (*client, error) {
	if l.ending != nil {
		select {
		case <-l.ending:
			l.ending = nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if l.client != nil {
		return l.client, nil
	}
	c := &client{said: &said{}}
	var err error
	if c.Client, err = loki.NewWithLogger(l.config, c.said); err != nil {
		return nil, httpclient.Explain(err)
	}
	l.client = c
	return c, nil
}

// Push implements Sink.
func (l *Loki) Push(ctx context.Context, lines []Line) error {
	c, err := l.connected(ctx)
	if err != nil {
		return err
	}
	c.said.forget()
	before := l.outcomes.now()
	c.handed = make(chan struct{})
	go func() {
		defer close(c.handed)
		for _, line := range lines {
			_ = c.Handle(l.labels, line.At, line.Text) // never an error, only late
		}
	}()
	last := time.NewTimer(l.o.Timeout + gathering + grace)
	defer last.Stop()
	look := time.NewTicker(looking)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if seen := l.outcomes.now().since(before); seen.sent+seen.dropped >= len(lines) {
				return l.judge(seen, c.said)
			}
		case <-last.C:
			l.giveUp()
			return errors.New("the client did not say what came of a batch")
		case <-ctx.Done():
			l.giveUp()
			return ctx.Err()
		}
	}
}

// judge tells what came of a batch, all of which was sent or dropped. Loki
// acknowledges with 204 alone.
func (l *Loki) judge(seen counts, said *said) error {
	if seen.dropped == 0 && seen.status[http.StatusNoContent] > 0 {
		return nil
	}
	status, err := said.last()
	if seen.dropped == 0 {
		for code := range seen.status {
			status = max(status, code)
		}
		switch status {
		case statusBlocked:
			return errors.New("HTTP 260: the tenant is blocked")
		default:
			return errors.New("it answered with success, but not with 204 as Loki's push API does")
		}
	}
	if status <= 0 {
		return httpclient.Explain(err)
	}
	answer := &httpclient.Error{Status: status}
	for _, known := range []struct {
		reasons []string
		ofLines bool
	}{{lineReasons, true}, {streamReasons, false}} {
		if answer.What = why(err, known.reasons); answer.What != "" && status == http.StatusBadRequest {
			if known.ofLines {
				return &Refused{answer}
			}
			return answer
		}
	}
	if status == http.StatusRequestEntityTooLarge {
		return &Refused{answer}
	}
	return answer
}

// What Loki says when it answers 400: of lines, which others of their batch may
// not share, and of the stream, which a person must repair. See
// pkg/validation/validate.go and pkg/chunkenc/interface.go of
// https://github.com/grafana/loki/tree/v3.7.8.
var (
	lineReasons   = []string{"max entry size", "timestamp too old", "timestamp too new", "too far behind", "out of order"}
	streamReasons = []string{
		"missing required labels", "at least one label pair is required", "error parsing labels", "label names; limit",
		"label name too long", "label value too long", "duplicate label name",
	}
)

// why finds in the client's error, which holds a line of the answer, what Loki
// says. The line itself is not repeated: it may echo what was sent.
func why(err error, reasons []string) string {
	text := strings.ToLower(err.Error())
	for _, reason := range reasons {
		if strings.Contains(text, reason) {
			return reason
		}
	}
	return ""
}

// giveUp leaves the client to end by itself: it does after what it is sending,
// and Handle would block for ever if it ended before all was handed over.
func (l *Loki) giveUp() {
	c, ended := l.client, make(chan struct{})
	l.client, l.ending = nil, ended
	go func() {
		defer close(ended)
		<-c.handed
		c.Stop()
	}()
}

// Close implements Sink. It waits for what is being sent, at most two times
// the timeout.
func (l *Loki) Close() {
	if l.client != nil {
		if l.client.handed == nil {
			l.client.Stop()
		} else {
			l.giveUp()
		}
		l.client = nil
	}
	if l.ending != nil {
		<-l.ending
	}
}

// Has implements Sink, by one query over the time of the lines.
func (l *Loki) Has(ctx context.Context, lines []Line) (map[uint64]bool, error) {
	from, to := lines[0].At, lines[0].At
	wanted := make(map[stamped]uint64, len(lines))
	for _, line := range lines {
		if line.At.Before(from) {
			from = line.At
		}
		if line.At.After(to) {
			to = line.At
		}
		wanted[stamped{strconv.FormatInt(line.At.UnixNano(), 10), line.Text}] = line.Seq
	}
	found, err := l.query(ctx, url.Values{
		"query": {selector(l.labels)}, "direction": {"forward"}, "limit": {strconv.Itoa(len(lines) + batchEntries)},
		"start": {strconv.FormatInt(from.UnixNano(), 10)}, "end": {strconv.FormatInt(to.UnixNano()+1, 10)}, // end is exclusive
	})
	if err != nil {
		return nil, err
	}
	has := map[uint64]bool{}
	for _, f := range found {
		if seq, ok := wanted[f]; ok {
			has[seq] = true
		}
	}
	return has, nil
}

// selector is the LogQL selector of exactly these labels.
func selector(labels model.LabelSet) string { return labels.String() }
