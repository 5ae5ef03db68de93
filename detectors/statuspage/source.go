package statuspage

import (
	"context"
	"errors"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// question is the one thing that is asked of a page.
const question = "summary"

// Source reads one page. It implements signalbox.Source and signalbox.Clock,
// and is safe for concurrent use. Its errors hold no credentials and no address.
type Source struct {
	client  *httpclient.Client
	page    *httpclient.Polite[*summary]
	timeout time.Duration
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	client, err := httpclient.New(name, s.URL, s.HTTP, env)
	if err != nil {
		return nil, err
	}
	page := httpclient.NewPolite(client, httpclient.PoliteOptions[*summary]{Every: s.Refresh.Std(), Decode: readSummary})
	return &Source{client: client, page: page, timeout: s.Timeout.Std()}, nil
}

// Origin names who measures: those who run the page.
func (s *Source) Origin() string { return "statuspage:" + s.client.Base().Host }

// Skew is how far the page's clock was ahead of ours in its last answer.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// Ask reads the page, at most once in the source's refresh: between, what was
// read last is the answer, with the time at which it was. After an answer that
// says to wait, nothing is asked until then, and the answers are errors.
func (s *Source) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	read, seen, err := s.page.Get(ctx, "api/v2/summary.json", nil)
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at}
		switch {
		case q.Query != question:
			answers[i].Err = errors.New("a status page is asked for its summary only")
		case err != nil:
			answers[i].Err = err
		default:
			answers[i].Samples = read.samples(seen, s.client.Redact)
		}
	}
	return answers
}
