// Package workload is what the kinds that write to workloads of Kubernetes (and
// to nodes) have in common:
//
//	object.go    an object as it was read, and where it is kept
//	place.go     reading it, and patching it only as it was read, with a fence
//	progress.go  whether its controller has brought about what was written
//	outage.go    how many of its pods may be gone while they are replaced
//	owners.go    who else writes a field: managedFields, and the marks of GitOps
//	restart.go   replacing its pods, as kubectl does
package workload
