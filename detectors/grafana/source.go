package grafana

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// maxConcurrent bounds the requests for values under way, over all callers.
const maxConcurrent = 8

// Source asks one Grafana. It implements signalbox.Source, signalbox.Clock and
// kind.Annotator, and is safe for concurrent use. Its errors hold neither
// credentials nor addresses.
type Source struct {
	name    string
	timeout time.Duration // of one request
	client  *httpclient.Client
	now     func() time.Time
	log     *slog.Logger
	slots   chan struct{}
	books   *books
	memory  *memory
	writing chan struct{} // held while an annotation is looked for and written
	*post                 // takes alerts

	mu     sync.Mutex
	boards map[string]reference // the panel of each detector, by its name
}

func open(name string, s *Settings, env kind.Env) (*Source, error) {
	client, err := httpclient.New(name, s.URL, s.client(), env)
	if err != nil {
		return nil, err
	}
	return newSource(name, s, client, env), nil
}

func newSource(name string, s *Settings, client *httpclient.Client, env kind.Env) *Source {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Source{
		name: name, timeout: s.Timeout.Std(), client: client, now: env.Now, log: log.With("source", name),
		slots: make(chan struct{}, maxConcurrent), books: newBooks(client, s.Refresh.Std()),
		memory: &memory{panels: map[string]*known{}}, writing: make(chan struct{}, 1), boards: map[string]reference{},
		post: newPost(name, s.AlertSettings, s.OrgID, s.Timeout.Std(), client, env),
	}
}

// belongs says which panel is a detector's.
func (s *Source) belongs(detector string, ref reference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boards[detector] = ref
}

// detectorsOf names the detectors that ask a question, for the log.
func (s *Source) detectorsOf(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, ref := range s.boards {
		if ref.encode() == key {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Skew is how far Grafana's clock is ahead of ours; false: not known.
func (s *Source) Skew() (time.Duration, bool) { return s.client.Skew() }

// panelLink is where people see the panel, with the variables that the detector
// gives.
func (s *Source) panelLink(at spot, variables url.Values, title string) signalbox.Link {
	u := s.client.Base().JoinPath("d", url.PathEscape(at.dashboard))
	query := url.Values{"viewPanel": {formatInt(at.panel)}}
	for name, values := range variables {
		query["var-"+name] = values
	}
	u.RawQuery = query.Encode()
	u.User = nil
	return signalbox.Link{Text: httpclient.Plain(title, 120), Href: u.String()}
}
