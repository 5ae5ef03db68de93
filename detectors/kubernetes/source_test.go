package kubernetes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	k8swatch "k8s.io/apimachinery/pkg/watch"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// Without a kubeconfig, or with one that isn't, all is Unknown, with the
// reason, and the watch goes on trying until it ends.
func TestNoKubeconfig(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"missing": {"", "no such file"},
		"broken":  {"secret: [", "is not a kubeconfig"},
		"empty":   {"{}", "must have a current-context"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kubeconfig")
			if c.content != "" {
				if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				s := cluster.New()
				s.Kubeconfig = file
				src, err := open("cluster", s, kind.Env{Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				d := build(t, src, &DetectorSettings{Pods: &Scope{}})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- src.Watch(ctx, func(...signalbox.Question) {}) }()
				a := src.Ask(ctx, d.Questions(), time.Now())
				if len(a) != 1 || a[0].Err == nil || !strings.Contains(a[0].Err.Error(), c.want) || strings.Contains(a[0].Err.Error(), "secret") {
					t.Errorf("got %+v, want %q", a, c.want)
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("the watch ended with %v", err)
				}
			})
		})
	}
}

// An answer doesn't wait longer for the first list than it may, and what no
// detector is watched for is not answered.
func TestAskWithoutAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := aSource(t)
		d := build(t, src, &DetectorSettings{Pods: &Scope{}})
		began := time.Now()
		a := src.Ask(t.Context(), d.Questions(), now)
		if took := time.Since(began); took != firstWait || a[0].Err == nil || a[0].Err.Error() != "the list of pods in all namespaces has not come yet" {
			t.Errorf("after %s: %v", took, a[0].Err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if src.Ask(ctx, d.Questions(), now); time.Since(began) != time.Second {
			t.Errorf("it waited %s, beyond its deadline", time.Since(began))
		}
		other := signalbox.Question{Source: "cluster", Query: `{"watch":"pods"}`}
		if a := src.Ask(t.Context(), []signalbox.Question{other}, now); a[0].Err == nil || a[0].Question != other {
			t.Errorf("got %+v", a)
		}
	})
}

func TestQuestionsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 "can't be read",
		`{"watch":"x"}`:                    "must name what is watched",
		`{"watch":"pods","kinds":["Pod"]}`: "must name what is watched, and its reasons",
		`{"watch":"pods","kinds":["Job"],"reasons":[{"reason":"Evicted"}]}`:                   "kinds must be of pods",
		`{"watch":"pods","kinds":["Pod"],"reasons":[{"reason":"OutOfSync"}]}`:                 "reasons must be of pods",
		`{"watch":"pods","kinds":["Pod"],"selector":"a in","reasons":[{"reason":"Evicted"}]}`: "selector can't be read",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// A watch that is stopped ends, also with an event that nobody reads.
func TestStoppedWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := k8swatch.NewFake()
		r := newReduced(in, pods.event)
		go in.Add(aPod())
		if e := <-r.ResultChan(); e.Object.(*object).name != "api-0" {
			t.Errorf("got %+v", e)
		}
		go in.Action(k8swatch.Bookmark, &corev1.Pod{})
		if e := <-r.ResultChan(); e.Type != k8swatch.Bookmark {
			t.Errorf("got %+v", e)
		}
		go in.Add(&corev1.Node{})
		if e := <-r.ResultChan(); e.Type != k8swatch.Error {
			t.Errorf("got %+v, want an error in place of what is no pod", e)
		}
		go in.Modify(aPod())
		synctest.Wait() // the event waits for a reader
		r.Stop()
		r.Stop()
	}) // which fails where something is left running
}
