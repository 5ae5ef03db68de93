package etcd

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Who waits between two tries goes on when the store gets up, again each time
// that it was down; while it is up, and where it stays down, the pause is whole.
func TestPauseEndsWhenTheStoreGetsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newStore(0, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		up := func() { s.use(clientv3.NewCtxClient(context.Background()), "me") }
		took := func(meanwhile func()) time.Duration {
			began := time.Now()
			done := make(chan struct{})
			go func() { s.pauseWhileDown(t.Context(), time.Minute); close(done) }()
			synctest.Wait()
			meanwhile()
			<-done
			return time.Since(began)
		}
		if d := took(func() {}); d != time.Minute {
			t.Errorf("while it is down: got %v, want the pause of %v", d, time.Minute)
		}
		for range 2 {
			if d := took(up); d != 0 {
				t.Errorf("it got up: got %v, want no pause", d)
			}
			if d := took(up); d != time.Minute {
				t.Errorf("while it is up: got %v, want the pause of %v", d, time.Minute)
			}
			s.drop(errors.New("gone"))
		}
	})
}
