package detectors_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// spelled are the ways in which a text may hold a secret, in whole or in part.
func spelled() []string {
	list := []string{mark}
	for _, s := range []string{secretOne, secretTwo, "signalbox:" + secretOne} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(s))[:12])
	}
	return list
}

// told says which texts hold a secret.
func told(texts ...string) []string {
	var problems []string
	for _, text := range texts {
		for _, s := range spelled() {
			if i := strings.Index(text, s); i >= 0 {
				problems = append(problems, fmt.Sprintf("a secret is told: %.300q", text[max(0, i-80):]))
				break
			}
		}
	}
	return problems
}

// bySeries are the readings that a later look begins with.
func bySeries(readings []signalbox.Reading) map[string]signalbox.Reading {
	was := map[string]signalbox.Reading{}
	for _, r := range readings {
		if r.Series != "" {
			was[r.Series] = r
		}
	}
	return was
}

// unknown says what is wrong with readings that must all be Unknown, those of
// the known series among them.
func unknown(readings []signalbox.Reading, was map[string]signalbox.Reading, says string) []string {
	var problems []string
	there := map[string]bool{}
	for _, r := range readings {
		there[r.Series] = true
		switch {
		case r.Condition != signalbox.Unknown || r.HasValue:
			problems = append(problems, fmt.Sprintf("it is taken as known: %s, value %v (%s)", r.Condition, r.Value, r.Summary))
		case !regexp.MustCompile(says).MatchString(r.Reason) || len(r.Reason) > 1200 || strings.ContainsAny(r.Reason, "\n\r\x1b"):
			problems = append(problems, fmt.Sprintf("the reason %q must be one line that says %q", r.Reason, says))
		}
	}
	if len(readings) == 0 {
		problems = append(problems, "nothing is said")
	}
	for series := range was {
		if !there[series] && series != "present" {
			problems = append(problems, "nothing is said of series "+series+", which was known")
		}
	}
	return problems
}

// left says what still runs, once it had time to end.
func left(before goleak.Option, patience time.Duration) []string {
	var err error
	for end := time.Now().Add(patience); err == nil || time.Now().Before(end); {
		if err = goleak.Find(before); err == nil { // it tries for a while itself
			return nil
		}
	}
	return []string{"something is left running: " + err.Error()}
}

func (a asked) checkWell(t testing.TB, kinds []kind.Source) []string {
	s := a.serve(fault{echoes: true, serve: wellServed.serve})
	defer s.stop()
	l := a.open(t, kinds, s.URL, "10s")
	readings, errs, ended := l.within(t.Context(), nil)
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	if len(readings) == 0 {
		problems = append(problems, "nothing is said")
	}
	for _, r := range readings {
		if r.Condition != signalbox.Clear {
			problems = append(problems, fmt.Sprintf("a healthy server is %s (%s)", r.Condition, r.Reason))
		}
	}
	if n := s.count(); n > a.requests {
		problems = append(problems, fmt.Sprintf("%d requests were made, at most %d were expected", n, a.requests))
	}
	return problems
}

// known is what a look at a healthy server says.
func (a asked) known(t testing.TB, kinds []kind.Source) map[string]signalbox.Reading {
	s := a.serve(wellServed)
	defer s.stop()
	readings, _, _ := a.open(t, kinds, s.URL, "10s").within(t.Context(), nil)
	return bySeries(readings)
}

func (a asked) checkFault(t testing.TB, kinds []kind.Source, f fault) []string {
	was := a.known(t, kinds)
	s := a.serve(f)
	defer s.stop()
	l := a.open(t, kinds, s.URL, "10s")
	readings, errs, ended := l.within(t.Context(), was)
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, f.says)...)
	if n, most := s.count(), f.most*a.requests; n > most {
		problems = append(problems, fmt.Sprintf("%d requests were made, at most %d are allowed", n, most))
	}
	return problems
}

// end is how a look that hangs comes to its end.
type end struct {
	name    string
	timeout string // of the source
	begin   func(ctx context.Context, asked <-chan struct{}) (context.Context, context.CancelFunc)
}

func (a asked) checkHang(t testing.TB, kinds []kind.Source, f fault, e end) []string {
	was := a.known(t, kinds)
	s := a.serve(f)
	defer s.stop()
	l := a.open(t, kinds, s.URL, e.timeout)
	ctx, cancel := e.begin(t.Context(), s.asked)
	readings, errs, ended := l.within(ctx, was)
	cancel()
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, anyReason)...)
	return problems
}

func (a asked) checkRedirect(t testing.TB, kinds []kind.Source, code int, host string) []string {
	was := a.known(t, kinds)
	other := a.serve(wellServed)
	defer other.stop()
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	s := a.serve(fault{serve: func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		to := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: r.URL.Path, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", to.String())
		w.WriteHeader(code)
	}})
	defer s.stop()
	l := a.open(t, kinds, s.URL, "10s")
	readings, errs, ended := l.within(t.Context(), was)
	problems := told(slices.Concat(l.texts(readings, errs), other.all())...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, anyReason)...)
	return problems
}

// checkKeys puts a key that nobody knows into each mapping of the blocks.
func (a asked) checkKeys(t testing.TB, kinds []kind.Source) []string {
	source, detector := a.blocks("http://127.0.0.1:1", "10s")
	if _, err := load(t, kinds, source, detector); err != nil {
		return []string{"what is right is refused: " + err.Error()}
	}
	var problems []string
	tries := 0
	for i, block := range []string{source, detector} {
		for _, spoiled := range spoil(t, block) {
			tries++
			both := []string{source, detector}
			both[i] = spoiled
			if _, err := load(t, kinds, both[0], both[1]); err == nil || !strings.Contains(err.Error(), "nonsense") {
				problems = append(problems, fmt.Sprintf("an unknown key is not refused by its name (%v): %s", err, spoiled))
			}
		}
	}
	if tries < 2 {
		problems = append(problems, "no key was tried")
	}
	return problems
}

// spoil returns the block once for each mapping in it, with one more key there.
func spoil(t testing.TB, block string) []string {
	var spoiled []string
	var paths [][]string
	var walk func(node map[string]any, path []string)
	walk = func(node map[string]any, path []string) {
		if len(path) == 0 || path[len(path)-1] != "match" { // whose keys are labels
			paths = append(paths, path)
		}
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if below, ok := node[name].(map[string]any); ok {
				walk(below, append(slices.Clone(path), name))
			}
		}
	}
	parse := func() map[string]any {
		var node map[string]any
		if err := yaml.Unmarshal([]byte("{"+block+"}"), &node); err != nil {
			t.Fatal(err)
		}
		return node
	}
	walk(parse(), nil)
	for _, path := range paths {
		root := parse()
		node := root
		for _, name := range path {
			node = node[name].(map[string]any)
		}
		node["nonsense"] = 1
		raw, err := json.Marshal(root) // JSON is a YAML flow mapping
		if err != nil {
			t.Fatal(err)
		}
		spoiled = append(spoiled, strings.TrimSuffix(strings.TrimPrefix(string(raw), "{"), "}"))
	}
	return spoiled
}
