package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/internal/journal"
)

func (t *tool) journal(ctx context.Context, args []string) error {
	return t.sub(ctx, "journal", map[string]func(context.Context, []string) error{"export": t.journalExport, "verify": t.journalVerify}, args)
}

// journalExport writes the journal's entries, one a line, each with the hash of
// the one before it.
func (t *tool) journalExport(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("journal export", flag.ContinueOnError)
	fs.SetOutput(t.Err)
	from := fs.Uint64("from", 0, "number of the first entry; without it the oldest that is left")
	since := fs.String("since", "", "only entries since a time of RFC 3339, or for so long, like 24h")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return &usageError{err.Error()}
	}
	if fs.NArg() > 1 {
		return &usageError{fmt.Sprintf("journal export takes at most one file, got %q", fs.Args())}
	}
	q := url.Values{}
	if *from > 0 {
		q.Set("from", strconv.FormatUint(*from, 10))
	}
	if *since != "" {
		at, err := moment(*since, time.Now())
		if err != nil {
			return err
		}
		q.Set("since", at.UTC().Format(time.RFC3339))
	}
	path := "/api/v1/journal?" + q.Encode()
	if fs.NArg() == 1 {
		if _, err := os.Lstat(fs.Arg(0)); err == nil {
			return &usageError{fmt.Sprintf("%s is there already, and is not overwritten", fs.Arg(0))}
		}
		return t.download(ctx, http.MethodGet, path, fs.Arg(0), &counted{})
	}
	body, err := t.open(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(t.Out, body); err != nil {
		return fmt.Errorf("the export was cut short: %w", err)
	}
	return nil
}

// counted is a file of whole lines.
type counted struct {
	n    int64
	last byte
}

func (c *counted) Write(b []byte) (int, error) {
	if len(b) > 0 {
		c.n, c.last = c.n+int64(len(b)), b[len(b)-1]
	}
	return len(b), nil
}

// Whole tells whether the last line is.
func (c *counted) Whole() (string, int64, error) {
	if c.n > 0 && c.last != '\n' {
		return "", c.n, errors.New("the export was cut short")
	}
	return "", c.n, nil
}

// moment reads a time, or how long ago it was.
func moment(s string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(s); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, &usageError{fmt.Sprintf("--since must be a time of RFC 3339, or how long ago, like 24h, got %q", s)}
	}
	return at, nil
}

// journalVerify verifies exported files and archive directories, or without any
// what the daemon has.
func (t *tool) journalVerify(ctx context.Context, args []string) error {
	if len(args) == 0 {
		var r journal.Report
		body, err := t.open(ctx, http.MethodGet, "/api/v1/journal/verify")
		if err != nil {
			return err
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return fmt.Errorf("the answer can't be read: %w", err)
		}
		return t.verified("archive and store", r)
	}
	for _, path := range args {
		if path == "" || path[0] == '-' {
			return &usageError{"usage: journal verify [FILE or archive directory]..."}
		}
		r, err := journal.VerifyPath(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := t.verified(path, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *tool) verified(what string, r journal.Report) error {
	if t.json {
		return json.NewEncoder(t.Out).Encode(map[string]any{"verified": what, "report": r})
	}
	var said bytes.Buffer
	fmt.Fprintf(&said, "%s: entries %d to %d follow each other", plain(what), r.First, r.Last)
	if r.Records > 0 {
		fmt.Fprintf(&said, ", and fold to the %d records of the state", r.Records)
	}
	if r.Checkpoints > 0 {
		fmt.Fprintf(&said, ", %d checkpoints on the way", r.Checkpoints)
	}
	said.WriteByte('\n')
	next := r.First
	for _, p := range slices.Backward(r.Parts) {
		if p.Last+1 < next {
			fmt.Fprintf(&said, "  entries %d to %d are not here: another replica archived them\n", p.Last+1, next-1)
		}
		fmt.Fprintf(&said, "  entries %d to %d follow each other\n", p.First, p.Last)
		next = p.First
	}
	_, err := t.Out.Write(said.Bytes())
	return err
}
