//go:build !linux

package runner

import (
	"errors"
	"time"
)

var errLinux = errors.New("programs are run on Linux only: no other system can end all the processes of one")

// Start is for Linux.
func (d Dir) Start(Order, time.Time, func() error) error { return errLinux }

// MayBecome says that it can't.
func MayBecome() string { return errLinux.Error() }

// Main is for Linux.
func Main([]string) int { return 2 }
