package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/calendar"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// How calendars are read: what is near now, within how long, and how soon again
// after a failure.
const (
	calendarBehind = 24 * time.Hour
	calendarAhead  = 90 * 24 * time.Hour
	calendarWithin = 30 * time.Second
	calendarRetry  = time.Minute
)

// calendarReader reads one calendar, and remembers what it read: it outlives a
// reload that does not change where the calendar is.
type calendarReader struct {
	name, where string
	read        func(ctx context.Context) ([]byte, error)

	mu   sync.Mutex // one reading at a time
	last signalbox.Calendar
}

// calendars prepares the calendars of the configuration. Nothing is read yet: a
// file that can't be is a freeze, not a daemon that does not start.
func (b *builder) calendars() error {
	b.rt.set.Calendars = map[string]string{}
	for _, c := range b.cfg.Calendars {
		r := &calendarReader{name: c.Name, where: c.File, read: readFile(c.File)}
		if c.URL != "" {
			read, err := readURL(c, b.env.Agent)
			if err != nil {
				return fmt.Errorf("freeze %q: calendar: %w", c.Name, err)
			}
			r.where, r.read = c.URL, read
		}
		b.rt.set.Calendars[c.Name] = r.where
		b.rt.calendars = append(b.rt.calendars, calendarUse{r, c.Refresh, c.MaxAge})
	}
	return nil
}

// calendarUse is a calendar in one configuration.
type calendarUse struct {
	*calendarReader
	refresh, maxAge time.Duration
}

// startConditions begins reading the calendars and silences of a configuration.
// The caller holds roundsLock, and ctx ends with the configuration.
func (d *daemon) startConditions(ctx context.Context, rt *runtime) {
	kept := map[string]*calendarReader{}
	d.metrics.calendarLast.Reset()
	d.metrics.calendarMaxAge.Reset()
	for _, use := range rt.calendars {
		if old := d.calendars[use.name]; old != nil && old.where == use.where {
			use.calendarReader = old
		}
		kept[use.name] = use.calendarReader
		d.metrics.calendarMaxAge.WithLabelValues(use.name).Set(use.maxAge.Seconds())
		d.roundsAlive.Go(func() { d.readCalendar(ctx, use) })
	}
	d.calendars = kept
	if rt.silencer != nil {
		d.roundsAlive.Go(func() { d.readSilences(ctx, rt.set.Silences, rt.silencer) })
	}
}

// readCalendar reads a calendar until ctx ends.
func (d *daemon) readCalendar(ctx context.Context, use calendarUse) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		c, err := use.again(ctx, d.options.Now())
		if ctx.Err() != nil {
			return
		}
		next := use.refresh
		if err != nil {
			d.log.Warn("calendar", "freeze", use.name, "read", c.At, "error", err)
			next = min(next, calendarRetry)
		}
		last := 0.0 // never: a calendar that is not there at a start is to be alerted on too
		if !c.At.IsZero() {
			last = float64(c.At.UnixMilli()) / 1e3
		}
		d.metrics.calendarLast.WithLabelValues(use.name).Set(last)
		d.engine.Calendar(ctx, use.name, c)
		t.Reset(next)
	}
}

// again reads the calendar. Where that fails, what was read before stands, and
// is as old as it was.
func (r *calendarReader) again(ctx context.Context, now time.Time) (*signalbox.Calendar, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, calendarWithin)
	defer cancel()
	text, err := r.read(within)
	var windows []signalbox.Window
	if err == nil {
		windows, err = calendar.Parse(text, now.Add(-calendarBehind), now.Add(calendarAhead))
	}
	if err == nil {
		r.last = signalbox.Calendar{At: now, Windows: windows}
	} else {
		r.last.Err = err.Error()
	}
	c := r.last
	return &c, err
}

// readFile reads a file of a bounded length.
func readFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, errors.Join(fmt.Errorf("%s must be a file", path), err)
		}
		return io.ReadAll(io.LimitReader(f, calendar.MaxBytes+1))
	}
}

// readURL reads what is at an address, which may be a secret and is in no
// error. What has not changed is not sent again.
func readURL(c *config.Calendar, agent string) (func(context.Context) ([]byte, error), error) {
	rt, err := promconfig.NewRoundTripperFromConfig(promconfig.DefaultHTTPClientConfig, "calendar_"+c.Name, promconfig.WithUserAgent(agent))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: rt, CheckRedirect: sameServer}
	var text []byte
	var tag, modified string
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, http.NoBody)
		if err != nil {
			return nil, errors.New("url: the request can't be made")
		}
		req.Header.Set("Accept", "text/calendar, text/plain;q=0.5")
		setIf(req.Header, "If-None-Match", tag)
		setIf(req.Header, "If-Modified-Since", modified)
		resp, err := client.Do(req)
		if err != nil {
			return nil, httpclient.Explain(err)
		}
		defer resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusNotModified && text != nil && tag+modified != "":
			return text, nil
		case resp.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("answered status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		got, err := io.ReadAll(io.LimitReader(resp.Body, calendar.MaxBytes+1))
		if err != nil {
			return nil, fmt.Errorf("the answer broke off: %w", httpclient.Explain(err))
		}
		text, tag, modified = got, resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
		return text, nil
	}, nil
}

func setIf(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// sameServer follows redirects on one server only: who writes the calendar is
// who was configured.
func sameServer(to *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > 5 || to.URL.Host != first.Host || to.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}
