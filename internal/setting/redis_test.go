package setting_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/setting"
	"github.com/signalbox/signalbox/test/servers"
)

// cache is a real Redis with one switch.
type cache struct {
	t *testing.T
	*servers.RedisServer
	settings setting.Redis
	signalbox.Remediator
}

const redisPassword = "s3cr3t-of-the-cache"

func newCache(t *testing.T) *cache {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED with -short: it needs a real Redis")
	}
	c := &cache{t: t, RedisServer: servers.Redis(t)}
	c.Exec("SET", "REDIS_SECONDARY", "cache-a:6379")
	c.settings = setting.Redis{Address: fmt.Sprintf("127.0.0.1:%d", c.Port), Key: "REDIS_SECONDARY"}
	r, err := setting.Open(kind.Env{Now: time.Now, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	c.Remediator = r
	return c
}

func (c *cache) step(to string) signalbox.Step {
	c.t.Helper()
	raw, err := setting.Resolve(kind.SpecInput{
		Name: "cache", Backend: "redis", Settings: &c.settings, ConfigDir: c.t.TempDir(),
		Positions: map[string]string{"a": "cache-a:6379", "b": "cache-b:6379"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return signalbox.Step{Kind: "endpoint", Name: "cache", To: to, Spec: raw}
}

func (c *cache) claim(s signalbox.Step, id signalbox.ActionID, token signalbox.Token) signalbox.Action {
	c.t.Helper()
	f, err := c.Preview(c.t.Context(), s)
	if err != nil || f.Refused != "" {
		c.t.Fatalf("preview: %v, refused: %s", err, f.Refused)
	}
	return signalbox.Action{ID: id, Step: s, Forecast: f, Stage: signalbox.Claimed, Token: token, ClaimedAt: time.Now()}
}

func (c *cache) want(value string) {
	c.t.Helper()
	if got := c.Exec("GET", "REDIS_SECONDARY"); got != value {
		c.t.Errorf("the key is %q, want %q", got, value)
	}
}

func TestRedisFlipAndUndo(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	c.Exec("EXPIRE", "REDIS_SECONDARY", "5000")
	a := c.claim(c.step("b"), "act-1", 7)
	if a.Forecast.Class != signalbox.ClassA || a.Forecast.Position != "a" || a.Forecast.Undo == nil || c.Exec("EXISTS", "signalbox:fence:{REDIS_SECONDARY}") != "0" {
		t.Fatalf("got %+v", a.Forecast)
	}
	for range 2 { // the same action twice is one effect
		if _, err := c.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	c.want("cache-b:6379")
	if ttl := c.Exec("TTL", "REDIS_SECONDARY"); ttl == "-1" {
		t.Error("the key lost its time to live")
	}
	if p, err := c.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
		t.Fatalf("got %+v, %v", p, err)
	}
	u := c.claim(*a.Forecast.Undo, "act-2", 9)
	u.Undoes = a.ID
	if _, err := c.Start(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	c.want("cache-a:6379")
}

// A person's value is left alone, and so is one that nobody listed.
func TestRedisYieldsToAPerson(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	a := c.claim(c.step("b"), "act-1", 7)
	if _, err := c.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	c.Exec("SET", "REDIS_SECONDARY", "cache-a:6379")
	if f, err := c.Preview(t.Context(), c.step("b")); err != nil || !strings.Contains(f.Refused+f.Hand, "someone else changed it") {
		t.Errorf("got %+v, %v", f, err)
	}
	c.Exec("SET", "REDIS_SECONDARY", "elsewhere:1")
	if f, err := c.Preview(t.Context(), c.step("b")); err != nil || !strings.Contains(f.Refused, "not one of the listed positions") {
		t.Errorf("got %+v, %v", f, err)
	}
	c.Exec("DEL", "REDIS_SECONDARY")
	if f, err := c.Preview(t.Context(), c.step("b")); err != nil || !strings.Contains(f.Refused, "there is no such key") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// Whoever comes between the look and the write wins, whatever was looked at
// last; a successor's seal shuts the late write out.
func TestRedisLateWrite(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	a := c.claim(c.step("b"), "act-1", 7)
	a.Gate = func() error { // after its last look, before it sends
		sealer := c.Remediator.(signalbox.Sealer)
		late := a
		late.Gate = nil
		return sealer.Seal(t.Context(), late, 8)
	}
	_, err := c.Start(t.Context(), a)
	var failure *signalbox.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a failure: it was sealed", err)
	}
	c.want("cache-a:6379")
	a.Sealed = 8
	if p, err := c.Probe(t.Context(), a); err != nil || p.Phase != signalbox.NotStarted {
		t.Fatalf("got %+v, %v", p, err)
	}
}

func TestRedisGateSendsNothing(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	a := c.claim(c.step("b"), "act-1", 7)
	a.Gate = func() error { return errors.New("killed") }
	var failure *signalbox.Failure
	if _, err := c.Start(t.Context(), a); !errors.As(err, &failure) || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("got %v", err)
	}
	c.want("cache-a:6379")
	if c.Exec("EXISTS", "signalbox:fence:{REDIS_SECONDARY}") != "0" {
		t.Error("a fence was written")
	}
}

// What Redis refuses says what to change, and shows no password.
func TestRedisAnswers(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(redisPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	replica := c.Replica(60)
	pause := func() { c.Exec("CONFIG", "SET", "requirepass", redisPassword) }
	for _, x := range []struct {
		name    string
		prepare func()
		start   bool // it is met at the write
		want    string
	}{
		{"a replica", func() { c.settings.Address = fmt.Sprintf("127.0.0.1:%d", replica.Port) }, true, "give the address of the master"},
		{"no password", func() { c.settings.Address = fmt.Sprintf("127.0.0.1:%d", c.Port); pause() }, false, "give password_file"},
		{"a wrong user", func() { c.settings.Username, c.settings.PasswordFile = "nobody", file }, false, "not accepted"},
		{"no file", func() { c.settings.Username, c.settings.PasswordFile = "", "absent" }, false, "no such file"},
		{"nobody listens", func() { c.settings.PasswordFile = file; c.settings.Address = "127.0.0.1:1" }, false, "no connection could be made"},
	} {
		x.prepare()
		if x.start {
			awaitValue(t, replica, "cache-a:6379")
		}
		f, err := c.Preview(t.Context(), c.step("b"))
		said := fmt.Sprint(f.Refused, err)
		if x.start {
			_, err = c.Start(t.Context(), c.claim(c.step("b"), "act-1", 7))
			said = fmt.Sprint(err)
		}
		if !strings.Contains(said, x.want) || strings.Contains(said, redisPassword) {
			t.Errorf("%s: got %s, want %q", x.name, said, x.want)
		}
	}
}

func awaitValue(t *testing.T, r *servers.RedisServer, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if got, err := r.Do(ctx, "GET", "REDIS_SECONDARY"); err == nil && got == value {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("the replica has not got it")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A paused server answers nothing: a look fails, and a write is in doubt only
// where it was sent.
func TestRedisThatHangs(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	a := c.claim(c.step("b"), "act-1", 7)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	a.Gate = func() error { c.Pause(); return nil }
	_, err := c.Start(ctx, a)
	var failure *signalbox.Failure
	if err == nil || errors.As(err, &failure) {
		t.Fatalf("got %v, want a doubt: it may have been carried out", err)
	}
	c.Resume()
	deadline, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		p, err := c.Probe(deadline, a)
		if err == nil && p.Phase == signalbox.Succeeded { // it is carried out once the server goes on
			break
		}
		if deadline.Err() != nil {
			t.Fatalf("got %+v, %v", p, err)
		}
	}
	c.want("cache-b:6379")
}

// The rights that the page gives the daemon's user are enough to flip, to look, to
// seal and to take back; and it can do nothing else: no other key, no other command.
func TestRedisDocumentedRights(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/remediators/endpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(page), "\nACL SETUSER ")
	line, _, _ = strings.Cut(line, "\n")
	if !ok || !strings.Contains(line, ">…") {
		t.Fatalf("the page has no rights of a user: %q", line)
	}
	c := newCache(t)
	c.Exec(append([]string{"ACL", "SETUSER"}, strings.Fields(strings.Replace(line, ">…", ">"+redisPassword, 1))...)...)
	c.settings.Username = strings.Fields(line)[0]
	c.settings.PasswordFile = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(c.settings.PasswordFile, []byte(redisPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.claim(c.step("b"), "act-1", 7)
	if _, err := c.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	c.want("cache-b:6379")
	if p, err := c.Probe(t.Context(), a); err != nil || p.Phase != signalbox.Succeeded {
		t.Fatalf("got %+v, %v", p, err)
	}
	u := c.claim(*a.Forecast.Undo, "act-2", 9)
	u.Undoes = a.ID
	if s, ok := c.Remediator.(signalbox.Sealer); !ok {
		t.Fatal("it can't be sealed")
	} else if err := s.Seal(t.Context(), a, 8); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	c.want("cache-a:6379")
	for _, words := range [][]string{{"GET", "payouts"}, {"DEL", "REDIS_SECONDARY"}, {"KEYS", "*"}, {"CONFIG", "GET", "*"}, {"FLUSHALL"}} {
		if got := c.Exec(append([]string{"ACL", "DRYRUN", c.settings.Username}, words...)...); got == "OK" {
			t.Errorf("it may do %q", words)
		}
	}
}
