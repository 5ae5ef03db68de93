package signalbox

import "time"

// StoreState says which store the state is in, and whether it may be relied
// on. It is what tells a store that was restored from an older copy, and
// another's store, from the one that this was.
type StoreState struct {
	ID    string `json:"id"`              // drawn when the store was first led; empty: it never was
	Epoch int64  `json:"epoch,omitempty"` // counts the confirmations; the upper part of each token
	// Frozen is set while nothing may be started: what is kept outside the
	// store does not agree with it. A person's confirmation lifts it.
	Frozen *Frozen `json:"frozen,omitempty"`
	// Confirmed is the last confirmation. Until the longest window from its At
	// has passed, budgets and cooldowns count as spent.
	Confirmed *Control `json:"confirmed,omitempty"`
	Backup    *Backup  `json:"backup,omitempty"` // the last one that was taken through the daemon
}

// ConfirmedAt is when a person last confirmed the store; zero: never.
func (s *StoreState) ConfirmedAt() time.Time {
	if s.Confirmed == nil {
		return time.Time{}
	}
	return s.Confirmed.At
}

// Frozen says why a store is not relied on.
type Frozen struct {
	Why     string    `json:"why"`
	At      time.Time `json:"at"`
	Replica string    `json:"replica"` // that found it
}

// Backup is a copy of the store that somebody took.
type Backup struct {
	At       time.Time `json:"at"`
	Who      string    `json:"who"`
	Bytes    int64     `json:"bytes"`
	SHA256   string    `json:"sha256"`
	Revision int64     `json:"revision"` // the copy has it, and maybe a few more
}

// epochShift leaves 2^40 revisions to an epoch: 34 years of a thousand a
// second. A token stays below 2^53, which every JSON reader keeps exact, for
// 8,191 epochs.
const epochShift = 40

// TokenIn is the token of a revision in an epoch. One of a later epoch is
// greater than all of the earlier ones, also where the store's revisions went
// back.
func TokenIn(epoch, revision int64) Token { return Token(epoch<<epochShift + revision) }

// Epoch is the store's epoch in which the token was made.
func (t Token) Epoch() int64 { return int64(t) >> epochShift }

// Revision is the store's revision that the token is made of.
func (t Token) Revision() int64 { return int64(t) & (1<<epochShift - 1) }
