// Package rollout works on what Kubernetes runs: it pauses, resumes, restarts,
// takes back and scales a workload, evicts a pod, and cordons a node.
//
//	settings.go    the tools: rollout (a workload), evict (a pod), cordon (a node)
//	spec.go        Step.Spec: what of them outlives the configuration
//	remediator.go  Preview, Start, Probe, Seal: by what the spec holds
//	object.go      package workload: an object, its place, its progress, its owners
//	moves.go       what each move changes, and what it finds there
//	fenced.go      the protocol of class A, by package fence, for all moves
//	history.go     the revisions that a workload can be taken back to
//	owners.go      who else owns a field: an autoscaler, GitOps
//	progress.go    how far a workload has come after the write
//	evict.go       one pod, through the Eviction API
//
// # Classes
//
// A move writes one aspect of an object (paused, template, replicas,
// unschedulable) together with a fence for that aspect, in one JSON patch that
// holds the resourceVersion that was read: class A. What the fence is and how a
// successor seals it is said in package fence. Aspects have fences of their own,
// so that a chain that pauses, scales and resumes can be taken back one by one.
//
// A written move is followed to its end by Probe: a restart is done when the
// controller has replaced every pod, and has failed when the workload says so
// (progressDeadlineSeconds) or its time is over. Nothing is written meanwhile.
//
// An eviction has no place for a fence, but its effect can be read back: it
// names the pod's uid, and that uid is gone, or going, afterwards. Class C. The
// API server refuses it where the uid is another (409) and, where a
// PodDisruptionBudget does not allow it, with 429: not now.
//
// Aborting an Argo Rollout writes its status, which takes no fence: class C too.
package rollout
