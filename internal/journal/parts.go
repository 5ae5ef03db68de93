package journal

import (
	"fmt"
	"slices"
)

// An archive has one part for each time in which its replica led. Between two
// parts lie the entries that others archived meanwhile, so that neither is
// folded upon the other.

// Span is a run of entries that follow each other.
type Span struct{ First, Last uint64 }

// verifyParts checks the parts that are older than entry before, the newest
// first, and returns them, the oldest first.
func verifyParts(dir string, before uint64) (parts []Span, err error) {
	err = settled(dir, func() error {
		var err error
		if parts, err = partsBefore(dir, before); err != nil {
			return err
		}
		for _, p := range slices.Backward(parts) {
			if err := p.verify(dir); err != nil {
				return fmt.Errorf("the part of the archive that has entries %d to %d: %w", p.First, p.Last, err)
			}
		}
		return nil
	})
	return parts, err
}

// partsBefore finds the parts that are older than an entry, the oldest first.
func partsBefore(dir string, before uint64) ([]Span, error) {
	firsts, err := numbered(dir, journalPrefix, journalSuffix)
	if err != nil {
		return nil, err
	}
	var parts []Span
	for _, first := range slices.Backward(firsts) {
		if first >= before {
			continue
		}
		last, err := lastOf(dir, first, before)
		if err != nil {
			return nil, err
		}
		if last < first { // without a whole line: a crash left it
			continue
		}
		if before, err = reachesBack(dir, last+1); err != nil {
			return nil, err
		}
		parts = append(parts, Span{before, last})
	}
	slices.Reverse(parts)
	return parts, nil
}

// verify checks the chain of a part, and folds it from its first checkpoint on.
// A part may have none: another led before its entries came to it.
func (p Span) verify(dir string) error {
	v := verifier{dir: dir, older: true}
	if err := v.begin(p.First, p.Last); err != nil {
		return err
	}
	for e, err := range decoded(archived(dir, p.First, p.Last), nil) {
		if err == nil {
			err = v.take(&e)
		}
		if err != nil {
			return err
		}
	}
	if v.at.Seq != p.Last {
		return fmt.Errorf("entry %d is missing", v.at.Seq+1)
	}
	return nil
}

// settled returns what check says of an archive. Where retention deleted files
// while it looked, that is what it says of those that are left.
func settled(dir string, check func() error) error {
	for {
		began, err := oldestFile(dir)
		if err != nil {
			return err
		}
		wrong := check()
		if wrong == nil {
			return nil
		}
		if now, err := oldestFile(dir); err != nil || now <= began {
			return wrong
		}
	}
}

// oldestFile is the number of the oldest file; 0: there is none.
func oldestFile(dir string) (uint64, error) {
	firsts, err := numbered(dir, journalPrefix, journalSuffix)
	if err != nil || len(firsts) == 0 {
		return 0, err
	}
	return firsts[0], nil
}
