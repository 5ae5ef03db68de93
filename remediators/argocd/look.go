package argocd

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// turnedOff is the fence's value while auto-sync is off by us.
const turnedOff = "auto-sync turned off"

type object = map[string]any

// view is what is there for one move: the forecast, and what would be written.
type view struct {
	signalbox.Forecast
	change   object
	sync     object // within the operation; nil: there is none
	turnsOff bool   // the change turns auto-sync off
	restore  json.RawMessage
}

// look judges an Application as it was read. It is pure.
func (t *target) look(s state, move string, now time.Time) view {
	v := view{Forecast: signalbox.Forecast{
		At: now, Class: signalbox.ClassA, Targets: []signalbox.Target{t.name()}, Takes: signalbox.Duration(t.spec.Timeout), Found: found(&s.application),
	}}
	if s.blocked != "" {
		v.Refused = s.blocked
		return v
	}
	busy := s.busy()
	if busy != "" && (move == moveSynced || move == movePrevious) {
		v.Refused = busy + ": one at a time"
		return v
	}
	switch move {
	case moveSynced:
		t.lookSynced(s, &v)
	case movePrevious:
		t.lookPrevious(s, &v)
	case moveTerminated:
		t.lookTerminated(s, &v)
	case moveRestored:
		t.lookRestored(s, &v)
	}
	return v
}

// found tells for people how an Application stands.
func found(a *application) string {
	auto := "no auto-sync"
	switch {
	case a.automated():
		auto = "auto-sync on"
	case a.paused():
		auto = "auto-sync off"
	}
	parts := []string{or(a.Status.Sync.Status, "sync unknown"), or(a.Status.Health.Status, "health unknown"), "revision " + or(a.Status.Sync.Revision, strings.Join(a.Status.Sync.Revisions, "+")), auto}
	if busy := a.busy(); busy != "" {
		parts = append(parts, busy)
	}
	return reach.Shown(strings.Join(parts, ", "))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (t *target) lookSynced(s state, v *view) {
	v.Already = s.Status.Sync.Status == "Synced"
	v.Version = fmt.Sprintf("revision %s after id %d", or(s.Status.Sync.Revision, strings.Join(s.Status.Sync.Revisions, "+")), newest(s.Status.History))
	v.Reach = "everything that Application " + t.spec.Application + " is made of"
	v.sync = object{"prune": t.spec.Prune}
	options(s, v.sync)
}

// options are the Application's own ones, which go along as Argo CD's server
// sends them.
func options(s state, sync object) {
	if o := s.Spec.SyncPolicy.Options; len(o) > 0 {
		sync["syncOptions"] = o
	}
}

func newest(history []entry) int64 {
	var id int64
	for _, e := range history {
		id = max(id, e.ID)
	}
	return id
}

func (t *target) lookPrevious(s state, v *view) {
	e, present, refused := choose(s.Status.History, t.spec.DeployedFor.Std())
	auto := s.automated()
	switch {
	case refused != "":
		v.Refused = refused
		return
	case auto && s.set() != "":
		v.Refused = fmt.Sprintf("ApplicationSet %s makes it, and would turn auto-sync on again: let it ignore syncPolicy.automated, by ignoreApplicationDifferences", s.set())
		return
	}
	v.Version = fmt.Sprintf("id %d (%s) over id %d (%s), auto-sync %t", e.ID, e.revision(), present.ID, present.revision(), auto)
	v.Reach = fmt.Sprintf("everything that Application %s is made of goes back to revision %s (id %d of its history, deployed %s)",
		t.spec.Application, reach.Shown(e.revision()), e.ID, e.Deployed.UTC().Format(time.RFC3339))
	v.sync = object{"prune": t.spec.Prune, "syncStrategy": object{"apply": object{}}}
	if len(e.Revisions) > 0 {
		v.sync["revisions"], v.sync["sources"] = e.Revisions, e.Sources
	} else {
		v.sync["revision"], v.sync["source"] = e.Revision, e.Source
	}
	options(s, v.sync)
	v.ByHand = "argocd app sync " + reach.Quote(t.spec.Namespace+"/"+t.spec.Application)
	if !auto {
		return
	}
	v.turnsOff, v.restore = true, json.RawMessage("null")
	if s.Spec.SyncPolicy.Automated.Enabled != nil {
		v.restore = json.RawMessage("true")
	}
	v.change = enabled(false)
	v.ByHand = t.turnOn()
	v.Reach += "; auto-sync is turned off, and stays off until it is taken back"
	if p := s.parent(); p != "" {
		v.Reach += "; Application " + p + ", which it is a part of, may turn it on again"
	}
}

// enabled is a change of automated.enabled.
func enabled(to any) object {
	return object{"spec": object{"syncPolicy": object{"automated": object{"enabled": to}}}}
}

// turnOn is the command with which a person turns auto-sync on again.
func (t *target) turnOn() string {
	return fmt.Sprintf("kubectl -n %s patch application %s --type merge -p %s", reach.Quote(t.spec.Namespace), reach.Quote(t.spec.Application),
		reach.Quote(`{"spec":{"syncPolicy":{"automated":{"enabled":true}}}}`))
}

func (t *target) lookTerminated(s state, v *view) {
	state := s.Status.OperationState
	switch {
	case state == nil || s.busy() == "" || state.Phase != "Running" && state.Phase != "Terminating":
		v.Already = s.busy() == ""
		if !v.Already {
			v.Refused = s.busy() + ", and was not begun: it can't be terminated yet"
		}
		return
	case state.Phase == "Terminating":
		v.Already = true
		return
	case s.Operation == nil:
		v.Refused = "its operation is running, and its request is gone: Argo CD is about to end it"
		return
	}
	v.Version = "operation of " + state.Started.UTC().Format(time.RFC3339)
	v.Reach = "what is left of the operation of Application " + t.spec.Application
	v.change = object{"status": object{"operationState": object{"phase": "Terminating"}}}
}

func (t *target) lookRestored(s state, v *view) {
	v.Version, v.Reach = "auto-sync off", "Application "+t.spec.Application+" syncs by itself again, to what Git says"
	switch {
	case s.Spec.SyncPolicy.Automated == nil:
		v.Refused = "it has no auto-sync any more: someone else took it out"
	case s.automated():
		v.Already = true
	case s.fence.Value != turnedOff || !s.fence.Standing:
		v.Refused = "auto-sync is off, and not by the daemon"
	}
	var to any
	if string(t.spec.Restore) == "true" {
		to = true
	}
	v.change = enabled(to)
}

// operation is what is written for an action; nil: its move needs none.
func (v *view) operation(a signalbox.Action, s state) object {
	if v.sync == nil {
		return nil
	}
	op := object{"initiatedBy": object{"username": reach.FieldManager}, "info": []info{{infoName, string(a.ID)}}, "sync": v.sync}
	if retry := s.Spec.SyncPolicy.Retry; len(retry) > 0 && string(retry) != "null" {
		op["retry"] = retry
	}
	return op
}

// fenced is the fence that goes with a write: that auto-sync is off by us stays
// known over what is done meanwhile.
func (v *view) fenced(a signalbox.Action, s state) fence.Fence {
	f := fence.Written(a, s.fence.Value, s.fence.Value)
	f.Standing = s.fence.Standing
	switch {
	case v.turnsOff:
		f.Value, f.Standing = turnedOff, true
	case a.Step.To == moveRestored:
		f.Value, f.Standing = "", false
	}
	return f
}
