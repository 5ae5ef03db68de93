// Package setting sets one value at a target, a key of a Kubernetes ConfigMap, a
// variable of a workload, a key of a Redis or a setting behind an HTTP API, to one
// of the positions that the configuration lists. The kinds of remediators that throw switches are made of it.
//
// The way of a throw is the same for all, over a backend that can read a
// setting and write it if it is still as it was read:
//
//	remediator.go  Preview and Start; probe.go: Probe and Seal
//	package fence  what we leave at the target, the rules over it, and the protocol
//	configmap.go   backend: merge patch with resourceVersion, fence in an annotation
//	env.go         backend: server-side apply with resourceVersion, fence in an
//	               annotation; then the workload's rollout is followed
//	restart.go     after a write to a ConfigMap: restarting what reads it at its start
//	redis.go       backend: a transaction that watches the key and the fence's
//	http.go        backend: PUT with If-Match, fence in a field of the object
//	spec.go        Step.Spec: the resolved settings; settings.go: the configuration
//
// # The fence
//
// With each value that is written goes a fence, in the same write: the token
// of the action, its id, the value, and whether the throw still stands. So the
// target itself says whether an action took effect (its id is there), whether
// a person has changed the value since (it is not the one in the fence), and
// whether a write comes too late (the token there is not below its own).
//
// A process that was stopped between its last check and its send holds a
// version that it read before. Its successor seals: it writes its own, higher
// token, which changes the version. The late write is then refused by the
// target, and when the process looks again it finds a token above its own. What
// was not there when the seal was written never will be, so that Probe can say
// NotStarted with certainty, and the action may be tried again under the
// seal's token.
//
// A setting behind HTTP that has no place for the fence is of class C: it is
// still written only if unchanged (If-Match), but can't be sealed.
package setting
