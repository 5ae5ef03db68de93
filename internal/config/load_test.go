package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected files anew: look at the difference before you commit it")

// testEnv is the environment of the tests.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"SIGNALBOX_PD_DEVOPS": "canary-7c1f-env", "EMPTY": ""}[name]
	return v, ok
}

func load(path string) (*Config, error) {
	return Load(path, testKinds(), Options{LookupEnv: testEnv})
}

// TestBroken loads each broken file; what is wrong with it is in the .want file
// beside it, word for word and to the last error.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, path := range files {
		if strings.HasSuffix(path, ".want") {
			continue
		}
		cases++
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, err := load(path)
			if err == nil {
				t.Fatalf("it was accepted: %+v", cfg)
			}
			got := strings.ReplaceAll(err.Error(), "testdata/broken/", "") + "\n"
			wantFile := path + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if cases < 45 {
		t.Errorf("there must be at least 45 broken configurations, got %d", cases)
	}
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no good configurations", err)
	}
	for _, path := range files {
		if _, err := load(path); err != nil {
			var ps Problems
			t.Errorf("%s must load (problems: %t):\n%v", path, errors.As(err, &ps), err)
		}
	}
}
