package app

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	signalbox "github.com/signalbox/signalbox"
)

// homeFile names the data directory, for as long as it is there; it is locked by
// the process that has the directory.
const homeFile = "home"

// takeHome makes the data directory this process's, until the file that it
// returns is closed, and says who this process is. A process that finds it
// taken does not start (errHomeTaken): that it could take it is what proves its
// predecessor dead. Where the disk does not let it be read the process has a
// home of its own, and proves nothing; err says so.
func takeHome(data, replica string) (p signalbox.Process, release func(), err error) {
	p = signalbox.Process{Replica: replica, Home: rand.Text(), Run: rand.Text()}
	file, err := os.OpenFile(filepath.Join(data, homeFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return p, func() {}, err
	}
	release = func() { _ = file.Close() }
	switch err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = errHomeTaken
	case err == nil:
		var name string
		if name, err = homeName(file); err == nil {
			p.Home = name
			return p, release, nil
		}
	}
	release()
	return p, func() {}, err
}

var errHomeTaken = errors.New("another process has it")

// homeName reads the name of a home, and gives it one the first time. It is on
// the disk before it is used.
func homeName(file *os.File) (string, error) {
	text := make([]byte, 64)
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if name := strings.TrimSpace(string(text[:n])); name != "" {
		return name, nil
	}
	name := rand.Text()
	if _, err := file.WriteAt([]byte(name+"\n"), 0); err != nil {
		return "", err
	}
	return name, file.Sync()
}
