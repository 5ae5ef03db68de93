package kubernetes

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// A 404 of a kind that is not in every cluster is told only once discovery has
// said whether there is such a kind: who waits for the first list waits for
// that too, and is not told Unknown in between.
func TestAbsenceIsNotDoubtedWhileItIsProved(t *testing.T) {
	asked, proceed := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
		page(http.StatusOK, "application/json", `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}]}]}`)(w, r)
	})
	mux.HandleFunc("/", statusOf(http.StatusNotFound))
	s := httptest.NewTLSServer(mux)
	defer s.Close()
	settings := cluster.New()
	settings.Kubeconfig = kubeconfigOf(t, s)
	src, err := open("cluster", settings, kind.Env{Now: time.Now, Agent: "signalbox-test"})
	if err != nil {
		t.Fatal(err)
	}
	d := build(t, src, &DetectorSettings{Rollouts: &Scope{}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Watch(ctx, func(...signalbox.Question) {}) }()
	defer func() { cancel(); <-done }()
	<-asked
	select {
	case <-src.asked[d.question.Query].feeds[0].heard:
		t.Error("how it stands is known before discovery has answered")
	default:
	}
	close(proceed)
	if r := d.Judge(src.Ask(ctx, d.Questions(), time.Now()), nil, time.Now()); len(r) != 0 {
		t.Errorf("got %+v, want nothing: there is no such kind", r)
	}
}
