// Package credentials replaces a credential that leaked: it makes the new one,
// and takes the old one away once those who use it are seen on the new one.
//
//	Token, Sealed  settings.go   the keys of a tool
//	spec           spec.go       Step.Spec: the resolved settings
//	remediator     remediator.go the protocol, once for all
//	token          token.go      a service account's token Secret: made anew, deleted
//	sealed         sealed.go, manifest.go  a SealedSecret: applied from a file
//	awsKey         aws.go        an access key of IAM: deactivated, then deleted
//	consumers      consumers.go  who is still on the old one
//	api            api.go        the requests to the API server
//
// # Order
//
// Rotate, see the consumers on the new one, then revoke. The order is not left to
// the runbook: each Preview reads what the move before it must have left, and
// refuses where it is not there. That consumers are on the new one is read of
// the API server too: a Deployment has finished its rollout, and each of its
// pods was created after the rotation, by the API server's own clock.
//
// # What is said of the value
//
// The value that leaked is read for its fingerprint, eight hexadecimal digits
// of its SHA-256, and not kept. Of Secrets that others fill only the metadata is
// asked for. No body of an answer, and no line of a manifest, is ever quoted.
//
// # Classes
//
// The new token Secret is of class B: its name is its key, and it bears the
// action's id. The deletion is of class C: it names the uid of what Preview saw,
// so that another Secret of the name is never hit, and is read back. The
// SealedSecret is of class A: applied with its resourceVersion, with a fence
// beside it by which a successor shuts a late write out.
//
// All of it asks a person first, whatever the policy's autonomy.
package credentials
