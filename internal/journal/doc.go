// Package journal keeps what happened: the records of signalbox.State in a
// store.Store, and with each change of them, in the same transaction, entries
// that say who did what and why.
//
// # Types and flow
//
//	Record  -> Write    one transaction: fence and conditions, state keys, entries, journal/head
//	Change  -> Apply    the same change, taken into the typed State of the loop
//	           Load     the typed State as the store has it, at the begin of a term
//	Batch   -> PutInbox durable before it returns; read by Inbox, deleted in the Write that consumes it
//	Entry   -> Archive  from the store to files, once it is old
//	           Read, Incident, Fold, Verify   over archive and store as one sequence
//
// # Keys
//
//	entry/00000000000000000042   one Entry, as JSON
//	journal/head                 sequence number and hash of the last entry
//	journal/exported             how far the archive has come
//	inbox/TIME-WRITER-PART       one signalbox.Batch that is not consumed yet
//	incident/… action/… target/… budget/… policy/… page/… controls config/active store
//	heartbeat/…
//
// An entry carries the changed records whole, so that folding can't diverge
// from the state by logic: it replays values, not rules. Entries are chained:
// each holds the SHA-256 of the stored bytes of the one before it, and the head
// holds that of the last, so that no byte of any can change unseen. The chain
// shows that somebody edited the journal; it can't hold against one who may
// rewrite the files and the store together.
//
// The audited state is all that Load returns but the heartbeats. Those come
// every few seconds and say only that all is well: they are written without an
// entry. The inbox is not audited either, what becomes of it is.
//
// # Versions
//
// Entries, records, checkpoints and the two journal/ keys begin with "v":1. A
// version that is not known is an error that names the key. A field may be
// added within a version only if an older binary can drop it without harm.
//
// # Secrets
//
// No secret may come into a Record, its Data or a Batch: entries leave the
// store for files that live for years, and can't be taken back. What is written
// is what the dictionary's types hold, and those hold paths of credentials
// only. The journal can't tell a secret from another string and does not try.
package journal

// Kind says what an entry tells.
type Kind string

// The kinds of entries.
const (
	IncidentOpened    Kind = "incident.opened"
	IncidentChanged   Kind = "incident.changed" // its condition, or a silence on it
	IncidentClosed    Kind = "incident.closed"
	IncidentForgotten Kind = "incident.forgotten" // its records left the state; the journal keeps what it was
	Decision          Kind = "decision"           // a verdict, plan or reason codes that are new, with the facts used
	Intent            Kind = "intent"             // the claim: the action, its forecast and undo, its locks, its spend
	Started           Kind = "started"            // sent and answered, and long work goes on
	Receipt           Kind = "receipt"            // the effect is there
	NoEffect          Kind = "no_effect"          // the action is known to have failed
	Doubt             Kind = "doubt"              // sent perhaps; what happened is not known
	Sealed            Kind = "sealed"             // a successor's token stands on the target
	Settled           Kind = "settled"            // what new evidence says of an effect
	Undone            Kind = "undone"             // an action was taken back
	EvidenceFound     Kind = "evidence"           // what was found around a new incident, for people
	PageWanted        Kind = "page.wanted"        // an event is owed to the pager
	PageSent          Kind = "page.sent"          // the pager accepted it
	PageEscalated     Kind = "page.escalated"     // it was not acknowledged: the next rung is paged
	PageAcknowledged  Kind = "page.acknowledged"  // by a person, in the pager or to us
	ControlSet        Kind = "control"            // a person's word: kill, pause, resume, release, undo, acknowledge
	ApprovalAsked     Kind = "approval.asked"     // a person is asked whether a step may be taken
	ApprovalGiven     Kind = "approval.answered"  // a person approved or denied
	ApprovalUsed      Kind = "approval.used"      // an action used it up
	HandFound         Kind = "hand"               // another's hand was found on a target: automation yields
	PolicyDemoted     Kind = "policy.demoted"     // it lost autonomy by itself, until a person restores it
	StoreMembers      Kind = "store.members"      // a person adds or removes a member of the store's cluster
	Config            Kind = "config"             // the cluster runs another configuration
	StoreBegun        Kind = "store.begun"        // it is led for the first time, and gets its id
	StoreFrozen       Kind = "store.frozen"       // it does not agree with what is kept outside of it
	StoreCopied       Kind = "store.copied"       // somebody took a backup
	Housekeeping      Kind = "housekeeping"       // without news for people; makes no entry where it changes nothing that is audited
)
