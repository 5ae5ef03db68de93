// Package kubernetes watches a cluster: pods that fail, workloads short of
// replicas, failed Jobs, nodes that aren't ready, volumes that are lost, and the
// drift of Argo CD Applications and Argo Rollouts.
//
// It watches, and does not poll. For each kind of object that a detector asks
// about, one watch (one a namespace, where the source lists them), which
// detectors share, keeps a small memory of what is there, and detectors are
// answered from it without a call:
//
//	API server
//	  -> client.go      the connection, read anew when the kubeconfig changes
//	  -> stream.go      list and watch by client-go's reflector: a streamed list, or bounded pages
//	  -> reduced.go     each object is reduced at once to what is kept of it
//	  -> symptoms       pod.go workload.go job.go node.go argo.go: pure; what may be ill about
//	                    one object, and since when
//	  -> feed.go        the memory of one watch, and what it is worth
//	  -> index.go       for each question the objects that have a symptom that it asks about
//	  -> source.go      Ask: the symptoms that have lasted long enough; Watch: tells at once
//	  -> judge.go       pure: one series a workload
//
// reasons.go is the table of what is looked for, and of the graces within
// which a rollout, a drain or a scale-down is no failure; settings.go are the
// keys of a detector, and question.go what it asks.
//
// A feed is the store of a reflector, which is what informers are made of,
// without the informer's queue: so a new list takes the place of the memory in
// one step, and a bookmark is seen.
//
// # What the memory is worth
//
// A series is Clear only while every watch behind its question is synced and
// alive: it has shown a sign of life within the source's stale_after. A sign of
// life is an event, a bookmark, a list, or, when a watch has been silent for
// ten seconds, a list of a single object, which proves the API server, its
// store, the connection and our right to see, at the cost of one key; the version that
// it tells has to be reached by the watch itself within three minutes. Until
// when the memory is known to be true is the time of its samples.
//
// A watch that the server ends in order goes on where it was. One that breaks,
// or was out of touch for twenty seconds, is begun anew with the newest list:
// what changed meanwhile is seen at once, and nothing is taken for well or ill
// because its event was still on its way.
//
// # Since when
//
// Many objects tell since when something is so. Where they don't, it is since
// it was seen first, and time in which nothing was seen doesn't count. Such a
// symptom, and a rollout under way, keep what was ill from being well: after a
// restart nobody knows yet how long it lasts.
package kubernetes
