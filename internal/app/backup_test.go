package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
)

// copies is a store whose members can be copied, or not.
type copies struct {
	store.Store
	of  store.Copy
	err error
}

func (c *copies) Health(context.Context) (store.Health, error) {
	return store.Health{Revision: 1000}, nil // of another member than is copied
}

func (c *copies) Snapshot(context.Context) (store.Copy, error) { return c.of, c.err }

// What is on record of a backup is the revision of the copy, and not the
// greatest of any member; what could not be copied is not on record.
func TestBackupIsRecordedAsWhatItIs(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	kept := &copies{Store: h.store, err: store.ErrUnavailable}
	d := &daemon{options: h.d.options, log: h.d.log, engine: h.d.engine, store: kept}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.serveBackup(w, r, &asker{name: "test"})
	}))
	defer server.Close()
	ask := func() answered { return h.send(h.request(http.MethodPost, server.URL, "")) }
	recorded := func() int64 {
		st, err := h.d.engine.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Store.Backup == nil {
			return 0
		}
		return st.Store.Backup.Revision
	}
	if got := ask(); got.status != http.StatusServiceUnavailable || recorded() != 0 {
		t.Errorf("no member can be copied: got %+v, %d on record", got, recorded())
	}
	db := strings.Repeat("d", 1024)
	sum := sha256.Sum256([]byte(db))
	closed := errors.New("not closed")
	kept.of, kept.err = store.Copy{ReadCloser: &closes{strings.NewReader(db + string(sum[:])), &closed}, Revision: 7}, nil
	if got := ask(); got.status != http.StatusOK || got.body != db+string(sum[:]) {
		t.Errorf("got %d with %d bytes", got.status, len(got.body))
	}
	h.eventually("it is on record", func() bool { return recorded() == 7 })
	server.Close() // its handlers have ended
	if closed != nil {
		t.Error("the copy is not closed")
	}
}

type closes struct {
	io.Reader
	err *error
}

func (c *closes) Close() error { *c.err = nil; return nil }
