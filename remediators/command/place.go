package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/runner"
)

// place is what a run would find on this host.
type place struct {
	uid, gid uint32
	own      bool     // the user is the daemon's own
	files    []string // what would be run, with what tells it from another version of it
}

// unfit says what forbids a tool on this host, as far as it does not depend on who
// asks; empty: nothing.
func unfit(raw json.RawMessage) string {
	sp, err := parseSpec(raw)
	if err == nil {
		_, err = sp.look()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// look reads what a run would find. It runs nothing, and its error is definite.
func (sp *spec) look() (*place, error) {
	p := &place{}
	if err := p.identify(sp); err != nil {
		return nil, err
	}
	info, err := os.Stat(sp.Dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", sp.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	program, info, err := trusted(sp.Argv[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("argv[0]: %w", err)
	case info.Mode().Perm()&0o111 == 0:
		return nil, fmt.Errorf("argv[0]: %s is not executable", program)
	}
	if why := shellText(append([]string{program}, sp.Argv[1:]...)); why != "" {
		return nil, fmt.Errorf("argv %s", why)
	}
	p.files = append(p.files, version(program, info))
	if file := sp.script(); file != "" {
		file, info, err := trusted(file)
		if err != nil {
			return nil, fmt.Errorf("argv: %w", err)
		}
		p.files = append(p.files, version(file, info))
	}
	for _, name := range slices.Sorted(maps.Keys(sp.EnvFiles)) {
		if _, err := runner.ReadValue(sp.EnvFiles[name]); err != nil {
			return nil, fmt.Errorf("env_files.%s: %w", name, err)
		}
	}
	return p, nil
}

// identify finds the user and the group.
func (p *place) identify(sp *spec) error {
	u, err := user.Lookup(sp.User)
	if err != nil {
		return fmt.Errorf("there must be a user %s on this host: %w", sp.User, err)
	}
	group := u.Gid
	if sp.Group != "" {
		g, err := user.LookupGroup(sp.Group)
		if err != nil {
			return fmt.Errorf("there must be a group %s on this host: %w", sp.Group, err)
		}
		group = g.Gid
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(group, 10, 32)
	switch {
	case err1 != nil || err2 != nil:
		return fmt.Errorf("user %s has no number", sp.User)
	case uid == 0 || gid == 0:
		return fmt.Errorf("user %s is root, or in its group: a program is never run so", sp.User)
	}
	p.uid, p.gid = uint32(uid), uint32(gid)
	p.own = int(uid) == os.Geteuid() && int(gid) == os.Getegid()
	return nil
}

// script is the first argument that is no option, where it names a file: what an
// interpreter runs.
func (sp *spec) script() string {
	for _, a := range sp.Argv[1:] {
		if !fixed(a) {
			continue
		}
		if !filepath.IsAbs(a) {
			a = filepath.Join(sp.Dir, a)
		}
		info, err := os.Stat(a)
		if err != nil || !info.Mode().IsRegular() {
			if !runs(sp.Argv[0]) {
				return ""
			}
			return a // an interpreter's: that it is not there is said
		}
		return a
	}
	return ""
}

// mostLinks is how many symbolic links are followed, as the kernel does.
const mostLinks = 40

// trusted resolves a path to a regular file, and refuses it where anybody but root
// and the daemon's own user could put another one in its place.
func trusted(file string) (string, fs.FileInfo, error) {
	at, todo := "/", strings.Split(file, "/")
	info, err := os.Lstat(at)
	for links := 0; err == nil; {
		if err = loose(at, info); err != nil || len(todo) == 0 {
			break
		}
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			info, err = os.Lstat(at)
			continue
		}
		next := filepath.Join(at, name)
		if info, err = os.Lstat(next); err != nil {
			break
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if err = loose(next, info); err != nil {
			break
		}
		target, linkErr := os.Readlink(next)
		if links++; linkErr != nil || links > mostLinks {
			return "", nil, errors.Join(linkErr, fmt.Errorf("%s leads through too many links", file))
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
		info, err = os.Lstat(at)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, fmt.Errorf("%s is not there", file)
	case err != nil:
		return "", nil, err
	case !info.Mode().IsRegular():
		return "", nil, fmt.Errorf("%s is not a regular file", at)
	}
	return at, info, nil
}

// loose is an error where others may write a file, or put another one into a
// directory. In one with the sticky bit nobody replaces what is another's.
func loose(path string, info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("%s: its owner can't be read", path)
	case owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, who could have anything run: give it to root", path, owner.Uid)
	case info.Mode()&fs.ModeSymlink != 0, info.IsDir() && info.Mode()&fs.ModeSticky != 0:
		return nil
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others, who could have anything run: chmod go-w %s", path, reach.Quote(path))
	}
	return nil
}

// version tells a file from another version of it.
func version(path string, info fs.FileInfo) string {
	v := fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		v += fmt.Sprintf(" %d", s.Ino)
	}
	return v
}

// digest identifies what would be run.
func (p *place) digest(sp *spec, argv []string) string {
	b, err := json.Marshal(struct {
		Spec     *spec
		Argv     []string
		UID, GID uint32
		Files    []string
	}{sp, argv, p.uid, p.gid, p.files})
	if err != nil { // of strings and numbers
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
