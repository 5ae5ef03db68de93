package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// storedEntry is an entry as it is stored.
func storedEntry(f *testing.F) []byte {
	s := mem.New()
	write(f, open(f, s, ""), opened(1))
	kvs, _, err := s.List(context.Background(), "entry/")
	if err != nil || len(kvs) != 1 {
		f.Fatalf("%d entries, %v", len(kvs), err)
	}
	return kvs[0].Value
}

// What decodes can be encoded, and decodes to the same.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(storedEntry(f))
	f.Add([]byte(`{"v":1,"seq":1,"at":"2026-03-01T12:00:00Z","kind":"x","changes":[{"key":"page/a","deleted":true}],"prev":""}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := journal.DecodeEntry(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("can't be encoded: %v", err)
		}
		f, err := journal.DecodeEntry(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		twice, err := json.Marshal(f)
		if err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("%v\n%s\n%s", err, again, twice)
		}
	})
}

// Whatever the files hold, reading them ends, and what is read is in order.
func FuzzArchiveFiles(f *testing.F) {
	line := storedEntry(f)
	f.Add(append(bytes.Clone(line), '\n'), []byte(`{"v":1,"seq":0,"sum":"","state":{}}`))
	f.Add(append(bytes.Clone(line), "\ntorn"...), []byte(nil))
	f.Add([]byte("\n\n"), []byte("{}"))
	f.Fuzz(func(t *testing.T, lines, checkpoint []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"journal-00000000000000000001.jsonl": lines, "checkpoint-00000000000000000001.json": checkpoint} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, r, err := journal.VerifyFiles(dir)
		if err == nil && c.Seq != r.Last {
			t.Fatalf("verified up to %d, folded up to %d", r.Last, c.Seq)
		}
		j := open(t, mem.New(), dir)
		next := uint64(1)
		for e, err := range j.Read(context.Background(), 1, 100) {
			if err != nil {
				return
			}
			if e.Seq != next {
				t.Fatalf("entry %d comes after %d", e.Seq, next-1)
			}
			next++
		}
	})
}

// A record that loads can be written again and loads to the same.
func FuzzStateRecord(f *testing.F) {
	for _, c := range []journal.Change{journal.PutIncident(incident(1)), journal.PutControls(signalbox.Controls{Killed: &signalbox.Control{Kind: signalbox.Kill, Who: "@sre"}})} {
		f.Add(string(c.Key), []byte(c.Value))
	}
	f.Add("target/a%20b", []byte(`{"v":1,"r":{"target":"a b"}}`))
	f.Add("action/x", []byte(`{"v":1,"r":{"id":"x","step":{"spec":{"a":[1]}}}}`))
	f.Add("heartbeat/r", []byte(`{"v":1,"r":{"replica":"r","good":{"d":"2026-03-01T12:00:00Z"}}}`))
	f.Add("inbox/1", []byte(`{"v":1,"r":{"source":"a","readings":[{"value":"NaN"}]}}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if key == "" || len(key)+len(value) > store.MaxBytes {
			return
		}
		ctx, s := context.Background(), mem.New()
		_, _ = journal.DecodeInbox(store.KV{Key: key, Value: value})
		if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: key, Value: value}}}); err != nil {
			return
		}
		j, err := journal.Open(ctx, s, journal.Options{Now: at})
		if err != nil {
			return
		}
		st, _, err := j.Load(ctx)
		if err != nil {
			return
		}
		for _, i := range st.Incidents {
			write(t, j, journal.Record{Kind: journal.Decision, Put: []journal.Change{journal.PutIncident(i)}})
		}
		for _, a := range st.Actions {
			write(t, j, journal.Record{Kind: journal.Decision, Put: []journal.Change{journal.PutAction(a)}})
		}
		if _, _, err := j.Load(ctx); err != nil {
			t.Fatalf("what was written again does not load: %v", err)
		}
	})
}
