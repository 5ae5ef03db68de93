package credentials

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	signalbox "github.com/signalbox/signalbox"
)

func (c *company) leak() {
	c.t.Helper()
	_, err := c.admin.CoreV1().ServiceAccounts("core").Create(c.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, metav1.CreateOptions{})
	c.must(err)
	_, err = c.admin.CoreV1().Secrets("core").Create(c.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "ci-token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "ci"}},
		Type:       corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(canary)},
	}, metav1.CreateOptions{})
	c.must(err)
}

// fill does what the token controller does.
func (c *company) fill() {
	c.t.Helper()
	_, err := c.admin.CoreV1().Secrets("core").Patch(c.t.Context(), "ci-token-2", types.MergePatchType, []byte(`{"stringData":{"token":"CANARY-new"}}`), metav1.PatchOptions{})
	c.must(err)
}

// TestRealToken: rotated, its consumer seen on the new one, revoked, each once;
// in another order it is refused. The rights are those of the documentation.
func TestRealToken(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.leak()
	c.deployer("deployer-old", "ci-token")
	rotate, revoke := c.step("kubernetes_token", moveRotated), c.step("kubernetes_token", moveRevoked)
	c.refused(revoke, "it is not rotated yet")

	a := c.claim(rotate, "a1", 10)
	if a.Forecast.Class != signalbox.ClassB || a.Forecast.Found[:14] != "token sha256:"+fingerprint("token", []byte(canary))[13:14] {
		t.Errorf("forecast %+v", a.Forecast)
	}
	held := a
	held.Gate = func() error { return errors.New("the lease is gone") }
	c.fails(held, "the lease is gone")
	c.writes()
	c.start(a)
	c.start(a) // the same action
	c.probe(a, signalbox.Running)
	c.refused(revoke, "holds no token yet")
	c.fill()
	c.probe(a, signalbox.Succeeded)
	if f := c.preview(rotate); !f.Already || f.Refused != "" {
		t.Errorf("rotated again: %+v", f)
	}

	c.refused(revoke, "its pod template names secret ci-token")
	c.nextSecond()
	c.deployer("deployer-new", "ci-token-2")
	c.refused(revoke, "pod deployer-old of ")
	c.removePod("deployer-old")
	b := c.claim(revoke, "b1", 20)
	if b.Forecast.Class != signalbox.ClassC || b.Forecast.Undo != nil {
		t.Errorf("forecast %+v", b.Forecast)
	}
	c.probe(b, signalbox.InDoubt) // not sent yet
	c.start(b)
	c.probe(b, signalbox.Succeeded)
	c.start(b) // it is gone: nothing is to do
	if f := c.preview(revoke); !f.Already {
		t.Errorf("revoked again: %+v", f)
	}
	c.writes("create secrets", "delete secrets")
}

// TestRealTokenOthersHands: what changed between preview and start is left
// alone, and a deletion never hits another Secret of the name.
func TestRealTokenOthersHands(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.leak()
	c.deployer("deployer-old", "ci-token")
	rotate, revoke := c.step("kubernetes_token", moveRotated), c.step("kubernetes_token", moveRevoked)
	a := c.claim(rotate, "a1", 10)
	unsent := a
	unsent.ClaimedAt = c.clock().Add(-2 * (sendBound + latency))
	c.probe(unsent, signalbox.NotStarted)
	a.Gate = func() error { // someone takes the name, after the last look
		_, err := c.admin.CoreV1().Secrets("core").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ci-token-2"}}, metav1.CreateOptions{})
		return err
	}
	c.fails(a, "409")
	c.refused(rotate, "was not made to replace")
	c.must(c.admin.CoreV1().Secrets("core").Delete(t.Context(), "ci-token-2", metav1.DeleteOptions{}))
	a.Gate = nil
	c.start(a)
	c.fill()
	c.nextSecond()
	c.deployer("deployer-new", "ci-token-2")
	c.removePod("deployer-old")
	b := c.claim(revoke, "b1", 20)
	b.Gate = func() error {
		err := c.admin.CoreV1().Secrets("core").Delete(t.Context(), "ci-token", metav1.DeleteOptions{})
		_, err2 := c.admin.CoreV1().Secrets("core").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ci-token"}}, metav1.CreateOptions{})
		return errors.Join(err, err2)
	}
	c.fails(b, "the target changed since it was read")
	c.writes("create secrets")
	c.refused(revoke, "is of type Opaque")
}
