// Package job runs a Kubernetes Job of a CronJob or of a template, with
// arguments from a validated, bounded list of ids.
//
//	settings.go    the tool's keys
//	spec.go        Step.Spec: what of them outlives the configuration
//	template.go    what a template may hold, and the Job that comes of it
//	args.go        ids into arguments
//	remediator.go  Preview, Start, Probe
//	log.go         the tail of the log, bounded and masked
//
// # Class B
//
// The Job is named by the action's id, and the API server keeps one Job of a
// name: creating it again is answered with 409, and the annotation with the
// action's id says whose it is. The name is kept as long as the Job is, which is
// at least ttl after its end. So Start creates nothing once ttl has passed since
// the claim: a Job that is not there then may have been, and only Probe looks.
//
// A Job with ids runs once: backoffLimit 0 and restartPolicy Never, since a pod
// that is tried again would send an id twice. When it has failed, which of its
// ids were done is not known: they count as taken, and people decide.
package job
