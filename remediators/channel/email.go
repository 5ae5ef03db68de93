package channel

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/wneessen/go-mail"
)

// portOfTLS is where TLS begins with the connection.
const portOfTLS = 465

// email sends one message to each address, over one connection. It is told when
// one of them was taken: a wrong address must not keep it from the others.
func (r *Remediator) email(ctx context.Context, s *Email, m message) error {
	password := ""
	if s.Username != "" {
		var err error
		if password, err = reach.Secret("mail password", s.PasswordFile, s.PasswordEnv); err != nil {
			return err
		}
	}
	client, err := s.client(ctx, password)
	if err != nil {
		return err
	}
	messages := make([]*mail.Msg, 0, len(s.To))
	for _, to := range s.To {
		msg, err := s.message(m, to)
		if err != nil {
			return &signalbox.Failure{Reason: "mail", Err: errors.New("the message could not be written")}
		}
		msg.SetDateWithValue(r.env.Now())
		messages = append(messages, msg)
	}
	err = client.DialAndSendWithContext(ctx, messages...)
	taken := 0
	for _, msg := range messages {
		if msg.IsDelivered() {
			taken++
		}
	}
	if err == nil || taken > 0 {
		if taken < len(messages) && r.env.Log != nil {
			r.env.Log.Warn("mail: some addresses were refused", "owner", m.Owner, "taken", taken, "of", len(messages), "error", mailError(err, s.Username, password))
		}
		return nil
	}
	return mailError(err, s.Username, password)
}

// client makes the connection of one call. Without TLS, on this machine, PLAIN
// is the one way to log in.
func (s *Email) client(ctx context.Context, password string) (*mail.Client, error) {
	host, text, err := net.SplitHostPort(s.Smarthost)
	port, bad := strconv.Atoi(text)
	if err != nil || bad != nil {
		return nil, &signalbox.Failure{Reason: "mail", Err: errors.New("smarthost must be a host with its port")}
	}
	trust := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mail: ca_file: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mail: ca_file: %s holds no certificate", s.CAFile)
		}
	}
	policy, login := mail.TLSMandatory, mail.SMTPAuthAutoDiscover
	if reach.Loopback(host) && s.CAFile == "" {
		policy, login = mail.NoTLS, mail.SMTPAuthPlain
	}
	options := []mail.Option{mail.WithPort(port), mail.WithTLSPolicy(policy), mail.WithTLSConfig(trust), mail.WithTimeout(sendTimeout), mail.WithoutNoop()}
	if port == portOfTLS {
		options = append(options, mail.WithSSL()) // it dials by itself, and ends after sendTimeout
	} else {
		options = append(options, mail.WithDialContextFunc(dialUntil(ctx)))
	}
	if s.Username != "" {
		options = append(options, mail.WithSMTPAuth(login), mail.WithUsername(s.Username), mail.WithPassword(password))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, &signalbox.Failure{Reason: "mail", Err: errors.New("the client's settings are refused")}
	}
	return client, nil
}

// dialUntil makes connections that end with outer: go-mail minds a context
// until it is connected.
func dialUntil(outer context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(outer, func() { _ = conn.Close() })
		return conn, nil
	}
}

// message is one mail. Its id is the same when it is sent again, and it refers
// to the page, so that mailboxes thread what is said of it.
func (s *Email) message(m message, to string) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(s.From); err != nil {
		return nil, err
	}
	if err := msg.To(to); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(s.From, "@")
	id := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		return hex.EncodeToString(sum[:16]) + "@" + domain
	}
	msg.Subject("[signalbox] " + m.title())
	msg.SetMessageIDWithValue(id(m.Key, string(m.Event), m.Body.At.UTC().String(), m.Body.Summary, to))
	msg.SetGenHeader(mail.HeaderReferences, "<"+id(m.Key)+">")
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, strings.Join(append([]string{m.title(), ""}, m.lines()...), "\n")+"\n")
	return msg, nil
}

// mailError sorts what the server said. A 5xx to the message or its address
// would come again; whatever concerns the way or the credential may mend. A
// server's words are repeated without the password, however it was sent.
func mailError(err error, username, password string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if password != "" {
		for _, spelt := range []string{password, encoded(password), encoded("\x00" + username + "\x00" + password)} {
			text = strings.ReplaceAll(text, spelt, "[password]")
		}
	}
	said := fmt.Errorf("mail: %s", pagetext.Plain(text, 300))
	if e, ok := errors.AsType[*mail.SendError](err); ok && e.ErrorCode()/100 == 5 {
		return &signalbox.Failure{Reason: "the message is refused", Err: said}
	}
	return said
}

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
