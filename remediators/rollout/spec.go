package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a move needs, so that an action outlives the
// configuration that made it. It holds no secret. Exactly one of Workload, Evict
// and Cordon is there.
type spec struct {
	Kubeconfig string        `json:"kubeconfig,omitempty"` // absolute
	InCluster  bool          `json:"in_cluster,omitempty"`
	Namespace  string        `json:"namespace,omitempty"`
	Timeout    kind.Duration `json:"timeout,omitempty"`
	Workload   *workloadSpec `json:"workload,omitempty"`
	Evict      *chosenSpec   `json:"evict,omitempty"`
	Cordon     *chosenSpec   `json:"cordon,omitempty"`
	// Back is what an undo takes back; nil: a move.
	Back *backSpec `json:"back,omitempty"`
}

type workloadSpec struct {
	Kind          string           `json:"kind"`
	Name          string           `json:"name"`
	Replicas      map[string]int32 `json:"replicas,omitempty"`
	Revision      int64            `json:"revision,omitempty"`
	GitOpsIgnores []string         `json:"gitops_ignores,omitempty"`
}

// chosenSpec is a pod or node that a label of the incident chooses.
type chosenSpec struct {
	Selector string `json:"selector"`
	Label    string `json:"label"`
	// Name is the one that an undo is about.
	Name string `json:"name,omitempty"`
}

// backSpec takes Expect back to Value. When something else than Expect is
// found, it is not ours to take back.
type backSpec struct {
	Aspect string `json:"aspect"`
	Expect string `json:"expect"`
	Value  string `json:"value"`
}

func (s spec) access() cluster.Access {
	return cluster.Access{Kubeconfig: s.Kubeconfig, InCluster: s.InCluster}
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	var s spec
	var source string
	switch t := in.Settings.(type) {
	case *Workload:
		kindName, name, _ := t.workload()
		source, s.Namespace, s.Timeout = t.Source, t.Namespace, t.Timeout
		s.Workload = &workloadSpec{Kind: kindName, Name: name, Replicas: t.Replicas, Revision: t.Revision, GitOpsIgnores: t.GitOpsIgnores}
	case *Evict:
		source, s.Namespace, s.Timeout = t.Source, t.Namespace, t.Timeout
		s.Evict = &chosenSpec{Selector: t.Selector, Label: t.Label}
	case *Cordon:
		source = t.Source
		s.Cordon = &chosenSpec{Selector: t.Selector, Label: t.Label}
	default:
		return nil, fmt.Errorf("tool %q: must be rollout, evict or cordon, got %q", in.Name, in.Backend)
	}
	access, err := cluster.Named(in, source)
	if err != nil {
		return nil, fmt.Errorf("tool %q: %s.%w", in.Name, in.Backend, err)
	}
	s.Kubeconfig, s.InCluster = access.Kubeconfig, access.InCluster
	return json.Marshal(s)
}

// parseSpec reads Step.Spec strictly: a key that this version does not know
// may be a limit that it would not keep.
func parseSpec(raw json.RawMessage) (spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return spec{}, fmt.Errorf("step's spec can't be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec{}, errors.New("step's spec can't be read: more than one value")
	}
	given := 0
	for _, there := range []bool{s.Workload != nil, s.Evict != nil, s.Cordon != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		return spec{}, errors.New("step's spec must hold one of workload, evict and cordon")
	}
	if s.Workload != nil && ownMoves[s.Workload.Kind] == nil {
		return spec{}, fmt.Errorf("step's spec is of a workload of an unknown kind, %q", s.Workload.Kind)
	}
	return s, nil
}

// position names what a value of an aspect is, as a move does; empty: it is not
// listed.
func (s spec) position(aspect, value string) string {
	if aspect != aspectReplicas {
		return value
	}
	for name, n := range s.Workload.Replicas {
		if strconv.Itoa(int(n)) == value {
			return name
		}
	}
	return ""
}
