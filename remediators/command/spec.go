package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a run needs, so that an action outlives the
// configuration that made it. It holds no secret.
type spec struct {
	Argv            []string          `json:"argv"`
	User            string            `json:"user"`
	Group           string            `json:"group,omitempty"`
	Dir             string            `json:"dir"`
	Timeout         kind.Duration     `json:"timeout"`
	Memory          uint64            `json:"memory"` // bytes
	CPU             kind.Duration     `json:"cpu"`
	FileSize        uint64            `json:"file_size"` // bytes
	OpenFiles       int               `json:"open_files"`
	Processes       int               `json:"processes"`
	Env             map[string]string `json:"env,omitempty"`
	EnvFiles        map[string]string `json:"env_files,omitempty"` // absolute
	ItemPattern     string            `json:"item_pattern,omitempty"`
	ExitCodes       []int             `json:"exit_codes"`
	KeepOutputLines int               `json:"keep_output_lines,omitempty"`
	Approval        bool              `json:"approval,omitempty"`
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	c, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("tool %q: must be command, got %q", in.Name, in.Backend)
	}
	s := spec{
		Argv: c.Argv, User: c.User, Group: c.Group, Dir: c.Dir, Timeout: c.Timeout, CPU: c.CPU,
		Memory: uint64(c.Memory.Value), FileSize: uint64(c.FileSize.Value), OpenFiles: c.OpenFiles, Processes: c.Processes,
		Env: c.Env, ItemPattern: c.ItemPattern, ExitCodes: c.ExitCodes, KeepOutputLines: c.KeepOutputLines,
		Approval: c.Approval == required || c.Approval == "" && c.takesItems(),
	}
	for name, file := range c.EnvFiles {
		if s.EnvFiles == nil {
			s.EnvFiles = map[string]string{}
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(in.ConfigDir, file)
		}
		s.EnvFiles[name] = file
	}
	return json.Marshal(s)
}

// parseSpec reads Step.Spec strictly: a key that this version does not know may be
// a limit that it would not keep.
func parseSpec(raw json.RawMessage) (*spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("step's spec can't be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("step's spec can't be read: more than one value")
	}
	if len(s.Argv) == 0 || s.User == "" || s.Dir == "" || s.Timeout <= 0 || s.CPU <= 0 || s.Memory == 0 || s.FileSize == 0 || s.OpenFiles <= 0 || s.Processes <= 0 {
		return nil, errors.New("step's spec must hold a program, a user, a directory and all limits")
	}
	return &s, nil
}
