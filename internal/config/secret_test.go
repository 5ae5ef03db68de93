package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const canary = "canary-7c1f"

// TestCanaryInErrors: the broken files hold canaries where secrets would be,
// and so do the files and variables that they name.
func TestCanaryInErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*")
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, path := range files {
		if filepath.Ext(path) != ".yaml" {
			continue
		}
		if strings.Contains(read1(t, path), canary) {
			held++
		}
		_, err := load(path)
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", err)} {
			if strings.Contains(text, canary) {
				t.Errorf("%s: a secret is in the error:\n%s", path, text)
			}
		}
	}
	if held < 10 {
		t.Errorf("only %d broken files hold a canary", held)
	}
}

// TestCanaryInEveryPlace puts a canary under keys that could take a secret, in
// every kind of block, and in every form that a person may give it.
func TestCanaryInEveryPlace(t *testing.T) {
	base := read1(t, "testdata/good/whole.yaml")
	places := []string{
		"kind: alertmanager", "source: cluster", `primary: "@be-lead"`, "primary_key_env", "field: value", "above: 1s",
		`url: "http://127.0.0.1:8080/beat"`, "endpoint: ", "name: black-friday", "type: Bearer", "min_version: TLS12",
		"values: [prod]", "flip: payouts", "within: 6m",
	}
	forms := []string{"%s: @", "%s: [@]", "%s: {@}", "%s: {a: @}", "%s: !!int @", "%s: *@", "%s: '@", "u: http://%s:@@h"}
	dir := t.TempDir()
	for _, key := range []string{"password", "routing_key", "x-api-key", "harmless"} {
		for _, place := range places {
			for _, form := range forms {
				given := strings.ReplaceAll(fmt.Sprintf(form, key), "@", canary)
				given = strings.ReplaceAll(given, canary+canary, canary+"@") // the last form
				if key == "harmless" && !strings.HasPrefix(form, "u:") {
					continue // a word that is shown rightly: nothing says that it is a secret
				}
				text := strings.Replace(base, place, given+", "+place, 1)
				path := filepath.Join(dir, "c.yaml")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := Load(path, testKinds(), Options{SecretsElsewhere: true})
				switch {
				case err == nil:
					t.Errorf("%q before %q was accepted", given, place)
				case strings.Contains(err.Error(), canary):
					t.Errorf("%q before %q is shown:\n%v", given, place, err)
				}
			}
		}
	}
}

// TestCanaryInConfig: what was loaded names files and variables, and holds
// nothing of what is in them.
func TestCanaryInConfig(t *testing.T) {
	cfg := mustLoad(t, "testdata/good/whole.yaml")
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(cfg); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "SIGNALBOX_PD_DEVOPS") {
		t.Fatal("the JSON form says nothing of the owners: the test would prove nothing")
	}
	fmt.Fprintf(&out, "%v %+v %#v", cfg, cfg, cfg)
	for _, s := range cfg.Sources {
		fmt.Fprintf(&out, "%+v %+v", s, s.Settings)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("loaded", "config", cfg)
	if strings.Contains(out.String(), canary) {
		t.Errorf("a secret is in:\n%s", out.String())
	}
}

func TestUserInfo(t *testing.T) {
	for text, want := range map[string]bool{
		"http://u:p@h": true, "x http://token@h/": true, "postgres://u:p/q@h:5432/db": true, "http://u:p%40@h": true,
		"http://h:9090/a@b": false, "http://h/?q=a@b": false, "a@b": false, "http://h": false, "": false,
		"http://[::1]:9090/x@y": false,
	} {
		if hasUserInfo(text) != want {
			t.Errorf("%q: want %t", text, want)
		}
	}
}
