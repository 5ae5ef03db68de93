package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Command is the hidden subcommand under which the binary calls Main.
const Command = "command-runner"

// Latency is by when a start that was begun has come through, or never will.
const Latency = 15 * time.Second

// Keep is how long the files of what has ended are kept.
const Keep = 32 * 24 * time.Hour

// startWithin is how long after it was asked for a program may still begin.
const startWithin = 10 * time.Second

// Order is what is to be run, once for its id. It holds no secret.
type Order struct {
	ID       string            `json:"id"`
	Argv     []string          `json:"argv"` // argv[0] is the program's absolute path
	Dir      string            `json:"dir"`
	User     *User             `json:"user,omitempty"` // nil: the daemon's own
	Env      map[string]string `json:"env,omitempty"`
	EnvFiles map[string]string `json:"env_files,omitempty"` // what they hold is the value; read last thing
	Timeout  time.Duration     `json:"timeout_ns"`
	Limits   Limits            `json:"limits"`
	StartBy  time.Duration     `json:"start_by_ns"` // set by Start, on the clock of the boot
}

// User is whom a program runs as. It is given no supplementary group.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Limits are those of each process of a program (setrlimit(2)); but Processes is
// of all that the user has. A limit that the daemon itself has below is kept.
type Limits struct {
	Memory    uint64        `json:"memory"` // bytes of address space
	CPU       time.Duration `json:"cpu_ns"`
	FileSize  uint64        `json:"file_size"` // bytes
	OpenFiles uint64        `json:"open_files"`
	Processes uint64        `json:"processes"`
}

// State is how far an order has come.
type State int

// The states. All but Running are final.
const (
	Absent  State = iota // there is no such order
	Running              // somebody may still begin it, or follows it
	Ended                // it ran, and Seen.End says how it ended
	Never                // it did not begin, and never will
	Lost                 // it began, and nobody saw its end
)

// Seen is what is known of an order.
type Seen struct {
	State State
	Argv  []string
	Begun Begun // zero: it has not begun, or that can't be read
	End   End
}

// Begun is written before the program can do anything.
type Begun struct {
	PID  int       `json:"pid"` // of its first process, and of its session and group
	At   time.Time `json:"at"`
	Ends time.Time `json:"ends"` // when it will be killed
}

// End is how it ended.
type End struct {
	At       time.Time `json:"at"`
	Never    string    `json:"never,omitempty"` // why the program did not begin; empty: it did
	Code     int       `json:"code"`            // its exit code, or -1
	Signal   string    `json:"signal,omitempty"`
	TimedOut bool      `json:"timed_out,omitempty"`
	Left     bool      `json:"left,omitempty"` // it left processes behind, which were killed
	Bytes    int64     `json:"bytes"`          // of its output in all
	Output   string    `json:"output"`         // the end of it
}

// ErrKnown: there is an order of the id, and Look tells about it.
var ErrKnown = errors.New("there is an order of this id")

// name is what the files of an id are called.
func name(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:12])
}

// The ends of the files' names.
const (
	orderFile = ".order"
	begunFile = ".begun"
	endFile   = ".end"
	idFile    = "id"
)

// mostFile bounds what is read of a file of ours, and mostSecret what is read of a
// file with a value for the environment.
const (
	mostFile   = 4 << 20
	mostSecret = 64 << 10
)

var errTooLong = fmt.Errorf("is longer than %d bytes", mostFile)
