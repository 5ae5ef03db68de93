package servers

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/signalbox/signalbox/test/servers/cache"
)

// PostgresServer is a running PostgreSQL, a primary or a standby. Its account
// postgres needs no password, on loopback.
type PostgresServer struct {
	*Server
	Port int

	t   testing.TB
	how how
	bin string // folder of its programs
	dir string // of all its servers; of the account that runs it

	standbys int // that were made of it
}

// Postgres starts a primary.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	account, b := nobody(), cache.Postgres()
	bundle(t, b)
	dir := openDir(t, account)
	tree := reachable(t, b, account, dir, "usr/lib", "lib", "usr/share/postgresql")
	p := &PostgresServer{
		t: t, dir: dir, bin: filepath.Dir(b.Find(tree)),
		how: how{env: libraries(b, tree), dir: dir, user: account, quit: syscall.SIGINT},
	}
	data := filepath.Join(dir, "primary")
	p.must(filepath.Join(p.bin, "initdb"), "--pgdata="+data, "--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync")
	p.serve(data)
	return p
}

// Standby starts a hot standby that streams from p.
func (p *PostgresServer) Standby() *PostgresServer {
	p.t.Helper()
	s := &PostgresServer{t: p.t, dir: p.dir, bin: p.bin, how: p.how}
	p.standbys++
	data := filepath.Join(p.dir, fmt.Sprintf("standby-%d", p.standbys))
	s.must(filepath.Join(p.bin, "pg_basebackup"), "--pgdata="+data, "--dbname="+p.DSN(), "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	s.serve(data)
	return s
}

func (p *PostgresServer) serve(data string) {
	p.t.Helper()
	p.Server = start(p.t, launch{
		name: filepath.Base(data) + " postgres", how: p.how, url: loopback("postgresql"),
		argv: func(port int) []string {
			p.Port = port
			return []string{
				filepath.Join(p.bin, "postgres"), "-D", data, "-p", fmt.Sprint(port), "-c", "listen_addresses=127.0.0.1",
				"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "wal_receiver_status_interval=1s", "-c", "shared_preload_libraries=pg_stat_statements",
			}
		},
		check: func(ctx context.Context, _ int) error { _, err := p.Query(ctx, "SELECT 1"); return err },
	})
}

// DSN is the server's address, as libpq and its likes have it.
func (p *PostgresServer) DSN() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable connect_timeout=10", p.Port)
}

// Query runs SQL and returns its rows, with | between columns.
func (p *PostgresServer) Query(ctx context.Context, sql string) (string, error) {
	return run(ctx, p.how, filepath.Join(p.bin, "psql"), "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+p.DSN(), "--command="+sql)
}

// Exec runs SQL that must not fail.
func (p *PostgresServer) Exec(sql string) string {
	p.t.Helper()
	out, err := p.Query(p.t.Context(), sql)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *PostgresServer) must(argv ...string) {
	p.t.Helper()
	if _, err := run(p.t.Context(), p.how, argv...); err != nil {
		p.t.Fatal(err)
	}
}
