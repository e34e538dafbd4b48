// Package image_test builds the container image's root directory as the
// Dockerfile says, without a container engine, and runs the server in it.
//
// Start with TestImageServes in run_linux_test.go. The instructions are read from
// the Dockerfile and the flags of the compiler from the Makefile, so that nothing
// here can agree with itself only. It does not prove that an engine builds the
// file: no engine runs here.
package image_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the final stage is made of. Everything in the image is on this list.
const (
	binaryPath  = "/oauth-mcp-server"
	caPath      = "/etc/ssl/certs/ca-certificates.crt"
	maxShownLen = 80 // of an instruction in a failure
)

// instruction is one instruction of a Dockerfile, its lines joined.
type instruction struct {
	name string // in capitals
	args string
}

// stage is a FROM with what follows it.
type stage struct {
	from         string
	instructions []instruction
}

// all returns the arguments of every instruction of that name.
func (s stage) all(name string) []string {
	var found []string
	for _, i := range s.instructions {
		if i.name == name {
			found = append(found, i.args)
		}
	}
	return found
}

// only returns the arguments of the one instruction of that name.
func (s stage) only(t *testing.T, name string) string {
	t.Helper()
	found := s.all(name)
	if len(found) != 1 {
		t.Fatalf("FROM %s: %d instructions %s, want 1", s.from, len(found), name)
	}
	return found[0]
}

// command returns an instruction in the exec form: a JSON array, which needs no
// shell.
func (s stage) command(t *testing.T, name string) []string {
	t.Helper()
	args := s.only(t, name)
	if name == "HEALTHCHECK" {
		_, args, _ = strings.Cut(args, "CMD ")
	}
	var words []string
	if err := json.Unmarshal([]byte(args), &words); err != nil || len(words) == 0 {
		t.Fatalf("%s %s: not in the exec form, and there is no shell", name, args)
	}
	return words
}

// dockerfile reads the stages of the repository's Dockerfile.
func dockerfile(t *testing.T) (build, final stage) {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), " ")
	var stages []stage
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		name, args = strings.ToUpper(name), strings.TrimSpace(args)
		switch {
		case name == "FROM":
			stages = append(stages, stage{from: args})
		case len(stages) == 0:
			t.Fatalf("%.*s before FROM", maxShownLen, line)
		default:
			last := &stages[len(stages)-1]
			last.instructions = append(last.instructions, instruction{name, args})
		}
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages, want a build stage and a final one", len(stages))
	}
	return stages[0], stages[1]
}

// makeArguments returns what the build stage gives to make build. The flags of
// the compiler stand in the Makefile alone.
func makeArguments(t *testing.T, build stage) string {
	t.Helper()
	for _, run := range build.all("RUN") {
		if strings.Contains(run, "go build") {
			t.Errorf("RUN %s: the flags belong into the Makefile", run)
		}
	}
	runs := build.all("RUN")
	_, arguments, found := strings.Cut(runs[len(runs)-1], " make build ")
	if !found {
		t.Fatalf("the last RUN is not make build: %s", runs[len(runs)-1])
	}
	return arguments
}

func TestDockerfileBuildStage(t *testing.T) {
	build, _ := dockerfile(t)
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(gomod)
	if toolchain == nil {
		t.Fatal("go.mod names no toolchain")
	}
	if want := " golang:" + string(toolchain[1]) + "-bookworm AS build"; !strings.HasSuffix(build.from, want) {
		t.Errorf("FROM %s: want%s, the toolchain of go.mod", build.from, want)
	}
	makeArguments(t, build)
}

func TestDockerfileFinalStage(t *testing.T) {
	_, final := dockerfile(t)
	if final.from != "scratch" {
		t.Errorf("FROM %s, want scratch: no shell, no package manager", final.from)
	}
	uid, gid, both := strings.Cut(final.only(t, "USER"), ":")
	number := regexp.MustCompile(`^[1-9][0-9]*$`)
	if !both || !number.MatchString(uid) || !number.MatchString(gid) {
		t.Errorf("USER %s, want two numbers that are not 0", final.only(t, "USER"))
	}
	if got := final.all("EXPOSE"); !slices.Equal(got, []string{"8000"}) {
		t.Errorf("EXPOSE %q", got)
	}
	if got := environment(t, final)["LISTEN_ADDR"]; got != "0.0.0.0:8000" {
		t.Errorf("LISTEN_ADDR=%s; a published port reaches no loopback interface", got)
	}
	if got := append(final.command(t, "ENTRYPOINT"), final.command(t, "CMD")...); !slices.Equal(got, []string{binaryPath, "serve"}) {
		t.Errorf("runs %q", got)
	}
	if got := final.command(t, "HEALTHCHECK"); !slices.Equal(got, []string{binaryPath, "healthcheck"}) {
		t.Errorf("health check %q", got)
	}
	for _, label := range []string{"title", "description", "version"} {
		if !strings.Contains(strings.Join(final.all("LABEL"), " "), "org.opencontainers.image."+label+"=") {
			t.Errorf("no label org.opencontainers.image.%s", label)
		}
	}
	for _, name := range []string{"ADD", "RUN", "SHELL", "VOLUME"} {
		if found := final.all(name); len(found) > 0 {
			t.Errorf("%s %q has no place in the final stage", name, found)
		}
	}
	copied := copies(t, final)
	if len(copied) != 2 || copied[binaryPath] == "" || copied[caPath] != caPath {
		t.Errorf("copies %v, want the binary and the CA certificates", copied)
	}
}

// TestDockerfileHasNoSecrets: what is given to ARG or ENV stays readable in the
// image's history.
func TestDockerfileHasNoSecrets(t *testing.T) {
	build, final := dockerfile(t)
	secret := regexp.MustCompile(`(?i)secret|passw|token|session_key|private|credential`)
	for _, s := range []stage{build, final} {
		for _, name := range []string{"ARG", "ENV", "LABEL", "COPY", "ADD", "RUN"} {
			for _, args := range s.all(name) {
				if found := secret.FindString(args); found != "" || strings.Contains(args, ".env") {
					t.Errorf("%s %.*s looks like a secret", name, maxShownLen, args)
				}
			}
		}
	}
}

// TestDockerignoreIsAnAllowList: what is not listed does not reach the builder.
func TestDockerignoreIsAnAllowList(t *testing.T) {
	text, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var rules, allowed []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			rules = append(rules, line)
		}
	}
	for _, rule := range rules {
		if name, ok := strings.CutPrefix(rule, "!"); ok {
			allowed = append(allowed, name)
			if _, err := os.Stat("../../" + name); err != nil {
				t.Errorf("allows %s: %v", name, err)
			}
		}
	}
	if rules[0] != "*" {
		t.Errorf("the first rule is %q, want *", rules[0])
	}
	slices.Sort(allowed)
	if want := []string{"Makefile", "cmd", "go.mod", "go.sum", "internal"}; !slices.Equal(allowed, want) {
		t.Errorf("allows %q, want %q", allowed, want)
	}
}

// environment returns the variables the stage sets.
func environment(t *testing.T, s stage) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, args := range s.all("ENV") {
		for word := range strings.FieldsSeq(args) {
			name, value, ok := strings.Cut(word, "=")
			if !ok {
				t.Fatalf("ENV %s: not NAME=value", args)
			}
			values[name] = value
		}
	}
	return values
}

// copies returns source by destination of what the stage copies from the build
// stage, which is all it may copy.
func copies(t *testing.T, s stage) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, args := range s.all("COPY") {
		words := strings.Fields(args)
		if len(words) != 3 || words[0] != "--from=build" {
			t.Fatalf("COPY %s: want --from=build SOURCE DESTINATION", args)
		}
		found[words[2]] = words[1]
	}
	return found
}
