package pace

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpend(t *testing.T) {
	p, now := New(1, 3), time.Unix(0, 0)
	for range 3 {
		if wait := p.Spend("a", now); wait != 0 {
			t.Fatalf("got %s", wait)
		}
	}
	for range 2 { // what is not spent does not push the next moment away
		if wait := p.Spend("a", now); wait != time.Second {
			t.Errorf("got %s", wait)
		}
	}
	if wait := p.Spend("b", now); wait != 0 {
		t.Errorf("another place: got %s", wait)
	}
	if wait := p.Spend("a", now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later: got %s", wait)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := New(1, 1), time.Now()
		for range 3 {
			if left := p.Wait(t.Context(), "a", time.Now, 5*time.Second); left != 0 {
				t.Fatalf("got %s", left)
			}
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
		if left := p.Wait(t.Context(), "a", time.Now, 500*time.Millisecond); left != time.Second {
			t.Errorf("longer than it may: got %s", left)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if left := p.Wait(ctx, "a", time.Now, time.Minute); left != 0 || time.Since(begun) != 2*time.Second {
			t.Errorf("got %s", left)
		}
	})
}
