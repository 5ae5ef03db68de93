// Package kubernetes watches a cluster: pods that fail, workloads short of
// replicas, failed Jobs, nodes that aren't ready, volumes that are lost, and the
// drift of Argo CD Applications and Argo Rollouts.
//
// It watches, and does not poll. For each kind of object that a detector asks
// about, one watch (one a namespace, where namespaces are listed) keeps a small
// memory of what is there, and detectors are answered from it without a call:
//
//	API server
//	  -> stream.go      list and watch: bounded pages, or a streamed list; each object is
//	                    reduced at once to what is kept of it
//	  -> symptoms       pod.go workload.go job.go node.go argo.go: pure; what may be ill about
//	                    one object, and since when
//	  -> feed.go        the memory of one watch, and whether it lives
//	  -> index.go       for each question the objects that have a symptom that it asks about
//	  -> source.go      Ask: the symptoms that have lasted long enough; Watch: tells at once
//	  -> judge.go       pure: one series a workload, with the ill objects as its items
//
// reasons.go is the table of what is looked for, and of the graces within
// which a rollout, a drain or a scale-down is no failure.
//
// # What the memory is worth
//
// A series is Clear only while every watch behind its question is synced and
// alive: it has shown a sign of life within the source's stale_after. A sign of
// life is an event, a bookmark, a relist, or, when a watch has been silent for
// ten seconds, a list of a single object, which proves the API server, its
// store and our right to see, at the cost of one key. A watch that has been
// out of touch for longer than that bound is not resumed but begun anew with a
// list, which takes the place of the memory in one step: what changed
// meanwhile is seen at once, and nothing is taken for well or ill because its
// event was still on its way.
package kubernetes
