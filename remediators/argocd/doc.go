// Package argocd syncs, rolls back and stops the Applications of Argo CD,
// through the Kubernetes API.
//
//	Settings      settings.go   the keys of a tool
//	spec          settings.go   Step.Spec: the resolved settings
//	application   wire.go       what is read of the Application
//	choose        choose.go     pure: which entry of the history is the previous one
//	target        target.go     the requests to the API server
//	view          look.go       what is there, for one move, and the patch that would be sent
//	remediator    remediator.go, probe.go  the protocol
//
// # Flow
//
// An operation is asked for by writing `.operation` on the Application, as Argo
// CD's own server does; its controller takes it from there, and tells of it in
// `.status.operationState`. A write is one merge patch with the
// resourceVersion, the operation, for a rollback the auto-sync that is turned
// off, and the fence, so that all of it happens or none. It is tried dry first:
// an Argo CD that does not know `automated.enabled` would drop it without a word,
// and sync forward again.
//
// # Class A
//
// The fence (package fence) stands in an annotation of the Application, and the
// API server compares the resourceVersion. A successor that seals changes it, so
// that a late write is refused. Beside that, the operation carries the action's
// id in its info, by which it is followed to its end.
package argocd
