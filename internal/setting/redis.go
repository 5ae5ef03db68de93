package setting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// redisSetting is one key of a Redis. It writes in a transaction that watches
// the key and the fence's key beside it (Redis' "Transactions", optimistic
// locking with check-and-set): the write of whoever looked before another wrote
// is not carried out. Redis has no versions, so the version is a hash of both.
//
// What a master has taken and not yet given to a replica is lost when that
// replica takes over; the fence is lost with it, and the action is then in
// doubt.
type redisSetting struct {
	spec    redisSpec
	options *redis.Options
}

type redisSpec struct {
	Address      string `json:"address"`
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"password_file,omitempty"` // absolute
	Database     int    `json:"database,omitempty"`
	Key          string `json:"key"`
	// TLS is the TLS configuration as Prometheus has it, as JSON; nil: none.
	TLS *promconfig.TLSConfig `json:"tls,omitempty"`
}

// dialRedis reads what its connections need: there is one for each look or
// write, and it tries nothing twice, since what was sent once may have had its
// effect.
func dialRedis(s redisSpec, agent string) (*redisSetting, error) {
	o := &redis.Options{
		Addr: s.Address, Username: s.Username, DB: s.Database, ClientName: strings.ReplaceAll(agent, " ", "-"),
		MaxRetries: -1, DialerRetries: 1, DialTimeout: reach.CallTimeout, ReadTimeout: reach.CallTimeout, WriteTimeout: reach.CallTimeout,
		ContextTimeoutEnabled: true, PoolSize: 1, Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.PasswordFile != "" {
		password, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
		o.Password = strings.TrimSpace(string(password))
	}
	if s.TLS != nil {
		config, err := promconfig.NewTLSConfig(s.TLS)
		if err != nil {
			return nil, fmt.Errorf("redis: tls_config: %w", err)
		}
		if host, _, err := net.SplitHostPort(s.Address); err == nil && config.ServerName == "" {
			config.ServerName = host
		}
		o.TLSConfig = config
	}
	return &redisSetting{spec: s, options: o}, nil
}

func (r *redisSetting) target() signalbox.Target {
	return signalbox.Target(fmt.Sprintf("redis %s/%d %s", strings.ToLower(r.spec.Address), r.spec.Database, r.spec.Key))
}

func (r *redisSetting) reach() string {
	return fmt.Sprintf("everything that reads key %s of the Redis at %s", r.spec.Key, r.spec.Address)
}

// fenceKey stands in the same hash slot as the key.
func (r *redisSetting) fenceKey() string {
	if i := strings.Index(r.spec.Key, "{"); i >= 0 && strings.Index(r.spec.Key[i:], "}") > 1 {
		return "signalbox:fence:" + r.spec.Key
	}
	return "signalbox:fence:{" + r.spec.Key + "}"
}

func (r *redisSetting) cli(words ...string) string {
	host, port, err := net.SplitHostPort(r.spec.Address)
	if err != nil {
		return ""
	}
	command := "redis-cli -h " + reach.Quote(host) + " -p " + reach.Quote(port)
	if r.spec.Database != 0 {
		command += " -n " + strconv.Itoa(r.spec.Database)
	}
	for _, w := range words {
		command += " " + reach.Quote(w)
	}
	return command
}

func (r *redisSetting) byHand(value string) string {
	return r.cli("SET", r.spec.Key, value, "KEEPTTL")
}
func (r *redisSetting) handBack() string { return r.cli("DEL", r.fenceKey()) }

// may is not known before a write.
func (r *redisSetting) may(context.Context) string { return "" }

func (r *redisSetting) read(ctx context.Context) (state, error) {
	client := redis.NewClient(r.options)
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	st, err := r.look(ctx, client)
	if err != nil {
		return state{}, r.explain(ctx, "get", err, false)
	}
	return st, nil
}

// look reads key and fence at one moment.
func (r *redisSetting) look(ctx context.Context, c redis.Cmdable) (state, error) {
	got, err := c.MGet(ctx, r.spec.Key, r.fenceKey()).Result() // atomic; nil where a key is missing or no string
	if err != nil {
		return state{}, err
	}
	value, ok := got[0].(string)
	if !ok {
		return state{}, reach.Refused("%s: there is no such key that holds a string: set it to the value of one of the positions", r.target())
	}
	encoded, _ := got[1].(string)
	sum := sha256.Sum256([]byte(strconv.Itoa(len(value)) + ":" + value + encoded))
	st := state{value: value, version: hex.EncodeToString(sum[:8]), class: signalbox.ClassA}
	if encoded != "" {
		f, err := fence.Parse([]byte(encoded))
		if err != nil {
			st.blocked = fmt.Sprintf("%s: key %s %v; to hand it back: %s", r.target(), r.fenceKey(), err, r.handBack())
		}
		st.fence = f
	}
	return st, nil
}

func (r *redisSetting) write(ctx context.Context, s state, ch change, gate func() error) (string, error) {
	client := redis.NewClient(r.options)
	defer func() { _ = client.Close() }()
	encoded, err := ch.fence.Encode()
	if err != nil {
		return "", &signalbox.Failure{Reason: "the fence can't be written", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	sent := false
	err = client.Watch(ctx, func(tx *redis.Tx) error {
		now, err := r.look(ctx, tx)
		if err != nil {
			return err
		}
		if now.version != s.version {
			return reach.ErrConflict
		}
		if err := reach.Pass(ctx, gate); err != nil {
			return err
		}
		sent = true
		commands, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if ch.value != nil {
				p.Set(ctx, r.spec.Key, *ch.value, redis.KeepTTL)
			}
			p.Set(ctx, r.fenceKey(), string(encoded), 0)
			return nil
		})
		return cause(commands, err)
	}, r.spec.Key, r.fenceKey())
	if errors.Is(err, redis.TxFailedErr) || errors.Is(err, reach.ErrConflict) {
		return "", reach.ErrConflict
	}
	if err != nil {
		return "", r.explain(ctx, "set", err, sent)
	}
	return "", nil
}

// explain says what an error means. What Redis itself answers is definite: a
// transaction of which a command can't be queued is discarded as a whole.
func (r *redisSetting) explain(ctx context.Context, verb string, err error, sent bool) error {
	var failure *signalbox.Failure
	var answer redis.Error
	switch {
	case errors.As(err, &failure):
		return err
	case errors.As(err, &answer):
		return &signalbox.Failure{Reason: "the target refused", Err: fmt.Errorf("%s: %s: %s", r.target(), verb, answered(answer))}
	case !sent || reach.Undelivered(err):
		text := fmt.Errorf("%s: %s: %w", r.target(), verb, reach.Unanswered(ctx, err))
		if verb == "get" {
			return text
		}
		return &signalbox.Failure{Reason: "nothing was sent", Err: text}
	}
	return fmt.Errorf("%s: %s: %w", r.target(), verb, reach.Unanswered(ctx, err))
}

// cause is why a transaction was discarded: EXEC itself does not say it.
func cause(commands []redis.Cmder, err error) error {
	var answer redis.Error
	for _, c := range commands {
		if errors.As(err, &answer) && errors.As(c.Err(), &answer) && !strings.HasPrefix(c.Err().Error(), "EXECABORT") {
			return c.Err()
		}
	}
	return err
}

// answered is what Redis said, with what to change.
func answered(err redis.Error) string {
	text := reach.Shown(err.Error())
	word, _, _ := strings.Cut(text, " ")
	advice := map[string]string{
		"READONLY":  "it is a replica: give the address of the master",
		"NOAUTH":    "it wants a password: give password_file",
		"WRONGPASS": "the password of password_file is not accepted",
		"NOPERM":    "the user may not do this: it needs GET, MGET, SET, WATCH, MULTI and EXEC on the key and its fence's key",
		"MOVED":     "it is a node of a cluster that does not have the key: give the address of the one that has",
		"LOADING":   "it is still reading its data",
	}[word]
	if advice == "" {
		return text
	}
	return text + ": " + advice
}
