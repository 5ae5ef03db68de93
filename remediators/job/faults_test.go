package job

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// behind puts a proxy before the API server, for the daemon's account.
func (w *world) behind() *servers.KubeProxy {
	w.t.Helper()
	p := w.Proxy()
	w.conf = w.KubeconfigFor(servers.Daemon, p.URL)
	return p
}

// made reports whether an action's Job is there.
func (w *world) made(id signalbox.ActionID) bool {
	w.t.Helper()
	_, err := w.admin.BatchV1().Jobs("core").Get(w.t.Context(), nameOf(id), metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		w.must(err)
	}
	return err == nil
}

// awaitMade waits until the audit log shows how many Jobs the daemon created,
// and that it wrote nothing else.
func (w *world) awaitMade(want int) {
	w.t.Helper()
	servers.Await(w.t, servers.Patience, "writes", func(context.Context) error {
		got, other := 0, 0
		for _, e := range w.Audit(servers.Daemon) {
			switch {
			case e.Verb == "get" || e.Verb == "list" || e.ObjectRef.Resource == "selfsubjectaccessreviews" || e.ResponseStatus.Code >= 300:
			case e.Verb == "create" && e.ObjectRef.Resource == "jobs":
				got++
			default:
				other++
			}
		}
		if got != want || other != 0 {
			return fmt.Errorf("%d Jobs, and %d other writes, want %d", got, other, want)
		}
		return nil
	})
}

func isFailure(err error) bool {
	var failure *signalbox.Failure
	return errors.As(err, &failure)
}

// TestRealAnswers: after each answer that says that surely nothing was done,
// nothing was; every other one leaves a doubt, and is settled by creating the
// Job again under its name. In all there is one Job an action.
func TestRealAnswers(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.cronJob(func(*corev1.PodSpec) {})
	p := w.behind()
	made := 0
	for i, f := range servers.KubeFaults() {
		a := w.claim(w.step("evt_aaaa", "evt_bbbb"), signalbox.ActionID(fmt.Sprint("a", i)))
		ctx, giveUp := context.WithCancel(t.Context())
		p.Break(f, func(r *http.Request) bool { return r.Method != http.MethodGet }, giveUp)
		_, err := w.r.Start(ctx, a)
		met := p.Mend()
		giveUp()
		// 409 says that the name is taken: by whom is to be looked at, and there is none.
		refused := f.Refused && !strings.HasPrefix(f.Name, "409")
		if err == nil || met != 1 || isFailure(err) != refused || w.made(a.ID) != f.Done || strings.Contains(err.Error(), "Bearer") {
			t.Errorf("%s: got %v after %d requests, made: %t", f.Name, err, met, w.made(a.ID))
			continue
		}
		var later *signalbox.RetryAfter
		if f.After > 0 && (!errors.As(err, &later) || later.After != f.After) {
			t.Errorf("%s: got %v, want to be told to wait for %s", f.Name, err, f.After)
		}
		look := signalbox.InDoubt
		if f.Done {
			look = signalbox.Running
		}
		if p, err := w.r.Probe(t.Context(), a); err != nil || p.Phase != look {
			t.Errorf("%s: a look: %+v, %v, want %s", f.Name, p, err, look)
		}
		if refused {
			continue
		}
		a.Stage = signalbox.Doubt
		for range 2 {
			if _, err := w.r.Start(t.Context(), a); err != nil {
				t.Errorf("%s: again: %v", f.Name, err)
			}
		}
		if p, err := w.r.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Running {
			t.Errorf("%s: after it: %+v, %v", f.Name, p, err)
		}
		made++
	}
	if n := len(w.jobs()); n != made {
		t.Errorf("%d Jobs, want %d", n, made)
	}
	w.awaitMade(made)
}

// TestRealUnreached: what can't be read says nothing of an action, and nothing
// is created on what was not read.
func TestRealUnreached(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.cronJob(func(*corev1.PodSpec) {})
	p := w.behind()
	a := w.claim(w.step("evt_aaaa"), "a1")
	doubt := a
	doubt.Stage = signalbox.Doubt
	for _, f := range servers.KubeFaults() {
		if f.Done {
			continue
		}
		look, giveUp := context.WithCancel(t.Context())
		p.Break(f, func(r *http.Request) bool { return r.Method == http.MethodGet }, giveUp)
		forecast, err := w.r.Preview(look, a.Step)
		if (err == nil) != (forecast.Refused != "") || strings.Contains(fmt.Sprint(forecast.Refused, err), "Bearer") {
			t.Errorf("%s: the preview refused for %q, %v", f.Name, forecast.Refused, err)
		}
		if progress, err := w.r.Probe(look, a); err == nil && progress.Phase != signalbox.InDoubt {
			t.Errorf("%s: the probe is sure: %+v", f.Name, progress)
		}
		if _, err := w.r.Start(look, a); !isFailure(err) {
			t.Errorf("%s: nothing was sent: %v", f.Name, err)
		}
		if _, err := w.r.Start(look, doubt); err == nil || isFailure(err) {
			t.Errorf("%s: an earlier attempt may still come through: %v", f.Name, err)
		}
		p.Mend()
		giveUp()
	}
	if _, err := w.r.Start(t.Context(), a); err != nil {
		t.Error(err)
	}
	w.awaitMade(1)
}

// TestRealIDs: ids that are too many, or are none, are refused before anything
// is done, and it is told.
func TestRealIDs(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.cronJob(func(*corev1.PodSpec) {})
	a := w.claim(w.step("evt_aaaa"), "a1")
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("evt_%04d", i)
	}
	for want, items := range map[string][]string{
		"5000 ids, where 100 are allowed at once: raise items.most, or find fewer": many,
		"there are no ids to run it with":                                          nil,
		`id "evt_a;id" does not match item_pattern evt_[0-9a-z]{4,8} as a whole`:   {"evt_aaaa", "evt_a;id"},
		`id "--all" does not match`:                                                {"--all"},
		`id "evt_aaaa" is given twice`:                                             {"evt_aaaa", "evt_bbbb", "evt_aaaa"},
	} {
		s := w.step(items...)
		f, err := w.r.Preview(t.Context(), s)
		if err != nil || !strings.Contains(f.Refused, want) {
			t.Errorf("refused for %q, %v; want %q", f.Refused, err, want)
		}
		x := a
		x.ID, x.Step = "x", s
		if _, err := w.r.Start(t.Context(), x); !isFailure(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("started: %v, want %q", err, want)
		}
	}
	w.awaitMade(0)
}
