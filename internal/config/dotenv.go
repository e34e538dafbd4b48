package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/joho/godotenv"
)

// Bounds of the files that are read here.
const (
	maxDotEnvBytes = 64 << 10
	maxDotEnvLines = 1000
	maxSecretBytes = 16 << 10
)

// dotEnv is what a .env file says.
type dotEnv struct {
	path   string
	values map[string]string
	lines  map[string]int // where each name is set, from 1
	names  []string       // in the order of the file
	open   bool           // other users of the machine may read the file
}

// readDotEnv reads the file at path. A file that does not exist, or no path, is
// an empty file.
func readDotEnv(path string) (dotEnv, error) {
	file := dotEnv{path: path, values: map[string]string{}, lines: map[string]int{}}
	if path == "" {
		return file, nil
	}
	text, open, err := readBounded(path, maxDotEnvBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, &Problem{Name: path, Shape: cause(err), Fix: "make it a readable file of at most 64 KiB, or remove it"}
	}
	file.open = open
	text = strings.TrimPrefix(text, "\ufeff") // some editors write a byte order mark
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if len(lines) > maxDotEnvLines {
		return file, &Problem{Name: path, Shape: fmt.Sprintf("a file of more than %d lines", maxDotEnvLines), Fix: "shorten it"}
	}
	return file, file.parse(lines)
}

// parse reads statement by statement, so that a problem has a line number, and
// so that no error of the parser is passed on: those quote the file.
func (f *dotEnv) parse(lines []string) error {
	var problems []error
	problem := func(line int, shape, fix string) {
		problems = append(problems, &Problem{Name: f.path, Shape: fmt.Sprintf("line %d %s", line, shape), Fix: fix})
	}
	known := knownNames()
	for i := 0; i < len(lines); {
		if line := strings.TrimSpace(lines[i]); line == "" || strings.HasPrefix(line, "#") {
			i++
			continue
		}
		number := i + 1
		name, value, used := statement(lines[i:])
		if used == 0 {
			problem(number, "is not NAME=value", "write one NAME=value per line, # before comments, and close every quote")
			if strings.ContainsAny(lines[i], `"'`) {
				break // what follows may be the inside of a quoted value
			}
			i++
			continue
		}
		text := strings.Join(lines[i:i+used], "\n")
		i += used
		if !known[name] {
			f.set(name, value, number)
			continue
		}
		if first, twice := f.lines[name]; twice {
			problem(number, fmt.Sprintf("sets %s again, after line %d", name, first), "keep one of the two")
			continue
		}
		if expands(text) {
			problem(number, "has a dollar sign in the value of "+name+", which stands for a variable there",
				"put the value in single quotes if the dollar sign is meant")
			continue
		}
		f.set(name, value, number)
	}
	return errors.Join(problems...)
}

func (f *dotEnv) set(name, value string, line int) {
	if _, again := f.values[name]; !again {
		f.names = append(f.names, name)
	}
	f.values[name], f.lines[name] = value, line
}

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// statement reads the first statement and returns how many lines it took, 0
// when it is malformed. Only a quoted value may go over several lines.
func statement(lines []string) (name, value string, used int) {
	limit := 1
	if _, after, found := strings.Cut(lines[0], "="); found && strings.ContainsAny(after, `"'`) {
		limit = len(lines)
	}
	for used = 1; used <= limit; used++ {
		values, err := godotenv.Unmarshal(strings.Join(lines[:used], "\n"))
		if err != nil || len(values) != 1 {
			continue
		}
		for name, value = range values {
			if namePattern.MatchString(name) {
				return name, value, used
			}
		}
	}
	return "", "", 0
}

var expansion = regexp.MustCompile(`(?:^|[^\\])\$[({A-Z0-9_]`)

// expands reports whether the parser replaces something in the value of a
// statement. References to other variables are not supported: in a secret a
// dollar sign is more often meant, and an unknown name would silently become
// nothing.
func expands(statement string) bool {
	_, value, _ := strings.Cut(statement, "=")
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "'") {
		return false
	}
	if !strings.HasPrefix(value, `"`) {
		value, _, _ = strings.Cut(value, " #")
	}
	return expansion.MatchString(value)
}

// knownNames returns every variable that is read.
func knownNames() map[string]bool {
	known := map[string]bool{}
	for _, field := range Fields() {
		known[field.Name] = true
		if field.Secret {
			known[field.FileName()] = true
		}
	}
	return known
}

// warnings names what looks like a misspelt setting and a file with secrets
// that others may read.
func (f dotEnv) warnings() []Warning {
	var warnings []Warning
	known := knownNames()
	secrets := false
	for _, field := range Fields() {
		secrets = secrets || field.Secret && f.values[field.Name] != ""
	}
	for _, name := range f.names {
		if known[name] {
			continue
		}
		if meant := nearest(name); meant != "" {
			warnings = append(warnings, Warning{
				Name: f.path,
				Text: fmt.Sprintf("line %d sets %s, which is not a setting; did you mean %s?", f.lines[name], quoted(name), meant),
			})
		}
	}
	if secrets && f.open {
		warnings = append(warnings, Warning{Name: f.path, Text: "holds a secret and every user of this machine may read it; run: chmod 600 " + f.path})
	}
	return warnings
}

// nearest returns the setting that name is a misspelling of, or "". The
// distance allowed grows with the length of the name.
func nearest(name string) string {
	meant, least := "", 0
	upper := strings.ToUpper(name)
	for _, field := range Fields() {
		for _, candidate := range []string{field.Name, field.FileName()} {
			if candidate == "" {
				continue
			}
			d := distance(upper, candidate)
			if d <= max(1, len(candidate)/5) && (meant == "" || d < least) {
				meant, least = candidate, d
			}
		}
	}
	return meant
}

// distance is the Levenshtein distance of two names, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}

// readBounded returns the text of a file of at most limit bytes and whether
// every user of the machine may read it.
func readBounded(path string, limit int64) (text string, open bool, err error) {
	file, err := os.Open(path) //nolint:gosec // the operator names this file
	if err != nil {
		return "", false, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return "", false, err
	}
	if info.IsDir() {
		return "", false, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return "", false, err
	}
	if int64(len(data)) > limit {
		return "", false, fmt.Errorf("is larger than %d bytes", limit)
	}
	const othersRead = 0o004
	open = runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&othersRead != 0
	return string(data), open, nil
}

// cause drops the operation and the path that os puts before the reason; the
// message names the file already.
func cause(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}
