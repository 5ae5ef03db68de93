package detectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// careless is a kind that does it all wrong: it takes whatever can be read for
// health, tells all that it is told, gives its credentials to everybody, and
// has no deadline.
func careless() asked {
	well := func(_ *http.Request, text string) any { return map[string]any{"well": text} }
	return asked{kind: "careless", source: "token_file: secrets/one", detector: "subject: x", well: well, requests: 1, patience: 500 * time.Millisecond}
}

func carelessKind() kind.Source {
	return kind.Source{
		Name:     "careless",
		Settings: func() kind.Settings { return &carelessSettings{} },
		Detector: func() kind.DetectorSettings { return &carelessDetector{} },
		Open: func(_ string, s kind.Settings, env kind.Env) (any, error) {
			set := s.(*carelessSettings)
			token, err := os.ReadFile(filepath.Join(env.ConfigDir, set.TokenFile))
			return &carelessSource{set.URL, string(token)}, err
		},
	}
}

type carelessSettings struct {
	URL       string        `yaml:"url"`
	Timeout   kind.Duration `yaml:"timeout,omitempty"`
	TokenFile string        `yaml:"token_file"`
	Nonsense  int           `yaml:"nonsense,omitempty"` // it takes what it does not know
}

func (*carelessSettings) Validate(kind.Fail) {}

type carelessDetector struct {
	Nonsense int `yaml:"nonsense,omitempty"`
}

func (*carelessDetector) Validate(kind.Fail) {}

func (*carelessDetector) Unit() signalbox.Unit { return signalbox.Number }

func (d *carelessDetector) Build(kind.Common, any) (signalbox.Detector, track.Timing, error) {
	return d, track.Timing{}, nil
}

func (*carelessDetector) Questions() []signalbox.Question { return []signalbox.Question{{}} }

func (*carelessDetector) Judge(answers []signalbox.Answer, _ map[string]signalbox.Reading, _ time.Time) []signalbox.Reading {
	r := signalbox.Reading{Series: "a", Condition: signalbox.Clear, HasValue: true}
	if answers[0].Err != nil {
		r.Condition, r.Summary = signalbox.Breached, answers[0].Err.Error()
	}
	return []signalbox.Reading{r}
}

type carelessSource struct{ url, token string }

func (s *carelessSource) Ask(_ context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	a := signalbox.Answer{Question: qs[0], At: at}
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		r.Header.Set("Authorization", "Bearer "+s.token)
		return nil
	}}
	req, _ := http.NewRequest(http.MethodGet, s.url, nil)
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := client.Do(req)
	if err != nil {
		a.Err = err
		return []signalbox.Answer{a}
	}
	defer resp.Body.Close()
	var body any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		rest, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		a.Err = fmt.Errorf("%w: %v %s", err, resp.Header, rest)
	}
	if text := strings.ToLower(fmt.Sprint(body)); strings.Contains(text, "hunter") {
		a.Err = fmt.Errorf("it says %v", body)
	}
	return []signalbox.Answer{a}
}
