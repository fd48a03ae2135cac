package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Stands before the simulator, and does to its calls what a test asked for.
type front struct {
	next   http.HandlerFunc
	world  *world
	login  *url.Userinfo
	mu     sync.Mutex
	faults []order
	// Sessions that began before this are over.
	epoch int
	// Methods of all calls since somebody asked for them.
	calls []string
}

func newFront(next http.HandlerFunc, world *world, login *url.Userinfo) *front {
	return &front{next: next, world: world, login: login, calls: []string{}}
}

var methodName = regexp.MustCompile(`<(?:[a-z0-9]+:)?Body[^>]*>\s*<(?:[a-z0-9]+:)?([A-Za-z_]+)`)

func (f *front) add(fault order) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
}

func (f *front) called(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) < 100000 {
		f.calls = append(f.calls, method)
	}
}

func (f *front) takeCalls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.calls
	f.calls = []string{}
	return taken
}

func (f *front) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
}

// The fault that this call meets, if any.
func (f *front) take(method string) *order {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, each := range f.faults {
		if each.Method != "" && each.Method != method {
			continue
		}
		if each.Times > 1 {
			f.faults[i].Times--
		} else {
			f.faults = append(f.faults[:i], f.faults[i+1:]...)
		}
		return &each
	}
	return nil
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == arrivals {
		f.world.serveArrival(w, r, f.login)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return
	}
	method := ""
	if found := methodName.FindSubmatch(body); found != nil {
		method = string(found[1])
	}
	f.called(method)
	body = toKeeper(method, body)
	fault := f.take(method)
	kind := ""
	if fault != nil {
		kind = fault.Kind
	}
	switch kind {
	case "503":
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	case "cut":
		cut(w)
		return
	case "slow":
		time.Sleep(time.Duration(fault.Ms) * time.Millisecond)
	case "garbage":
		w.Write([]byte("<html>a proxy's page</html>"))
		return
	case "silent":
		<-r.Context().Done()
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	f.mu.Lock()
	epoch := f.epoch
	f.mu.Unlock()
	named(r, epoch)
	recorder := httptest.NewRecorder()
	f.next(recorder, r)
	// What was promised lies on the disk before anybody hears of it.
	if err := f.world.save(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if kind == "unanswered" {
		cut(w)
		return
	}
	result := recorder.Result()
	for _, cookie := range result.Cookies() {
		cookie.Value = fmt.Sprintf("%d.%s", epoch, cookie.Value)
		http.SetCookie(w, cookie)
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(result.StatusCode)
	io.Copy(w, result.Body)
}

// A session of before the last expiry is unknown to the simulator.
func named(r *http.Request, epoch int) {
	cookies := r.Cookies()
	r.Header.Del("Cookie")
	prefix := fmt.Sprintf("%d.", epoch)
	for _, cookie := range cookies {
		value := strings.Trim(cookie.Value, `"`)
		if strings.HasPrefix(value, prefix) {
			r.AddCookie(&http.Cookie{Name: cookie.Name, Value: strings.TrimPrefix(value, prefix)})
		}
	}
}

func cut(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if connection, _, err := hijacker.Hijack(); err == nil {
			connection.Close()
		}
	}
}

type certificates struct {
	file string
	mu   sync.Mutex
	now  tls.Certificate
}

func newCertificates(state string) (*certificates, error) {
	made := &certificates{file: state + ".pem"}
	if kept, err := tls.LoadX509KeyPair(made.file, made.file); err == nil {
		made.now = kept
		return made, nil
	}
	return made, made.renew()
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := c.now
		return &now, nil
	}}
}

func (c *certificates) fingerprint() string {
	sum := sha256.Sum256(c.now.Certificate[0])
	return fmt.Sprintf("%x", sum)
}

// Another certificate, as after a reinstallation.
func (c *certificates) renew() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "vcenter"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(90 * 24 * time.Hour),
		IPAddresses:  []net.IP{net.ParseIP("127.0.0.1")},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})...)
	pair, err := tls.X509KeyPair(both, both)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.now = pair
	c.mu.Unlock()
	return os.WriteFile(c.file, both, 0o600)
}
