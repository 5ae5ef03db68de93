package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/reach"
)

// awsLatency is how long IAM may take until what it took can be read back: it
// is eventually consistent.
const awsLatency = 2 * time.Minute

// awsKey is an access key of an IAM user. Its id is not a secret; its secret is
// never asked for, and IAM does not tell it.
type awsKey struct {
	spec awsSpec
	iam  *iam.Client
	http aws.HTTPClient
	now  func() time.Time
}

// newAWS reads the credentials anew each time, so that rotated ones count.
// Nothing is tried twice by itself.
func newAWS(ctx context.Context, s awsSpec, now func() time.Time) (*awsKey, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(s.Region), // with the SDK's own client, which heeds AWS_CA_BUNDLE
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithLogger(logging.Nop{}), // it would write to standard error, past our log
	}
	if s.CredentialsFile != "" { // a profile that is named counts before the environment
		options = append(options, config.WithSharedConfigFiles([]string{}),
			config.WithSharedCredentialsFiles([]string{s.CredentialsFile}), config.WithSharedConfigProfile(s.Profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil { // the loader's error may quote the file
		return nil, errors.New("the credentials for AWS can't be loaded")
	}
	return &awsKey{spec: s, http: c.HTTPClient, now: now, iam: iam.NewFromConfig(c, func(o *iam.Options) {
		if s.Endpoint != "" {
			o.BaseEndpoint = &s.Endpoint
		}
	})}, nil
}

// gated asks the last check when the request is signed and ready to go.
type gated struct {
	next aws.HTTPClient
	gate func() error
	sent bool // the request was handed over
}

func (g *gated) Do(r *http.Request) (*http.Response, error) {
	if err := reach.Pass(r.Context(), g.gate); err != nil {
		return nil, err
	}
	g.sent = true
	return g.next.Do(r)
}

// explain is that of the key, where the request may have gone out.
func (g *gated) explain(ctx context.Context, k *awsKey, verb string, err error) error {
	err = k.explain(ctx, verb, true, err)
	if !g.sent {
		return reach.Unsent(err)
	}
	return err
}

func (k *awsKey) moves() []string { return []string{moveRevoked, moveDeleted} }

func (k *awsKey) name() string { return "access key " + k.spec.User + "/" + k.spec.Leaked }

// explain says what an error means. Of an answer only AWS' own code is said.
func (k *awsKey) explain(ctx context.Context, verb string, write bool, err error) error {
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // of the last check
		return failure
	}
	var api smithy.APIError
	var answer *awshttp.ResponseError
	answered := errors.As(err, &answer)
	if !errors.As(err, &api) || !answered {
		text := fmt.Errorf("%s: %s: %w", k.name(), verb, reach.Unanswered(ctx, err))
		if write && reach.Undelivered(err) {
			return &signalbox.Failure{Reason: "nothing was sent", Err: text}
		}
		if answered { // by a proxy, in words that are not AWS'
			return k.later(answer, text)
		}
		return text
	}
	code := answer.HTTPStatusCode()
	text := k.later(answer, fmt.Errorf("%s: %s was answered %d %s", k.name(), verb, code, reach.Shown(api.ErrorCode())))
	switch {
	case api.ErrorCode() == "NoSuchEntity":
		return &signalbox.Failure{Reason: "there must be this user with this access key", Err: text}
	case code == http.StatusForbidden:
		return &signalbox.Failure{Reason: fmt.Sprintf("grant iam:%s on user %s", verb, k.spec.User), Err: text}
	case reach.Definite(code) && (write || code != http.StatusTooManyRequests && api.ErrorCode() != "Throttling"):
		return &signalbox.Failure{Reason: "AWS refused", Err: text}
	}
	return text
}

// later adds when an answer says to come back.
func (k *awsKey) later(answer *awshttp.ResponseError, text error) error {
	var wait *signalbox.RetryAfter
	if errors.As(httpclient.After(&httpclient.Error{Status: answer.HTTPStatusCode()}, answer.Response.Header, k.now()), &wait) {
		return reach.Later(wait.After, text)
	}
	return text
}

// read returns the key that leaked, and a newer one of the user that is active;
// nil: there is none.
func (k *awsKey) read(ctx context.Context) (leaked, newer *types.AccessKeyMetadata, err error) {
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	out, err := k.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &k.spec.User})
	if err != nil {
		return nil, nil, k.explain(ctx, "ListAccessKeys", false, err)
	}
	if out.IsTruncated {
		return nil, nil, reach.Refused("user %s has more access keys than AWS allows", k.spec.User)
	}
	for i := range out.AccessKeyMetadata {
		if m := &out.AccessKeyMetadata[i]; aws.ToString(m.AccessKeyId) == k.spec.Leaked {
			leaked = m
		}
	}
	for i := range out.AccessKeyMetadata {
		m := &out.AccessKeyMetadata[i]
		if leaked != nil && m != leaked && m.Status == types.StatusTypeActive && aws.ToTime(m.CreateDate).After(aws.ToTime(leaked.CreateDate)) {
			newer = m
		}
	}
	return leaked, newer, nil
}

func (k *awsKey) look(ctx context.Context, move string, f *signalbox.Forecast) error {
	f.Class, f.Latency, f.Takes = signalbox.ClassC, signalbox.Duration(awsLatency), signalbox.Duration(awsLatency)
	f.Targets = []signalbox.Target{signalbox.Target(k.name())}
	f.Reach = "whoever still signs with " + k.name() + " is shut out"
	leaked, newer, err := k.read(ctx)
	if err != nil {
		return err
	}
	if leaked == nil {
		return reach.Refused("%s is not there: leaked must be the id of the key that leaked", k.name())
	}
	inactive := leaked.Status == types.StatusTypeInactive
	f.Found = fmt.Sprintf("%s is %s", k.name(), leaked.Status)
	if move == moveRevoked && inactive {
		f.Already = true
		return nil
	}
	if newer == nil {
		return reach.Refused("it is not rotated yet: user %s has no other active key that is newer", k.spec.User)
	}
	f.Version = fmt.Sprintf("%s replaced by %s", leaked.Status, aws.ToString(newer.AccessKeyId))
	used, err := k.used(ctx)
	if err != nil {
		return err
	}
	if move == moveDeleted {
		f.NeedsApproval = fmt.Sprintf("a credential is deleted for good: %s, %s", k.name(), used)
		if !inactive {
			return reach.Refused("%s is still %s: take the step to: revoked first, which can be taken back by hand", k.name(), leaked.Status)
		}
		return nil
	}
	f.NeedsApproval = fmt.Sprintf("a credential is taken away: %s, %s", k.name(), used)
	f.ByHand = fmt.Sprintf("aws iam update-access-key --user-name %s --access-key-id %s --status Active", reach.Quote(k.spec.User), reach.Quote(k.spec.Leaked))
	return nil
}

// used refuses where the key was in use lately, and else says when it was.
func (k *awsKey) used(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	out, err := k.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &k.spec.Leaked})
	if err != nil {
		return "", k.explain(ctx, "GetAccessKeyLastUsed", false, err)
	}
	if aws.ToString(out.UserName) != k.spec.User || out.AccessKeyLastUsed == nil {
		return "", reach.Refused("%s: AWS does not tell when it was used", k.name())
	}
	last := out.AccessKeyLastUsed.LastUsedDate
	if last == nil {
		return "never used", nil
	}
	text := fmt.Sprintf("last used %s for %s", last.UTC().Format(time.RFC3339), reach.Shown(aws.ToString(out.AccessKeyLastUsed.ServiceName)))
	if k.now().Sub(*last) < k.spec.UnusedFor.Std() {
		return "", reach.Refused("still on the old one: %s was %s: move its consumers, and wait until it was not used for %s", k.name(), text, k.spec.UnusedFor)
	}
	return text, nil
}

// mine reports that the key is gone: the forecast had seen it.
func (k *awsKey) mine(ctx context.Context, a signalbox.Action) (string, bool, error) {
	if a.Step.To != moveDeleted {
		return "", false, nil
	}
	leaked, _, err := k.read(ctx)
	return k.name() + " is gone", err == nil && leaked == nil, err
}

func (k *awsKey) write(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, reach.CallTimeout)
	defer cancel()
	g := &gated{next: k.http, gate: a.Gate}
	last := func(o *iam.Options) { o.HTTPClient = g }
	if a.Step.To == moveDeleted {
		_, err := k.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &k.spec.User, AccessKeyId: &k.spec.Leaked}, last)
		if err != nil {
			return signalbox.Receipt{}, g.explain(ctx, k, "DeleteAccessKey", err)
		}
		return signalbox.Receipt{At: k.now(), Detail: k.name() + " is deleted"}, nil
	}
	_, err := k.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &k.spec.User, AccessKeyId: &k.spec.Leaked, Status: types.StatusTypeInactive}, last)
	if err != nil {
		return signalbox.Receipt{}, g.explain(ctx, k, "UpdateAccessKey", err)
	}
	return signalbox.Receipt{At: k.now(), Detail: k.name() + " is inactive"}, nil
}

func (k *awsKey) probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	leaked, _, err := k.read(ctx)
	switch {
	case err != nil:
		return signalbox.Progress{}, err
	case leaked == nil:
		return succeeded(k.now(), "%s is gone", k.name()), nil
	case a.Step.To == moveRevoked && leaked.Status == types.StatusTypeInactive:
		return succeeded(k.now(), "%s is inactive", k.name()), nil
	case k.now().Before(a.ClaimedAt.Add(sendBound + awsLatency)):
		return phase(signalbox.InDoubt, "%s is still %s; IAM may take %s", k.name(), leaked.Status, awsLatency), nil
	case a.Receipt.Detail != "":
		return phase(signalbox.InDoubt, "AWS took it, and %s is %s: did someone put it back?", k.name(), leaked.Status), nil
	}
	return phase(signalbox.NotStarted, "%s is still %s, %s after the last moment of sending", k.name(), leaked.Status, awsLatency), nil
}
