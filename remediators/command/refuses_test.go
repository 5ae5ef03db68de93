//go:build linux

package command

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// A secret of the environment stands in nothing that is told or kept, and neither
// does the daemon's own.
func TestSecretsAreNotTold(t *testing.T) {
	t.Setenv("PAGER_TOKEN", "canary-of-the-daemon")
	h := newRig(t)
	if err := os.WriteFile(filepath.Join(h.dir, "token"), []byte("canary-of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"0", "1"} {
		s := h.settings(h.script("say", `case $PSP_KEY in canary*file) echo given;; esac; env; echo "I use $PSP_KEY"; exit $CODE`))
		s.Env, s.EnvFiles = map[string]string{"CODE": code}, map[string]string{"PSP_KEY": "token"}
		a := h.action("a"+code, h.step(s))
		receipt, err := h.r.Start(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		p := h.over(a)
		told, err := json.Marshal([]any{a, receipt, p})
		if err != nil {
			t.Fatal(err)
		}
		if !has(string(told), "given", "I use …") || strings.Contains(string(told), "canary") {
			t.Errorf("exit code %s: %s", code, told)
		}
	}
	files, _ := filepath.Glob(h.data + "/*")
	if len(files) < 7 {
		t.Fatalf("got %q", files)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(string(b), "canary-of") {
			t.Errorf("%s: %v %s", f, err, b)
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, "token"), []byte("canary\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := h.settings("/bin/true")
	s.EnvFiles = map[string]string{"PSP_KEY": "token"}
	if f, err := h.r.Preview(t.Context(), h.step(s)); err != nil || !has(f.Refused, "env_files.PSP_KEY", "zero byte") || strings.Contains(f.Refused, "canary\x00") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// Without --allow-commands nothing is previewed or begun, and what was begun
// before is still followed.
func TestOffByDefault(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("a", h.step(h.settings(h.script("touch", "touch "+h.dir+"/ran"))))
	off := h.open(false)
	if f, err := off.Preview(t.Context(), a.Step); err != nil || !has(f.Refused, "--allow-commands") {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := off.Start(t.Context(), a); !isFailure(err) || !has(err.Error(), "--allow-commands") {
		t.Errorf("got %v", err)
	}
	if fileIs(h.dir + "/ran") {
		t.Error("it ran")
	}
	h.start(a)
	h.over(a)
	if p, err := off.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
		t.Errorf("got %+v, %v", p, err)
	}
}

// What somebody else could change is not run.
func TestPreviewRefuses(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	good := h.script("good", "true")
	others := h.script("others", "true")
	data := filepath.Join(h.dir, "data")
	open := filepath.Join(h.dir, "open")
	err := errors.Join(os.Chmod(others, 0o777), os.WriteFile(data, nil, 0o600), os.Mkdir(open, 0o777), os.Chmod(open, 0o777),
		os.Symlink(others, filepath.Join(h.dir, "link")), os.Symlink("loop", filepath.Join(h.dir, "loop")), os.Symlink("/bin/sh", filepath.Join(h.dir, "innocent")),
		os.WriteFile(filepath.Join(open, "inside"), nil, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	foreign := h.script("foreign", "true")
	_, mayGive := os.Chown(foreign, 65534, 65534), os.Geteuid() == 0
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"good":                        {func(*Settings) {}, ""},
		"a script that is good":       {func(s *Settings) { s.Argv = []string{"/bin/sh", "good"} }, ""},
		"an argument that is no file": {func(s *Settings) { s.Argv = []string{good, "restart"} }, ""},
		"not there":                   {func(s *Settings) { s.Argv = []string{h.dir + "/absent"} }, "is not there"},
		"others may write it":         {func(s *Settings) { s.Argv = []string{others} }, "chmod go-w"},
		"through a link":              {func(s *Settings) { s.Argv = []string{h.dir + "/link"} }, "chmod go-w"},
		"a loop of links":             {func(s *Settings) { s.Argv = []string{h.dir + "/loop"} }, "too many links"},
		"in an open directory":        {func(s *Settings) { s.Argv = []string{open + "/inside"} }, open + " may be written by others"},
		"not executable":              {func(s *Settings) { s.Argv = []string{data} }, "is not executable"},
		"a directory":                 {func(s *Settings) { s.Argv = []string{"/usr"} }, "is not a regular file"},
		"a script of others":          {func(s *Settings) { s.Argv = []string{"/bin/sh", "-e", "others"} }, "chmod go-w"},
		"no script":                   {func(s *Settings) { s.Argv = []string{"/bin/sh", "absent"} }, "is not there"},
		"a shell by a link":           {func(s *Settings) { s.Argv = []string{h.dir + "/innocent", "-c", "id"} }, "must not have a shell"},
		"no user":                     {func(s *Settings) { s.User = "signalbox-absent" }, "there must be a user signalbox-absent"},
		"no group":                    {func(s *Settings) { s.Group = "signalbox-absent" }, "there must be a group signalbox-absent"},
		"no directory":                {func(s *Settings) { s.Dir = h.dir + "/absent" }, "dir:"},
		"no value":                    {func(s *Settings) { s.EnvFiles = map[string]string{"TOKEN": "absent"} }, "env_files.TOKEN"},
		"a user's own program":        {func(s *Settings) { s.Argv = []string{foreign} }, "belongs to user 65534"},
	} {
		if name == "a user's own program" && !mayGive {
			continue
		}
		s := h.settings(good)
		s.Dir = h.dir
		c.change(s)
		f, err := h.r.Preview(t.Context(), h.step(s))
		if err != nil || (c.want == "") != (f.Refused == "") || !strings.Contains(f.Refused, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, f.Refused, err, c.want)
		}
	}
}

// As another user only who may become one runs anything, and says what is missing.
func TestWithoutTheRightToChangeUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		asOther(t, 64323)
		return
	}
	h := newRig(t)
	s := newSettings()
	s.Argv, s.User = []string{"/bin/true"}, "nobody"
	if f, err := h.r.Preview(t.Context(), h.step(s)); err != nil || !has(f.Refused, "as user nobody", "CAP_SETUID") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// A run that begins where no PATH or locale of the daemon's counts still knows its
// action's id.
func TestKnowsItsAction(t *testing.T) {
	t.Parallel()
	h := newRig(t)
	a := h.action("i-77", h.step(h.settings(h.script("id", `echo "$SIGNALBOX_ACTION_ID $PATH ${HOME-none}"`))))
	h.start(a)
	if p := h.over(a); !strings.HasSuffix(p.Receipt.Detail, "\ni-77 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin none") {
		t.Errorf("got %+v", p)
	}
	if d := h.probe(a).Receipt.At; d.After(time.Now().Add(time.Minute)) {
		t.Errorf("got %v", d)
	}
}
