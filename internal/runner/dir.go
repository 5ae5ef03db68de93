package runner

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a directory of orders.
type Dir string

// Prepare makes the directory, with mode 0700 and an identity of its own, and
// clears away what has long ended.
func (d Dir) Prepare(now time.Time) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(string(d), 0o700); err != nil {
		return err
	}
	_, err := os.Stat(d.path(idFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = d.link(idFile, []byte(rand.Text()), nil)
	}
	if err != nil {
		return err
	}
	d.sweep(now)
	return nil
}

// Identity tells this directory on this host from every other. An order that is
// not in a directory of another identity may be there, or may have been.
func (d Dir) Identity() (string, error) {
	text, err := os.ReadFile(d.path(idFile))
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	return host + "/" + strings.TrimSpace(string(text)), nil
}

// Look tells how far the order of an id has come. It writes nothing.
func (d Dir) Look(id string) (Seen, error) {
	n := name(id)
	f, err := os.Open(d.path(n + orderFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Seen{State: Absent}, nil
	}
	if err != nil {
		return Seen{}, err
	}
	defer f.Close()
	var o Order
	if err := readJSON(f, &o); err != nil {
		return Seen{}, err
	}
	if o.ID != id {
		return Seen{}, fmt.Errorf("%s is not of %s", f.Name(), id)
	}
	s := Seen{Argv: o.Argv}
	held, err := isLocked(f)
	if err != nil {
		return Seen{}, err
	}
	began, err := d.read(n+begunFile, &s.Begun)
	switch {
	case held: // a begin that is being written can't be read yet
		s.State = Running
		return s, nil
	case err != nil && !began:
		return Seen{}, err
	}
	ended, err := d.read(n+endFile, &s.End)
	switch {
	case err != nil:
		return Seen{}, err
	case ended && s.End.Never != "":
		s.State = Never
	case ended:
		s.State = Ended
	case began:
		s.State = Lost
	default:
		s.State = Never
		s.End.Never = "nobody began it"
	}
	return s, nil
}

// isLocked reports whether somebody holds the lock. The lock that it takes to find
// out is shared, gone at once, and in nobody's way: who holds the other one has it
// from before the file had its name.
func isLocked(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return true, nil
		}
		return false, err
	}
}

func (d Dir) path(file string) string { return filepath.Join(string(d), file) }

// read reads a file of JSON into v. It reports whether there is one, also where it
// can't be read.
func (d Dir) read(file string, v any) (bool, error) {
	f, err := os.Open(d.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return true, readJSON(f, v)
}

func readJSON(f *os.File, v any) error {
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err == nil && len(text) > mostFile {
		err = errTooLong
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

// link makes a file, whole and durable from the moment when it has its name; where
// there is one it fails with fs.ErrExist. before is called on the open file before
// it has its name; then it stays open, and is the caller's.
func (d Dir) link(file string, text []byte, before func(*os.File) error) error {
	f, err := d.temp(text)
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp) //nolint:errcheck // what is left behind is cleared away later
	if before == nil {
		defer f.Close()
	} else if err := before(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := os.Link(temp, d.path(file)); err != nil {
		if before != nil {
			f.Close()
		}
		return err
	}
	if err := d.sync(); err != nil && before == nil {
		return err
	} else if err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// rename makes a file, or another one in its place, whole and durable.
func (d Dir) rename(file string, text []byte) error {
	f, err := d.temp(text)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Rename(f.Name(), d.path(file)); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return d.sync()
}

const tempPrefix = "new-"

// temp is a new file with text in it, on disk.
func (d Dir) temp(text []byte) (*os.File, error) {
	f, err := os.CreateTemp(string(d), tempPrefix)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// sync makes durable which names there are.
func (d Dir) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// sweep clears away what has ended, or never began, longer ago than Keep. What
// nobody saw the end of stays. What can't be removed stays too: it is tried again.
func (d Dir) sweep(now time.Time) {
	list, err := os.ReadDir(string(d))
	if err != nil {
		return
	}
	old := func(file string) bool {
		info, err := os.Stat(d.path(file))
		return err == nil && now.Sub(info.ModTime()) > Keep
	}
	for _, e := range list {
		n, isOrder := strings.CutSuffix(e.Name(), orderFile)
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix) && old(e.Name()):
			_ = os.Remove(d.path(e.Name()))
		case isOrder && old(e.Name()) && d.over(n, old):
			for _, end := range []string{orderFile, begunFile, endFile} {
				_ = os.Remove(d.path(n + end))
			}
		}
	}
}

// over reports whether an old order has long come to its end.
func (d Dir) over(n string, old func(string) bool) bool {
	var begun Begun
	began, _ := d.read(n+begunFile, &begun)
	if began {
		return old(n + endFile)
	}
	f, err := os.Open(d.path(n + orderFile))
	if err != nil {
		return false
	}
	defer f.Close()
	held, err := isLocked(f)
	return err == nil && !held
}
