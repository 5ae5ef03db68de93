package journal

import (
	"errors"
	"runtime"
	"sync"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// decoders decode parts of a listing side by side into one State.
type decoders struct {
	parts   chan []store.KV
	working sync.WaitGroup

	mu     sync.Mutex
	state  *signalbox.State
	wrong  error
	beside string // the key of the record that is wrong: of several, the first is told
}

func newDecoders() *decoders {
	d := &decoders{parts: make(chan []store.KV), state: signalbox.NewState()}
	for range runtime.GOMAXPROCS(0) {
		d.working.Go(func() {
			for part := range d.parts {
				d.decode(part)
			}
		})
	}
	return d
}

// errWrong ends a listing of which a part can't be decoded; end says why.
var errWrong = errors.New("a record can't be decoded")

// take has a part decoded; it waits while all are busy, so that little is held.
func (d *decoders) take(part []store.KV) error {
	d.mu.Lock()
	wrong := d.wrong
	d.mu.Unlock()
	if wrong != nil {
		return errWrong
	}
	d.parts <- part
	return nil
}

func (d *decoders) decode(part []store.KV) {
	puts := make([]func(*signalbox.State), len(part))
	for i, kv := range part {
		put, err := decodeRecord(kv)
		if err != nil {
			d.mu.Lock()
			if d.wrong == nil || kv.Key < d.beside {
				d.wrong, d.beside = err, kv.Key
			}
			d.mu.Unlock()
			return
		}
		puts[i] = put
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, kv := range part {
		puts[i](d.state)
		d.state.Rev[signalbox.Key(kv.Key)] = int64(kv.Mod)
	}
}

// end waits until all is decoded.
func (d *decoders) end() (*signalbox.State, error) {
	close(d.parts)
	d.working.Wait()
	return d.state, d.wrong
}
