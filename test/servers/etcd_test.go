package servers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// It keeps its data over a kill, and answers nothing while it is stopped.
func TestEtcdIsStoppedAndKilled(t *testing.T) {
	t.Parallel()
	e := servers.Etcd(t)
	client := e.Client()
	if _, err := client.Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	e.Pause()
	within, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.Get(within, "k"); err == nil {
		t.Error("it answers while it is stopped")
	}
	e.Resume()
	e.Kill()
	e.Restart()
	servers.Await(t, servers.Patience, "the value", func(ctx context.Context) error {
		got, err := client.Get(ctx, "k")
		if err == nil && (len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "v") {
			err = fmt.Errorf("got %v", got.Kvs)
		}
		return err
	})
}
