package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// bundle unpacks the packages of a server, and what they depend on and this
// machine lacks, into one folder, unless a good one is there. Nothing is
// installed, so that no service starts, and no rights are needed.
func (in *installer) bundle(ctx context.Context, b cache.Bundle) error {
	dir, err := b.Path()
	if err != nil {
		return err
	}
	if in.checkBundle(ctx, b, dir) == nil {
		say("%s %s is there", b.Name, b.Version)
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this needs Debian 12: there is no apt-get for %s %s", b.Name, b.Version)
	}
	started := time.Now()
	say("%s %s: downloading Debian's packages", b.Name, b.Version)
	tree, err := in.unpackAll(ctx, b)
	if err != nil {
		return fmt.Errorf("%s %s: %w", b.Name, b.Version, err)
	}
	if err := in.checkBundle(ctx, b, tree); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(tree, dir)); err != nil {
		return err
	}
	say("%s %s is ready (%s)", b.Name, b.Version, time.Since(started).Round(time.Second))
	return nil
}

func (in *installer) unpackAll(ctx context.Context, b cache.Bundle) (string, error) {
	work, err := os.MkdirTemp(in.scratch, b.Name+"-")
	if err != nil {
		return "", err
	}
	names, err := in.lacking(ctx, b.Packages)
	if err != nil {
		return "", err
	}
	if err := in.download(ctx, work, names...); err != nil {
		return "", err
	}
	packages, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(packages) != len(names) {
		return "", fmt.Errorf("apt-get download left %d packages, want %d", len(packages), len(names))
	}
	for _, p := range packages {
		if err := command(ctx, work, "dpkg-deb", "-x", p, "tree"); err != nil {
			return "", err
		}
	}
	return filepath.Join(work, "tree"), nil
}

// lacking are the packages, and those that they depend on and that are not
// installed here.
func (in *installer) lacking(ctx context.Context, packages []string) ([]string, error) {
	simulate := func() ([]byte, error) {
		args := append([]string{"-qq", "-y", "--no-install-recommends", "--print-uris", "-o", "Debug::NoLocking=true", "install"}, packages...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		return cmd.Output()
	}
	out, err := simulate()
	if err != nil && !in.listed { // a bare machine has no lists of packages, or old ones
		if err := in.update(ctx); err != nil {
			return nil, err
		}
		out, err = simulate()
	}
	if err != nil {
		return nil, fmt.Errorf("apt-get --print-uris install %s: %w", strings.Join(packages, " "), err)
	}
	names := slices.Clone(packages)
	for line := range strings.Lines(string(out)) { // 'URI' name_version_arch.deb size hash
		if f := strings.Fields(line); len(f) >= 2 {
			if name, _, ok := strings.Cut(f[1], "_"); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// checkBundle looks for the program, and runs it for its version.
func (in *installer) checkBundle(ctx context.Context, b cache.Bundle, dir string) error {
	path := b.Find(dir)
	if path == "" {
		return fmt.Errorf("%s %s: no %s in %s", b.Name, b.Version, b.Program, dir)
	}
	if b.Shows == nil {
		return nil
	}
	return shows(ctx, cache.Binary{Name: b.Name, Version: b.Version}, path, []string{"LD_LIBRARY_PATH=" + b.Libraries(dir)}, b.Shows)
}
