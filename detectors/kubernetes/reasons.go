package kubernetes

import (
	"slices"
	"time"
)

// The reasons, under the names that Kubernetes itself uses where it has one.
const (
	crashLoop      = "CrashLoopBackOff"
	imagePull      = "ImagePullBackOff"
	createError    = "CreateContainerError"
	oomKilled      = "OOMKilled"
	unschedulable  = "Unschedulable"
	pending        = "Pending"
	notStarted     = "NotStarted"
	notReady       = "NotReady"
	terminating    = "Terminating"
	evicted        = "Evicted"
	failed         = "Failed"
	deadline       = "ProgressDeadlineExceeded"
	replicaFailure = "ReplicaFailure"
	stuckRollout   = "RolloutStuck"
	unavailable    = "Unavailable"
	noneAvailable  = "NoneAvailable"
	complete       = "Complete"    // of a Job: it ends what an earlier one of its CronJob left
	progressing    = "Progressing" // no failure, and no proof of health: what was ill before is not well yet
	unreachable    = "Unreachable"
	memoryPressure = "MemoryPressure"
	diskPressure   = "DiskPressure"
	pidPressure    = "PIDPressure"
	noNetwork      = "NetworkUnavailable"
	cordoned       = "CordonedNotReady"
	degraded       = "Degraded"
	syncFailed     = "SyncFailed"
	missing        = "Missing"
	outOfSync      = "OutOfSync"
)

// covers are the words of a kubelet that come under a reason of another name:
// they are steps of one failure, and take turns.
var covers = map[string]string{
	"ErrImagePull": imagePull, "InvalidImageName": imagePull, "ErrImageNeverPull": imagePull,
	"RegistryUnavailable": imagePull, "ImageInspectError": imagePull, "SignatureValidationFailed": imagePull,
	"CreateContainerConfigError": createError, "RunContainerError": createError, "PreCreateHookError": createError,
	"PreStartHookError": createError, "PostStartHookError": createError, "CreatePodSandboxError": createError,
}

// canonical is the reason under which a word comes.
func canonical(word string) string {
	if r, ok := covers[word]; ok {
		return r
	}
	return word
}

// reason is one thing that can be ill about an object.
type reason struct {
	name string
	// after is how long it must last before it is a failure: the time that a
	// rollout, a drain or a scale-down may take. within is how long an event that
	// is over still counts; 0: it is a state, and counts as long as it lasts.
	after, within time.Duration
	onRequest     bool // only where `reasons` lists it
}

// watched is one of the keys that say what a detector watches.
type watched struct {
	key       string
	resources []resource
	reasons   []reason // the worst first
	// expect is how many objects there must be, unless the detector says else:
	// where there is nothing, nothing is proved.
	expect int
}

// table is what can be watched.
var table = []watched{
	{key: "pods", expect: 1, resources: []resource{pods}, reasons: []reason{
		{name: crashLoop},
		{name: imagePull},
		{name: createError},
		{name: oomKilled, within: 10 * time.Minute},
		{name: evicted, within: 15 * time.Minute},
		{name: failed, within: 15 * time.Minute},
		{name: unschedulable, after: 5 * time.Minute},
		{name: pending, after: 5 * time.Minute},
		{name: notStarted, after: 10 * time.Minute},
		{name: notReady, after: 2 * time.Minute},
		{name: terminating, after: 5 * time.Minute},
	}},
	{key: "workloads", expect: 1, resources: []resource{deployments, statefulSets, daemonSets}, reasons: []reason{
		{name: deadline},
		{name: noneAvailable, after: time.Minute},
		{name: replicaFailure, after: time.Minute},
		{name: stuckRollout, after: 15 * time.Minute},
		{name: unavailable, after: 5 * time.Minute},
	}},
	{key: "jobs", resources: []resource{jobs}, reasons: []reason{
		{name: failed},
	}},
	{key: "nodes", expect: 1, resources: []resource{nodes}, reasons: []reason{
		{name: unreachable, after: time.Minute},
		{name: notReady, after: time.Minute},
		{name: noNetwork, after: time.Minute},
		{name: memoryPressure, after: time.Minute},
		{name: diskPressure, after: time.Minute},
		{name: pidPressure, after: time.Minute},
		{name: cordoned, after: time.Minute, onRequest: true},
	}},
	{key: "applications", resources: []resource{applications}, reasons: []reason{
		{name: syncFailed},
		{name: degraded, after: 2 * time.Minute},
		{name: missing, after: 5 * time.Minute},
		{name: outOfSync, after: 10 * time.Minute},
	}},
	{key: "rollouts", resources: []resource{rollouts}, reasons: []reason{
		{name: degraded},
		{name: noneAvailable, after: time.Minute},
		{name: unavailable, after: 5 * time.Minute},
	}},
}

func find(key string) (watched, bool) {
	i := slices.IndexFunc(table, func(w watched) bool { return w.key == key })
	if i < 0 {
		return watched{}, false
	}
	return table[i], true
}

func (w watched) reason(name string) (reason, bool) {
	i := slices.IndexFunc(w.reasons, func(r reason) bool { return r.name == name })
	if i < 0 {
		return reason{}, false
	}
	return w.reasons[i], true
}

func (w watched) resource(kind string) (resource, bool) {
	i := slices.IndexFunc(w.resources, func(r resource) bool { return r.kind == kind })
	if i < 0 {
		return resource{}, false
	}
	return w.resources[i], true
}

// names are those of the reasons, for messages.
func (w watched) names() []string {
	var names []string
	for _, r := range w.reasons {
		names = append(names, r.name)
	}
	return names
}

// kinds are those of the resources.
func (w watched) kinds() []string {
	var kinds []string
	for _, r := range w.resources {
		kinds = append(kinds, r.kind)
	}
	return kinds
}

// labels are those that a sample of it can have.
func (w watched) labels() []string {
	all := []string{labelWorkload, labelKind, labelReason, labelObject}
	switch w.key {
	case "nodes":
		return append(all, labelNode)
	case "pods":
		all = append(all, labelContainer, labelNode)
	}
	return append(all, labelNamespace)
}
