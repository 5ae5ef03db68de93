package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxWords bounds, in bytes, what is kept of who made a silence, and why.
const maxWords = 200

// silence is what API v2 says of one.
type silence struct {
	ID     string `json:"id"`
	Status struct {
		State string `json:"state"`
	} `json:"status"`
	Matchers  []matcher `json:"matchers"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
}

// matcher is one of its conditions on labels.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual"` // absent: it is; versions before 0.22 know no other
}

// Silences reads the silences that are in force from API v2. A silence that
// can't be understood is an error: nothing is known then of what it holds.
func (s *Source) Silences(ctx context.Context) ([]signalbox.Silence, error) {
	if s.base == nil {
		return nil, fmt.Errorf("source %q: %w", s.name, ErrNoAPI)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, _, err := s.get(ctx, "silences", url.Values{"active": {"true"}, "expired": {"false"}, "pending": {"false"}})
	if err != nil {
		return nil, err
	}
	var all []silence
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, s.wrap("silences", errors.New("the answer is not a list of silences"))
	}
	if all == nil {
		return nil, s.wrap("silences", errors.New("the answer must be a list, got null"))
	}
	list := make([]signalbox.Silence, 0, len(all))
	for i := range all {
		if all[i].Status.State != "active" { // versions before 0.28 give all
			continue
		}
		one, err := all[i].read()
		if err != nil {
			return nil, s.wrap("silences", fmt.Errorf("[%d]: %w", i, err))
		}
		list = append(list, one)
	}
	return list, nil
}

func (s *silence) read() (signalbox.Silence, error) {
	out := signalbox.Silence{
		ID: httpclient.Plain(s.ID, maxWords), Until: s.EndsAt,
		Who: httpclient.Plain(s.CreatedBy, maxWords), Comment: httpclient.Plain(s.Comment, maxWords),
	}
	switch {
	case s.ID == "":
		return out, errors.New("id: must be given")
	case s.EndsAt.IsZero():
		return out, errors.New("endsAt: must be given")
	case len(s.Matchers) == 0:
		return out, errors.New("matchers: must not be empty")
	}
	for i, m := range s.Matchers {
		matches, err := labels.NewMatcher(m.kind(), m.Name, m.Value)
		if err != nil || m.Name == "" {
			return out, fmt.Errorf("matchers[%d]: is no matcher of Alertmanager", i)
		}
		out.Matchers = append(out.Matchers, signalbox.Matcher{Name: m.Name, Matches: matches.Matches})
	}
	return out, nil
}

func (m *matcher) kind() labels.MatchType {
	equal := m.IsEqual == nil || *m.IsEqual
	switch {
	case m.IsRegex && equal:
		return labels.MatchRegexp
	case m.IsRegex:
		return labels.MatchNotRegexp
	case equal:
		return labels.MatchEqual
	}
	return labels.MatchNotEqual
}
