//go:build faults

package step

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Armed says whether steps can be stopped at.
const Armed = true

// order is what happens at one passing of a step.
type order struct {
	at   Name
	nth  int
	what string // kill, stop, wait, late
	of   string // the file or the time
}

var (
	mu     sync.Mutex
	passed = map[Name]int{}
	orders = sync.OnceValue(func() []order {
		os, err := parse(os.Getenv("SIGNALBOX_STEPS"))
		if err != nil {
			panic("SIGNALBOX_STEPS: " + err.Error())
		}
		return os
	})
	record = sync.OnceValue(func() *os.File {
		path := os.Getenv("SIGNALBOX_STEPS_LOG")
		if path == "" {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			panic("SIGNALBOX_STEPS_LOG: " + err.Error())
		}
		return f
	})
)

// At passes a step, and does there what was ordered.
func At(n Name) {
	mu.Lock()
	passed[n]++
	nth := passed[n]
	if f := record(); f != nil {
		fmt.Fprintf(f, "%s %d\n", n, nth)
	}
	mu.Unlock()
	for _, o := range orders() {
		if o.at == n && o.nth == nth {
			o.carryOut()
		}
	}
}

func (o order) carryOut() {
	switch o.what {
	case "kill":
		signal(syscall.SIGKILL)
		select {} // nothing of this goroutine comes after it
	case "stop":
		signal(syscall.SIGSTOP)
	case "wait":
		for {
			if _, err := os.Stat(o.of); err == nil {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	case "late":
		d, _ := time.ParseDuration(o.of) // parse has seen it
		<-time.After(d)
	}
}

func signal(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err)
	}
}

// parse reads orders, and says which is wrong and why.
func parse(text string) ([]order, error) {
	var all []order
	for _, one := range strings.Split(text, ";") {
		f := strings.Fields(one)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 {
			return nil, fmt.Errorf("%q must be STEP N WHAT", one)
		}
		nth, err := strconv.Atoi(f[1])
		if err != nil || nth < 1 {
			return nil, fmt.Errorf("%q: the passing must be a number above zero, got %q", one, f[1])
		}
		o := order{at: Name(f[0]), nth: nth, what: f[2]}
		if !slices.Contains(Names(), o.at) {
			return nil, fmt.Errorf("%q: there is no step %q", one, f[0])
		}
		needs := map[string]int{"kill": 3, "stop": 3, "wait": 4, "late": 4}[o.what]
		if needs == 0 || len(f) != needs {
			return nil, fmt.Errorf("%q must end in kill, stop, wait FILE or late TIME", one)
		}
		if needs == 4 {
			o.of = f[3]
		}
		if _, err := time.ParseDuration(o.of); o.what == "late" && err != nil {
			return nil, fmt.Errorf("%q: %w", one, err)
		}
		all = append(all, o)
	}
	return all, nil
}
