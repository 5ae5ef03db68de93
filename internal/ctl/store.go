package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/durable"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/sealed"
	"github.com/signalbox/signalbox/internal/store"
)

// storeReport is what the daemon tells of its store.
type storeReport struct {
	Kind    string               `json:"kind"`
	Leading bool                 `json:"leading"`
	State   signalbox.StoreState `json:"state"`
	Cluster *store.Health        `json:"cluster"`
	Marks   *marks.Marks         `json:"marks"`
	Errors  []string             `json:"errors"`
}

// store is what concerns the daemon's own store.
func (t *tool) store(ctx context.Context, args []string) error {
	return t.sub(ctx, "store", map[string]func(context.Context, []string) error{
		"status": t.storeStatus, "members": t.storeMembers, "backup": t.storeBackup, "restore": t.storeRestore, "confirm": t.storeConfirm,
	}, args)
}

// sub runs one of a command's own commands.
func (t *tool) sub(ctx context.Context, name string, of map[string]func(context.Context, []string) error, args []string) error {
	if len(args) > 0 {
		if run := of[args[0]]; run != nil {
			return run(ctx, args[1:])
		}
	}
	return &usageError{fmt.Sprintf("no command %q; run signalboxctl without arguments for the list", strings.Join(append([]string{name}, args[:min(1, len(args))]...), " "))}
}

func (t *tool) askStore(ctx context.Context, command string, args []string) (r storeReport, err error) {
	if len(args) > 0 {
		return r, &usageError{command + " takes no arguments"}
	}
	return r, t.ask(ctx, http.MethodGet, "/api/v1/store", nil, &r)
}

func (t *tool) storeStatus(ctx context.Context, args []string) error {
	r, err := t.askStore(ctx, "store status", args)
	if err != nil || t.json {
		return err
	}
	w := tabwriter.NewWriter(t.Out, 0, 8, 2, ' ', 0)
	defer func() { _ = w.Flush() }() // nobody is left to tell
	leads := "this replica leads"
	if !r.Leading {
		leads = "this replica does NOT lead, or has no store"
	}
	fmt.Fprintf(w, "store\t%s, id %s, epoch %d; %s\n", plain(r.Kind), plain(r.State.ID), r.State.Epoch, leads)
	if f := r.State.Frozen; f != nil {
		fmt.Fprintf(w, "FROZEN\tsince %s: %s\n\tcompare, then: signalboxctl store confirm --reason TEXT\n", stamp(f.At), plain(f.Why))
	}
	if c := r.State.Confirmed; c != nil {
		fmt.Fprintf(w, "confirmed\t%s by %s: %s\n", stamp(c.At), plain(c.Who), plain(c.Reason))
	}
	if b := r.State.Backup; b != nil {
		fmt.Fprintf(w, "last backup\t%s by %s: %d bytes, revision %d, sha256 %s\n", stamp(b.At), plain(b.Who), b.Bytes, b.Revision, plain(b.SHA256))
	} else {
		fmt.Fprintf(w, "last backup\tnone is on record\n")
	}
	if m := r.Marks; m != nil {
		fmt.Fprintf(w, "marks\tof %s: epoch %d, entry %d, revision %d\n", stamp(m.At), m.Epoch, m.Seq, m.Revision)
	} else {
		fmt.Fprintf(w, "marks\tnone\n")
	}
	if r.Cluster != nil {
		fmt.Fprintf(w, "revision\t%d\n", r.Cluster.Revision)
		etcdServers(w, r.Cluster)
		lacking(w, r.Cluster.Unlisted)
	}
	for _, e := range r.Errors {
		fmt.Fprintf(w, "not known\t%s\n", plain(e))
	}
	return nil
}

func etcdServers(w io.Writer, c *store.Health) {
	for _, a := range c.Alarms {
		fmt.Fprintf(w, "ALARM\t%s of %s, which is no member\n", plain(a.Alarm), plain(a.ID))
	}
	for _, m := range c.Members {
		role := "follows"
		switch {
		case m.Leader:
			role = "leads"
		case m.Learner:
			role = "learns"
		}
		said := fmt.Sprintf("%d of %d bytes, %d in use", m.DBSize, m.Quota, m.DBInUse)
		if m.Error != "" {
			role, said = "unknown", "does not say: "+plain(m.Error)
		}
		if len(m.Alarms) > 0 {
			said += "; ALARM " + plain(strings.Join(m.Alarms, ", "))
		}
		fmt.Fprintf(w, "member\t%s %s\t%s\t%s\t%s\n", plain(m.ID), plain(m.Name), role, said, plain(strings.Join(m.Peers, ",")))
	}
}

// storeBackup writes a snapshot whole to a file that is not there yet: the
// daemon's, or what a stopped one has in its data directory.
func (t *tool) storeBackup(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("store backup", flag.ContinueOnError)
	data := fs.String("data", "", "data directory of a daemon that is stopped, and need not be able to start")
	rest, err := t.flags(fs, args, 1)
	if err != nil {
		return err
	}
	path := rest[0]
	if err := isFree(path); err != nil {
		return err
	}
	var seal sealed.Copy
	if *data == "" {
		err = t.download(ctx, http.MethodPost, "/api/v1/store/backup", path, &seal)
	} else {
		err = keep(path, &seal, func(w io.Writer) error { return t.Copy(ctx, *data, filepath.Dir(path), w) })
	}
	if err != nil {
		return err
	}
	sum, size, err := seal.Whole()
	if err != nil { // it is not kept: see keep
		return err
	}
	if t.json {
		return json.NewEncoder(t.Out).Encode(map[string]any{"file": path, "bytes": size, "sha256": sum})
	}
	_, err = fmt.Fprintf(t.Out, "%s: %d bytes, sha256 %s\n", path, size, sum)
	return err
}

// isFree refuses a file that is there.
func isFree(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return &usageError{fmt.Sprintf("%s is there already, and is not overwritten", path)}
	}
	return nil
}

// whole tells whether what passed through it is all of it.
type whole interface {
	io.Writer
	Whole() (sum string, size int64, err error)
}

// download puts an answer into a new file, or nothing.
func (t *tool) download(ctx context.Context, method, path, to string, seal whole) error {
	body, err := t.open(ctx, method, path)
	if err != nil {
		return err
	}
	defer body.Close()
	return keep(to, seal, func(w io.Writer) error {
		if _, err := io.Copy(w, body); err != nil {
			return fmt.Errorf("the answer was cut short: %w", err)
		}
		return nil
	})
}

// keep puts what is written into a new file: whole and durable, mode 0600, or
// not at all.
func keep(to string, seal whole, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.part") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // its own name stays
	if err = write(io.MultiWriter(f, seal)); err == nil {
		if _, _, err = seal.Whole(); err == nil {
			err = f.Sync()
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), to); err != nil { // unlike a rename it overwrites nothing
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

// storeRestore puts a backup in the place of a stopped daemon's store.
func (t *tool) storeRestore(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("store restore", flag.ContinueOnError)
	data := fs.String("data", "", "data directory of the daemon, which must be stopped")
	var c Cluster
	fs.StringVar(&c.Members, "cluster.initial-members", "", "as the daemons will have it, the same on all; empty: the store is of one node")
	fs.StringVar(&c.Name, "cluster.name", "", "as the daemons will have it, the same on all (default signalbox)")
	fs.StringVar(&c.Member, "cluster.member-name", "", "which of the members this one is")
	rest, err := t.flags(fs, args, 1)
	if err != nil {
		return err
	}
	if *data == "" {
		return &usageError{"store restore needs --data, the data directory of the stopped daemon"}
	}
	if c.Members != "" && c.Member == "" {
		return &usageError{"store restore needs --cluster.member-name beside --cluster.initial-members: which of them has its data here"}
	}
	r, err := t.Restore(*data, rest[0], c, time.Now())
	if err != nil {
		return err
	}
	if t.json {
		return json.NewEncoder(t.Out).Encode(r)
	}
	fmt.Fprintf(t.Out, "restored %d keys of revision %d, sha256 %s\n", r.Keys, r.Revision, r.SHA256)
	if r.Aside != "" {
		fmt.Fprintf(t.Out, "what was there is kept in %s\n", plain(r.Aside))
	}
	if r.Cluster != "" {
		fmt.Fprintf(t.Out, "member %s of the cluster with id %s: restore every other member too, from the same file; each says this id\n", plain(c.Member), r.Cluster)
		fmt.Fprintln(t.Out, "nothing is remediated until: signalboxctl store confirm --reason TEXT")
		return nil
	}
	fmt.Fprintln(t.Out, "if it is older than the marks beside it, nothing is remediated until: signalboxctl store confirm --reason TEXT")
	return nil
}

// storeConfirm is a person's word that the store may be relied on.
func (t *tool) storeConfirm(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("store confirm", flag.ContinueOnError)
	c := control{Kind: signalbox.Confirm, Scope: "all"}
	fs.StringVar(&c.Reason, "reason", "", "what was compared, for the journal")
	if _, err := t.flags(fs, args, 0); err != nil {
		return err
	}
	if strings.TrimSpace(c.Reason) == "" {
		return &usageError{"store confirm needs --reason: what was compared, and with what"}
	}
	return t.post(ctx, c)
}
