package remediators_test

import (
	"bytes"
	"net"
	"sync/atomic"
)

// wireDoor is a door before a server that speaks no HTTP: it can only close
// connections, or keep what goes over them.
type wireDoor struct {
	*webDoor // what it met, and what it will

	address, server string
	mark            []byte
}

// can: such a server has no statuses; what it refuses, it refuses in its own
// words, which the kind's own tests speak.
func (d *wireDoor) can(f fault) bool { return f.code == 0 }

func (d *wireDoor) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go d.pass(c)
	}
}

// pass carries one connection, until it ends or a fault ends it.
func (d *wireDoor) pass(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", d.server)
	if err != nil {
		return
	}
	defer to.Close()
	var swallow atomic.Bool // the next answer
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer c.Close()
		answer := make([]byte, 1<<16)
		for {
			n, err := to.Read(answer)
			if err != nil || swallow.Load() {
				return
			}
			if _, err := c.Write(answer[:n]); err != nil {
				return
			}
		}
	}()
	question := make([]byte, 1<<16)
	for {
		n, err := c.Read(question)
		if err != nil {
			return
		}
		f, s := d.comes(bytes.Contains(bytes.ToLower(question[:n]), d.mark))
		if s != nil {
			close(s.reached)
			<-s.goes
			defer close(s.over)
		}
		if s == nil && f != nil && !f.after {
			return
		}
		swallow.Store(s != nil || f != nil)
		if _, err := to.Write(question[:n]); err != nil {
			return
		}
		if s != nil || f != nil {
			<-answered
			return
		}
	}
}
