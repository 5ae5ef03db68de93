// Package share spreads the asking of sources over the replicas of one store:
// the one that leads keeps the schedule, judges and decides, and has each
// question asked by the replica to which it is assigned.
//
//	identity.go   the key of this run, and TLS in which each end is one that the store names
//	directory.go  who is there, as the store has it: presence under a lease, address and key
//	link.go       the connection to one other replica
//	serve.go      what this replica is asked by another
//	source.go     a Source whose questions are asked by those to whom they are assigned
//
// # The flow
//
//	poll --questions that are due--> source --> here
//	                                        --> link ==TLS==> serve --> the same source, as that replica has it configured
//	poll <--------answers, in order-------- source <-- … answers, and how the source's clock goes
//
// # Assignment
//
// A question belongs to one of those that are present (each holds a presence in
// the store under a lease, by its name and configuration), have the
// configuration of who asks, and are connected: by rendezvous hashing, so that who
// comes takes only its own share from the others, and who goes leaves only its
// own to them. What a source asks in one request stays together. Nothing is handed over: what is remembered from round to round
// is the asking replica's, and a question carries all that it needs.
//
// # When another fails
//
// What another replica does not answer is asked here in the same round: a
// connection that broke, or a replica that answers no ping within a second, ends
// all that waits for it at once. A source that is slow is not asked twice for
// that. Until it is connected again it is assigned nothing.
//
// What an action stands on is never another's word alone: who confirms a breach
// before it acts asks in Here, which no other replica answers.
//
// # Trust
//
// Each run of a replica draws a key, and puts its certificate's fingerprint
// into the store beside its address. Who connects, and who is connected to, must
// show the certificate that the store has for some replica: so only who can
// write the store can answer a question, and there is nothing to be configured or
// renewed. TLS 1.3, both ends.
package share
