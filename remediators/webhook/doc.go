// Package webhook sends one HTTP request to an address of the configuration, for
// what no other kind covers.
//
//	Settings    settings.go   the keys of a tool
//	spec        spec.go       Step.Spec: the resolved settings
//	message     message.go    the body, filled in and escaped; the signature
//	remediator  remediator.go the protocol; answer.go what an answer means
//
// # Flow
//
// Preview fills the body in, reads the files, resolves the name and looks whether
// the address may be dialled; it sends the target nothing. Start does the same,
// asks the last check, and sends one request. The status that comes back is all
// that is ever known: one that is expected proves the effect (Receipt.Final), and
// Probe has nothing to look at.
//
// # Class B with a key, else D
//
// With idempotency_header the action's id goes along, and the server knows the
// second request with it from a new one. While it keeps the key (retains) a doubt
// is settled by sending again; the body depends only on the step, so that it is
// the same one. After that, and without a key, nothing is sent a second time, and a
// doubt stays until a person settles it.
//
// # The guard
//
// Whoever writes a name's DNS records, or runs the server that redirects, must not
// choose what this machine talks to: see reach.Guard.
package webhook
