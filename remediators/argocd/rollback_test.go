package argocd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// patches counts the writes of the daemon that were no dry ones.
func (a *argo) patches() int {
	n := 0
	for _, e := range a.Audit(servers.Daemon) {
		if e.Verb != "get" && e.ObjectRef.Resource == "applications" && !strings.Contains(e.URI, "dryRun") {
			n++
		}
	}
	return n
}

// A rollback turns auto-sync off in the same write, is followed to its end, and
// its undo restores exactly what was found.
func TestRollback(t *testing.T) {
	a := newArgo(t)
	step := a.step(movePrevious)
	f := a.preview(step)
	if f.Class != signalbox.ClassA || fmt.Sprint(f.Targets) != "[application argocd/shop]" || f.Refused != "" || f.Undo == nil || !strings.Contains(f.Reach, "revision 0.45.26 (id 5") || !strings.Contains(f.Reach, "Application app-of-apps") {
		t.Fatalf("got %+v", f)
	}
	if n := a.patches(); n != 0 {
		t.Fatalf("a preview wrote %d times", n)
	}
	x := a.action("inc-1-1", 7, step)
	_, err := a.r.Start(t.Context(), x)
	must(t, err)
	if _, err := a.r.Start(t.Context(), x); err != nil {
		t.Errorf("the same action again: %v", err)
	}
	u := a.get()
	enabled, there, _ := unstructured.NestedBool(u.Object, "spec", "syncPolicy", "automated", "enabled")
	prune, _, _ := unstructured.NestedBool(u.Object, "spec", "syncPolicy", "automated", "prune")
	revision, _, _ := unstructured.NestedString(u.Object, "operation", "sync", "revision")
	target, _, _ := unstructured.NestedString(u.Object, "operation", "sync", "source", "targetRevision")
	if !there || enabled || !prune || revision != "0.45.26" || target != "0.45.26" {
		t.Fatalf("got %v", u.Object["operation"])
	}
	x.Stage = signalbox.Started
	a.probe(x, signalbox.Running, "waits for Argo CD")
	if busy := a.preview(a.step(moveSynced)); !strings.Contains(busy.Refused, "one at a time") {
		t.Errorf("got %+v", busy)
	}
	a.begins()
	a.probe(x, signalbox.Running, "is running")
	a.ends("Succeeded")
	a.probe(x, signalbox.Succeeded, "auto-sync is off until it is taken back")
	undo := a.action("inc-1-2", 9, *f.Undo)
	undo.Undoes = x.ID
	_, err = a.r.Start(t.Context(), undo)
	must(t, err)
	if _, there, _ := unstructured.NestedFieldNoCopy(a.get().Object, "spec", "syncPolicy", "automated", "enabled"); there {
		t.Error("automated.enabled was not there, and is now")
	}
	a.probe(undo, signalbox.Succeeded, "as it was found")
	if f := a.preview(*x.Forecast.Undo); !f.Already {
		t.Errorf("an undo that is done: %+v", f)
	}
	if n := a.patches(); n != 2 {
		t.Errorf("the daemon wrote %d times, want 2", n)
	}
}

func TestRollbackEnds(t *testing.T) {
	a := newArgo(t)
	x := a.action("inc-1-1", 7, a.step(movePrevious))
	_, err := a.r.Start(t.Context(), x)
	must(t, err)
	a.begins()
	a.patch(`{"spec":{"syncPolicy":{"automated":{"enabled":true}}}}`) // the app of apps
	a.ends("Succeeded")
	a.probe(x, signalbox.Succeeded, "turned on again by someone else (it is a part of Application app-of-apps)")
	a.patch(`{"spec":{"syncPolicy":{"automated":{"enabled":false}}}}`)
	for _, phase := range []string{"Failed", "Error"} {
		a.ends(phase)
		a.probe(x, signalbox.Fell, "kubectl -n argocd patch application shop")
	}
	a.ends("Perhaps")
	a.probe(x, signalbox.Running, "perhaps")
	a.patch(`{"status":{"operationState":{"phase":"Succeeded","operation":{"info":null}}}}`)
	a.probe(x, signalbox.InDoubt, "its operation is not there")
}

// A successor's seal shuts a late write out, and tells for certain.
func TestSeal(t *testing.T) {
	a := newArgo(t)
	x := a.action("inc-1-1", 7, a.step(moveSynced))
	a.probe(x, signalbox.InDoubt, "a late write may still come")
	late := x
	late.Gate = func() error { return a.r.Seal(t.Context(), x, 12) } // between its last check and its send
	var failure *signalbox.Failure
	if _, err := a.r.Start(t.Context(), late); !errors.As(err, &failure) || !strings.Contains(err.Error(), "sealed by a successor") {
		t.Errorf("got %v", err)
	}
	must(t, a.r.Seal(t.Context(), x, 12))
	a.probe(x, signalbox.NotStarted, "sealed with token 12")
	if a.get().Object["operation"] != nil {
		t.Error("the late write took effect")
	}
	x.Sealed, x.Stage = 12, signalbox.Doubt
	_, err := a.r.Start(t.Context(), x)
	must(t, err)
	must(t, a.r.Seal(t.Context(), x, 15)) // its effect is there: nothing to seal
	a.probe(x, signalbox.Running, "waits")
}

func TestRefused(t *testing.T) {
	a := newArgo(t)
	old := a.action("inc-1-1", 7, a.step(movePrevious))
	for _, c := range []struct{ name, patch, back, move, want string }{
		{"an ApplicationSet", `{"metadata":{"ownerReferences":[{"apiVersion":"argoproj.io/v1alpha1","kind":"ApplicationSet","name":"shops","uid":"1"}]}}`, `{"metadata":{"ownerReferences":null}}`, movePrevious, "ApplicationSet shops"},
		{"no history", `{"status":{"history":null}}`, "", movePrevious, "history is empty"},
		{"a fence that is none", `{"metadata":{"annotations":{"signalbox.io/fence.argocd":"x"}}}`, `{"metadata":{"annotations":{"signalbox.io/fence.argocd":null}}}`, moveSynced, "not a fence of ours"},
		{"not begun", `{"operation":{"sync":{}}}`, `{"operation":null}`, moveTerminated, "was not begun"},
	} {
		a.patch(c.patch)
		if f := a.preview(a.step(c.move)); !strings.Contains(f.Refused, c.want) {
			t.Errorf("%s: got %+v", c.name, f)
		}
		if c.back != "" {
			a.patch(c.back)
		}
	}
	var failure *signalbox.Failure
	if _, err := a.r.Start(t.Context(), old); !errors.As(err, &failure) {
		t.Errorf("a history that is gone: %v", err)
	}
	held := a.action("inc-1-2", 8, a.step(moveSynced))
	held.Gate = func() error { return errors.New("paused") }
	if _, err := a.r.Start(t.Context(), held); !errors.As(err, &failure) || !strings.Contains(err.Error(), "paused") {
		t.Errorf("the gate: %v", err)
	}
	if n := a.patches(); n != 0 {
		t.Errorf("the daemon wrote %d times", n)
	}
	other := a.step(moveSynced)
	other.Spec = []byte(strings.Replace(string(other.Spec), `"shop"`, `"other"`, 1))
	if f := a.preview(other); !strings.Contains(f.Refused, "grant verbs get and patch") {
		t.Errorf("without permission: %+v", f)
	}
}

func TestSyncAndTerminate(t *testing.T) {
	a := newArgo(t)
	if f := a.preview(a.step(moveTerminated)); !f.Already {
		t.Errorf("nothing to stop: %+v", f)
	}
	x := a.action("inc-1-1", 7, a.step(moveSynced))
	_, err := a.r.Start(t.Context(), x)
	must(t, err)
	a.begins()
	stop := a.action("inc-1-2", 8, a.step(moveTerminated))
	_, err = a.r.Start(t.Context(), stop)
	must(t, err)
	a.probe(stop, signalbox.Running, "terminating")
	a.probe(x, signalbox.Running, "terminating")
	a.ends("Failed")
	a.probe(stop, signalbox.Succeeded, "was terminated")
	a.probe(x, signalbox.Fell, "failed")
	a.patch(`{"status":{"sync":{"status":"Synced"}}}`)
	if f := a.preview(a.step(moveSynced)); !f.Already {
		t.Errorf("synced: %+v", f)
	}
}
