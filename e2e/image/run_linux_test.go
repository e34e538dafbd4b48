package image_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of the waiting.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
	pollInterval = 20 * time.Millisecond
	maxBody      = 4 << 10
)

// imageVersion is what the image under test is told it is.
const imageVersion = "v0.0.0-image"

// TestImageServes runs the image's own commands in the image's own root, as its
// own user: the server starts, reaches an authorization server whose certificate
// only the CA file in the image vouches for, is healthy by its own health check,
// and ends in order on SIGTERM.
func TestImageServes(t *testing.T) {
	build, final := dockerfile(t)
	provider := startProvider(t)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Certificate().Raw})
	image := container{root: imageRoot(t, build, final, authority)}
	image.uid, image.gid = numericUser(t, final)
	port := freePort(t)
	image.env = append(image.env,
		"LISTEN_ADDR="+strings.Replace(environment(t, final)["LISTEN_ADDR"], ":8000", ":"+port, 1),
		"SERVER_URL=http://localhost:"+port,
		"AUTHORIZATION_SERVERS="+provider.URL)
	checkStatic(t, filepath.Join(image.root, binaryPath))

	versionCommand := image.command(t, append(final.command(t, "ENTRYPOINT"), "version"))
	versionCommand.Stdout = nil
	if printed, err := versionCommand.Output(); err != nil || !strings.Contains(string(printed), " "+imageVersion+" ") {
		t.Errorf("version: %q, %v; want %s", printed, err, imageVersion)
	}

	server := start(t, image.command(t, append(final.command(t, "ENTRYPOINT"), final.command(t, "CMD")...)))
	base := "http://127.0.0.1:" + port
	server.awaitOK(t, base+"/healthz")
	server.awaitOK(t, base+"/readyz") // the keys came over TLS

	healthcheck := final.command(t, "HEALTHCHECK")
	if err := image.command(t, healthcheck).Run(); err != nil {
		t.Errorf("%q while the server runs: %v", healthcheck, err)
	}
	if err := server.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.ended:
		if server.err != nil {
			t.Errorf("ended on SIGTERM with %v, want exit code 0", server.err)
		}
	case <-time.After(stopTimeout):
		t.Fatal("still runs after SIGTERM")
	}
	if err := image.command(t, healthcheck).Run(); exitCode(err) != 1 {
		t.Errorf("%q without a server: %v, want exit code 1", healthcheck, err)
	}
}

// imageRoot fills a directory with what the final stage copies, and nothing else.
func imageRoot(t *testing.T, build, final stage, authority []byte) string {
	t.Helper()
	root := t.TempDir()
	for destination := range copies(t, final) {
		target := filepath.Join(root, destination)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		switch destination {
		case binaryPath:
			// Another process writes the file: one that this process had open for
			// writing might still be, in a child that is just being forked.
			arguments := []string{"-C", "../..", "build", "BIN=" + target}
			if strings.Contains(makeArguments(t, build), "VERSION=") {
				arguments = append(arguments, "VERSION="+imageVersion)
			}
			makeBuild := exec.CommandContext(t.Context(), "make", arguments...)
			makeBuild.Stdout, makeBuild.Stderr = t.Output(), t.Output()
			if err := makeBuild.Run(); err != nil {
				t.Fatalf("make %q: %v", arguments, err)
			}
		case caPath:
			if err := os.WriteFile(target, authority, 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("the final stage copies %s, which this test does not know", destination)
		}
	}
	var files []string
	if err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, "/"+path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{caPath, binaryPath}; !slices.Equal(files, want) {
		t.Fatalf("the root holds %q, want %q", files, want)
	}
	return root
}

// checkStatic refuses a binary that needs anything of the image's file system.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	binary, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }() // only read
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary asks for a dynamic loader")
		}
	}
	if libraries, err := binary.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %q", libraries)
	}
	if binary.Section(".symtab") != nil || binary.Section(".debug_info") != nil {
		t.Error("the binary is not stripped")
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("built with CGO_ENABLED=%s -trimpath=%s", settings["CGO_ENABLED"], settings["-trimpath"])
	}
}

// container is where and as whom commands run.
type container struct {
	root     string
	uid, gid int
	env      []string
}

// command prepares a command that sees root as its whole file system and runs as
// the image's user. Root may arrange that, anybody else needs a user namespace.
func (c container) command(t *testing.T, words []string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Dir = "/"
	command.Env = c.env
	command.Stdout, command.Stderr = t.Output(), t.Output()
	credential := &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid)}
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Credential: credential}
	if os.Geteuid() == 0 {
		return command
	}
	if os.Getenv("CI") == "" && !userNamespaces(t) {
		t.Skip("needs root or unprivileged user namespaces")
	}
	credential.NoSetGroups = true
	command.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: c.uid, HostID: os.Geteuid(), Size: 1}}
	command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: c.gid, HostID: os.Getegid(), Size: 1}}
	return command
}

// process is a command that runs.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	err     error // how it ended; read it after ended is closed
}

// start starts command. It is killed and waited for when the test ends.
func start(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{command: command, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = command.Wait()
	}()
	t.Cleanup(func() { <-p.ended }) // the test's context has killed it
	return p
}

// userNamespaces reports whether this user may create one.
func userNamespaces(t *testing.T) bool {
	t.Helper()
	probe := exec.CommandContext(t.Context(), "/bin/true")
	probe.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
	}
	return probe.Run() == nil
}

// numericUser reads USER, which TestDockerfileFinalStage wants as two numbers.
func numericUser(t *testing.T, final stage) (uid, gid int) {
	t.Helper()
	if _, err := fmt.Sscanf(final.only(t, "USER"), "%d:%d", &uid, &gid); err != nil || uid == 0 || gid == 0 {
		t.Fatalf("USER %s: %v", final.only(t, "USER"), err)
	}
	return uid, gid
}

// startProvider serves the metadata and the key of an authorization server, over
// TLS with a certificate that nobody else trusts.
func startProvider(t *testing.T) *httptest.Server {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	provider := httptest.NewTLSServer(mux)
	t.Cleanup(provider.Close)
	document := func(value any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(value); err != nil {
				t.Log(err)
			}
		}
	}
	mux.Handle("GET /.well-known/oauth-authorization-server", document(map[string]any{
		"issuer":                           provider.URL,
		"authorization_endpoint":           provider.URL + "/authorize",
		"token_endpoint":                   provider.URL + "/token",
		"jwks_uri":                         provider.URL + "/jwks",
		"code_challenge_methods_supported": []string{"S256"},
	}))
	mux.Handle("GET /jwks", document(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key.Public(), KeyID: "1", Algorithm: string(jose.RS256), Use: "sig"},
	}}))
	return provider
}

// awaitOK asks until the answer is 200, the server has ended, or time is up.
func (p *process) awaitOK(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		answer, err := get(ctx, url)
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("the server has ended: %v", p.err)
		case <-ctx.Done():
			t.Fatalf("GET %s: %v %s", url, err, answer)
		case <-ticker.C:
		}
	}
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return string(body), fmt.Errorf("status %d", response.StatusCode)
	}
	return string(body), nil
}

func exitCode(err error) int {
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode()
	}
	return -1
}

// freePort returns a port that was free a moment ago; the server has to be told
// one, because its health check is.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err := errors.Join(err, listener.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}
