package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/people"
	"github.com/signalbox/signalbox/internal/sealed"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// StoreReport is how the store is, and how far what is kept outside of it has
// come.
type StoreReport struct {
	Kind    string               `json:"kind"`    // embedded or external
	Leading bool                 `json:"leading"` // this replica leads
	State   signalbox.StoreState `json:"state"`
	Cluster *store.Health        `json:"cluster,omitempty"`
	Marks   *marks.Marks         `json:"marks,omitempty"`
	Errors  []string             `json:"errors,omitempty"` // what of this can't be known
}

// clustered is what a store of etcd can do besides.
type clustered interface {
	Health(ctx context.Context) (store.Health, error)
	Snapshot(ctx context.Context) (store.Copy, error)
}

func (d *daemon) serveStore(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	report := StoreReport{Kind: "embedded"}
	if d.options.Store != "" {
		report.Kind = "external"
	}
	st, err := d.engine.Status(r.Context())
	if err != nil {
		answer(w, nil, err)
		return
	}
	report.Leading, report.State = st.Leading, st.Store
	if report.Marks, err = d.marks.Read(); err != nil {
		report.Errors = append(report.Errors, err.Error())
	}
	if c, err := d.store.(clustered).Health(r.Context()); err != nil {
		report.Errors = append(report.Errors, err.Error())
	} else {
		report.Cluster = &c
	}
	answer(w, report, nil)
}

// stalled is how long who takes a stream may take nothing of it.
const stalled = time.Minute

// stream is an answer without an end in time, but for who takes nothing of it.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (s stream) Write(b []byte) (int, error) {
	if err := s.rc.SetWriteDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return s.w.Write(b)
}

// serveBackup streams a snapshot of the store. Where it can't be ended whole the
// connection is cut, so that nobody takes a part for all.
func (d *daemon) serveBackup(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.Store); err != nil {
		answer(w, nil, err)
		return
	}
	snapshot, err := d.store.(clustered).Snapshot(r.Context())
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer snapshot.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	var seal sealed.Copy
	_, err = io.Copy(io.MultiWriter(&seal, stream{w, http.NewResponseController(w)}), snapshot)
	sum, size, broken := seal.Whole()
	if err = errors.Join(err, broken); err != nil {
		d.log.Warn("a backup was cut off", "who", who.name, "error", err)
		panic(http.ErrAbortHandler)
	}
	d.log.Info("backup", "who", who.name, "bytes", size, "sha256", sum)
	err = d.engine.Copied(r.Context(), signalbox.Backup{At: d.options.Now().UTC(), Who: who.name, Bytes: size, SHA256: sum, Revision: snapshot.Revision})
	if err != nil {
		d.log.Warn("a backup is not on record", "who", who.name, "error", err)
	}
}

// serveJournal streams the journal's entries, as they are stored.
func (d *daemon) serveJournal(w http.ResponseWriter, r *http.Request, who *asker) {
	err := who.must(people.View)
	var from uint64
	if s := r.FormValue("from"); err == nil && s != "" {
		if from, err = strconv.ParseUint(s, 10, 64); err != nil {
			err = &refusal{http.StatusBadRequest, fmt.Errorf("from must be the number of an entry, got %q", s)}
		}
	}
	var since time.Time
	if s := r.FormValue("since"); err == nil && s != "" {
		if since, err = time.Parse(time.RFC3339, s); err != nil {
			err = &refusal{http.StatusBadRequest, fmt.Errorf("since must be a time of RFC 3339, got %q", s)}
		}
	}
	if err == nil && from > 0 {
		var oldest uint64
		if oldest, err = d.journal.Oldest(r.Context()); err == nil && from < oldest {
			err = &refusal{http.StatusNotFound, fmt.Errorf("entries before %d are gone, got from=%d", oldest, from)}
		}
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	n, err := d.journal.Export(r.Context(), stream{w, http.NewResponseController(w)}, from, since)
	if err != nil {
		d.log.Warn("an export of the journal was cut off", "who", who.name, "entries", n, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// serveVerify verifies the journal in archive and store.
func (d *daemon) serveVerify(w http.ResponseWriter, r *http.Request, who *asker) {
	if err := who.must(people.View); err != nil {
		answer(w, nil, err)
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		answer(w, nil, err)
		return
	}
	report, err := d.journal.Verify(r.Context())
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		err = &refusal{http.StatusConflict, err}
	}
	answer(w, report, err)
}

var _ = []clustered{(*etcd.Store)(nil), (*etcd.Embedded)(nil)}
