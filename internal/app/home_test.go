package app

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A data directory is one process's at a time, whose run is new and whose home
// is the same each time; a copy is told apart only where it has another name.
func TestHomeIsOneProcess(t *testing.T) {
	data := t.TempDir()
	first, release, err := takeHome(data, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := takeHome(data, "b"); !errors.Is(err, errHomeTaken) {
		t.Errorf("taken twice: %v", err)
	}
	release()
	second, release, err := takeHome(data, "a")
	if err != nil || second.Home != first.Home || second.Run == first.Run || first.Home == "" || second.Replica != "a" {
		t.Errorf("got %+v after %+v, %v", second, first, err)
	}
	release()
	if other, release, err := takeHome(t.TempDir(), "a"); err != nil || other.Home == first.Home {
		t.Errorf("another directory: %+v, %v", other, err)
	} else {
		release()
	}
	broken := t.TempDir()
	if err := os.Mkdir(filepath.Join(broken, homeFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if p, release, err := takeHome(broken, "a"); err == nil || p.Home == "" || p.Home == first.Home {
		t.Errorf("a home that can't be read must be one of its own, got %+v, %v", p, err)
	} else {
		release()
	}
}
