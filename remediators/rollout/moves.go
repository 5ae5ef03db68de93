package rollout

import (
	"fmt"
	"strconv"

	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/workload"
)

// The kinds of objects, as targets name them.
const (
	kindDeployment  = workload.Deployment
	kindStatefulSet = workload.StatefulSet
	kindDaemonSet   = workload.DaemonSet
	kindArgo        = workload.ArgoRollout
	kindNode        = workload.Node
)

// settingOf is the key of a workload's name.
var settingOf = map[string]string{kindDeployment: "deployment", kindStatefulSet: "statefulset", kindDaemonSet: "daemonset", kindArgo: "argo_rollout"}

// The moves, beside the named counts of replicas.
const (
	movePaused     = "paused"
	moveRunning    = "running"
	moveRestarted  = "restarted"
	movePrevious   = "previous"
	moveAborted    = "aborted"
	moveRetried    = "retried"
	moveCordoned   = "cordoned"
	moveUncordoned = "uncordoned"
)

// The aspects of an object that a move changes; each has a fence of its own but
// for aspectAbort, which stands in the status.
const (
	aspectPaused        = "paused"
	aspectTemplate      = "template"
	aspectReplicas      = "replicas"
	aspectRestart       = "restart" // of Argo Rollouts, which keep it beside the template
	aspectAbort         = "abort"
	aspectUnschedulable = "unschedulable"
)

var ownMoves = map[string][]string{
	kindDeployment:  {movePaused, moveRunning, moveRestarted, movePrevious},
	kindStatefulSet: {moveRestarted, movePrevious},
	kindDaemonSet:   {moveRestarted, movePrevious},
	kindArgo:        {movePaused, moveRunning, moveRestarted, movePrevious, moveAborted, moveRetried},
	kindNode:        {moveCordoned, moveUncordoned},
}

// allMoves are the aspects that the moves change.
var allMoves = map[string]string{
	movePaused: aspectPaused, moveRunning: aspectPaused, moveRestarted: aspectTemplate, movePrevious: aspectTemplate,
	moveAborted: aspectAbort, moveRetried: aspectAbort, moveCordoned: aspectUnschedulable, moveUncordoned: aspectUnschedulable,
}

// aim is what a step wants of an object.
type aim struct {
	move   string
	aspect string
	value  string // wanted; empty: it is made at the time of the write (restarted), or found in the history (previous)
}

func aimOf(s spec, to string) (aim, error) {
	if s.Back != nil {
		return aim{move: to, aspect: s.Back.Aspect, value: s.Back.Value}, nil
	}
	kindName := kindNode
	if s.Workload != nil {
		kindName = s.Workload.Kind
		if n, ok := s.Workload.Replicas[to]; ok {
			return aim{to, aspectReplicas, strconv.Itoa(int(n))}, nil
		}
	}
	for _, m := range ownMoves[kindName] {
		if m != to {
			continue
		}
		switch {
		case m == moveRestarted && kindName == kindArgo:
			return aim{m, aspectRestart, ""}, nil
		case allMoves[m] == aspectTemplate:
			return aim{m, aspectTemplate, ""}, nil
		}
		return aim{m, allMoves[m], m}, nil
	}
	return aim{}, fmt.Errorf("move %q is not one of a %s", to, kindName)
}

// valueOf is what stands in an aspect of an object.
func valueOf(o *object, aspect string) string {
	word := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	switch aspect {
	case aspectPaused:
		return word(o.Spec.Paused, movePaused, moveRunning)
	case aspectUnschedulable:
		return word(o.Spec.Unschedulable, moveCordoned, moveUncordoned)
	case aspectAbort:
		return word(o.Status.Abort, moveAborted, moveRetried)
	case aspectReplicas:
		return strconv.Itoa(int(o.Replicas()))
	case aspectRestart:
		return o.Spec.RestartAt
	}
	return o.Spec.Template.Value()
}

// change is what a write puts beside its fence.
type change struct {
	ops   []reach.Op
	value string // of the aspect, once it is written
}

// put writes a value that is known.
func put(g aim) change {
	field := map[string]string{aspectPaused: "/spec/paused", aspectUnschedulable: "/spec/unschedulable", aspectReplicas: "/spec/replicas", aspectAbort: "/status/abort"}[g.aspect]
	var v any = g.value == movePaused || g.value == moveCordoned || g.value == moveAborted
	if g.aspect == aspectReplicas {
		n, err := strconv.Atoi(g.value)
		if err != nil { // it came of a number
			return change{}
		}
		v = n
	}
	return change{[]reach.Op{{Op: "add", Path: field, Value: v}}, g.value}
}
