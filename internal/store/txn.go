package store

import (
	"fmt"
	"strings"
)

// Check returns an error that matches ErrInvalid where no store would take t:
// more than MaxOps conditions or writes, more than MaxBytes, an empty key, a
// key that is written twice, or one under LeadPrefix. Each Commit begins with
// it, so that every store refuses the same.
func (t Txn) Check() error {
	if n := len(t.Ifs); n > MaxOps {
		return fmt.Errorf("%w: txn: at most %d conditions, got %d", ErrInvalid, MaxOps, n)
	}
	if n := len(t.Puts) + len(t.Deletes); n > MaxOps {
		return fmt.Errorf("%w: txn: at most %d writes, got %d", ErrInvalid, MaxOps, n)
	}
	if n := t.Size(); n > MaxBytes {
		return fmt.Errorf("%w: txn: at most %d bytes, got %d", ErrInvalid, MaxBytes, n)
	}
	for i, c := range t.Ifs {
		if c.Key == "" || c.Rev < 0 {
			return fmt.Errorf("%w: txn: ifs[%d]: needs a key and a revision of zero or more, got %q, %d", ErrInvalid, i, c.Key, c.Rev)
		}
	}
	return t.checkWrites()
}

func (t Txn) checkWrites() error {
	seen := make(map[string]struct{}, len(t.Puts)+len(t.Deletes))
	check := func(place string, i int, key string) error {
		if key == "" {
			return fmt.Errorf("%w: txn: %s[%d]: key is empty", ErrInvalid, place, i)
		}
		if strings.HasPrefix(key, LeadPrefix) {
			return fmt.Errorf("%w: txn: %s[%d]: keys under %q are written by Lead only, got %q", ErrInvalid, place, i, LeadPrefix, key)
		}
		if _, twice := seen[key]; twice {
			return fmt.Errorf("%w: txn: %s[%d]: a key is written once in a txn, got %q twice", ErrInvalid, place, i, key)
		}
		seen[key] = struct{}{}
		return nil
	}
	for i, p := range t.Puts {
		if err := check("puts", i, p.Key); err != nil {
			return err
		}
	}
	for i, key := range t.Deletes {
		if err := check("deletes", i, key); err != nil {
			return err
		}
	}
	return nil
}

// Size is what MaxBytes bounds: the bytes of all keys and values.
func (t Txn) Size() int {
	n := 0
	for _, c := range t.Ifs {
		n += len(c.Key)
	}
	for _, p := range t.Puts {
		n += len(p.Key) + len(p.Value)
	}
	for _, key := range t.Deletes {
		n += len(key)
	}
	return n
}

// CheckKey returns an error that matches ErrInvalid where key, or the name of
// a role, is empty.
func CheckKey(what, key string) error {
	if key == "" {
		return fmt.Errorf("%w: %s is empty", ErrInvalid, what)
	}
	return nil
}
