package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// unpack downloads a Debian package and takes the program of the same name out
// of it. It needs no rights; the programs need nothing but libc.
func (in *installer) unpack(ctx context.Context, b cache.Binary) (string, error) {
	tree, err := in.unpackTree(ctx, b)
	return filepath.Join(tree, "usr", "bin", b.Name), err
}

func (in *installer) unpackTree(ctx context.Context, b cache.Binary) (string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", fmt.Errorf("this needs Debian 12: there is no apt-get; put %s %s into %s by hand", b.Name, b.Version, in.dir)
	}
	say("%s %s: downloading Debian's package", b.Name, b.Version)
	work, err := os.MkdirTemp(in.scratch, b.Name+"-")
	if err != nil {
		return "", err
	}
	if err := in.download(ctx, work, b.Name); err != nil {
		return "", err
	}
	packages, err := filepath.Glob(filepath.Join(work, b.Name+"_*.deb"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("apt-get download left %d packages, want 1", len(packages))
	}
	if err := command(ctx, work, "dpkg-deb", "-x", packages[0], "tree"); err != nil {
		return "", err
	}
	return filepath.Join(work, "tree"), nil
}

// templates puts Alertmanager's templates where Debian's program looks for
// them, if nobody has; installing the package would start a service.
func (in *installer) templates(ctx context.Context) error {
	var missing []string
	for _, path := range cache.AlertmanagerTemplates() {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	tree, err := in.unpackTree(ctx, cache.Alertmanager())
	if err != nil {
		return fmt.Errorf("alertmanager's templates: %w", err)
	}
	for _, path := range missing {
		if err := privileged(ctx, "install", "-D", "-m", "0644", "--", filepath.Join(tree, path), path); err != nil {
			return fmt.Errorf("alertmanager's templates: %w", err)
		}
		say("%s is there", path)
	}
	return nil
}

// download asks for packages, and once more after bringing the lists up to
// date: a bare machine has none, or old ones.
func (in *installer) download(ctx context.Context, work string, names ...string) error {
	get := func() error {
		return command(ctx, work, "apt-get", append(aptOptions("-o", "APT::Sandbox::User=root", "download"), names...)...)
	}
	err := get()
	if err == nil || in.listed {
		return err
	}
	if err := in.update(ctx); err != nil {
		return err
	}
	return get()
}

func (in *installer) update(ctx context.Context) error {
	in.listed = true
	return privileged(ctx, "apt-get", aptOptions("update")...)
}

// aptOptions are the arguments of an apt-get that tries a failed download again.
func aptOptions(args ...string) []string {
	return append([]string{"-qq", "-o", "Acquire::Retries=3"}, args...)
}

// program installs the package of a program that is missing, and starts no
// service.
func (in *installer) program(ctx context.Context, name, of string) error {
	if path, err := exec.LookPath(name); err == nil {
		say("%s is there (%s)", name, path)
		return nil
	}
	if !in.listed {
		if err := in.update(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := privileged(ctx, "apt-get", aptOptions("-y", "--no-install-recommends", "install", of)...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	say("%s is installed", name)
	return nil
}

// privileged runs a command as root: directly, or by sudo where that asks for
// no password.
func privileged(ctx context.Context, name string, args ...string) error {
	if os.Geteuid() != 0 {
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return fmt.Errorf("this needs root, and sudo would ask for a password: run as root: %s %s", name, strings.Join(args, " "))
		}
		name, args = "sudo", append([]string{"-n", name}, args...)
	}
	return command(ctx, "", name, args...)
}

// command runs a program, and shows what it said only where it failed.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}
