package etcd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// child is one process of the member.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	log    *relay
	said   chan string   // lines of how far it has come
	ready  chan struct{} // closed when it serves
	exited chan struct{} // closed when it is reaped; then err is set
	err    error
}

// spawn starts the member in the data directory and tells it its settings.
func (e *Embedded) spawn() (*child, error) {
	c := &child{
		cmd:    exec.Command(e.argv[0], e.argv[1:]...),
		log:    &relay{log: e.opt.Log},
		said:   make(chan string, 64),
		ready:  make(chan struct{}),
		exited: make(chan struct{}),
	}
	dir, err := filepath.Abs(e.opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	c.cmd.Dir = dir
	c.cmd.Env = memberEnv(os.Environ())
	c.cmd.WaitDelay = stopTimeout
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	go c.attend(stdout, stderr)
	// A child that ends at once can't be told; its exit says more than that.
	_ = json.NewEncoder(c.stdin).Encode(settings{
		Quota: e.opt.Quota, Keep: e.opt.Keep, Wait: e.opt.StartTimeout / 2, Cluster: e.opt.Cluster, Formed: e.claim.Formed,
	})
	return c, nil
}

// attend reads what the child says until it ends, and reaps it.
func (c *child) attend(stdout, stderr io.Reader) {
	defer close(c.exited)
	var readers sync.WaitGroup
	readers.Go(func() { c.hear(stdout) })
	readers.Go(func() { c.log.copy(stderr) })
	readers.Wait()
	c.err = c.cmd.Wait()
}

// hear reads how far the child has come. It never waits for who listens, so that
// the child is reaped when it ends.
func (c *child) hear(stdout io.Reader) {
	serves := sync.OnceFunc(func() { close(c.ready) })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == readyLine {
			serves()
			continue
		}
		select {
		case c.said <- lines.Text():
		default:
		}
	}
}

// end has the child end in good order, by EOF of its stdin, and waits for it.
func (c *child) end() {
	c.log.ending.Store(true)
	_ = c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		c.kill()
	}
}

func (c *child) kill() {
	_ = c.stdin.Close()
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// memberEnv is what of the environment the member is given: nothing that the
// daemon may hold a secret in.
func memberEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "TZ", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK", "GOCOVERDIR":
			env = append(env, kv)
		}
	}
	return env
}
