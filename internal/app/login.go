package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/login"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// LoginOptions is what the login command hands over.
type LoginOptions struct {
	URL         string // of the MCP endpoint
	ClientID    string // "" registers a client
	Scopes      oauth.Scopes
	RedirectURI string
	Timeout     time.Duration
	Browser     string // BROWSER of the environment; "" means the desktop's own
	NoBrowser   bool
	Allow       []netip.Prefix // private networks that may be dialled
	JSON        bool
	Output      string    // file for the tokens; "" means Stdout
	Stdout      io.Writer // for the tokens and nothing else
	Stderr      io.Writer
}

// Login signs a person in at an MCP endpoint and hands over the tokens.
func Login(ctx context.Context, opts LoginOptions) error {
	transport := outsideTransport(ctx, opts.URL, opts.Allow)
	defer transport.CloseIdleConnections()
	tokens, err := login.SignIn(ctx, login.Config{
		Resource:    opts.URL,
		ClientID:    opts.ClientID,
		Scopes:      opts.Scopes,
		RedirectURI: opts.RedirectURI,
		Timeout:     opts.Timeout,
		Open:        opts.open,
		Transport:   transport,
	})
	if err != nil {
		return err
	}
	lifetime := ""
	if tokens.Lifetime > 0 {
		lifetime = ", good for " + tokens.Lifetime.String()
	}
	if _, err := fmt.Fprintf(opts.Stderr, "Signed in at %s%s.\n", tokens.Issuer, lifetime); err != nil {
		return err
	}
	text, err := opts.render(tokens)
	if err != nil {
		return err
	}
	if opts.Output != "" {
		return writePrivate(opts.Output, text)
	}
	_, err = opts.Stdout.Write(text)
	return err
}

// open shows the URL, and opens it unless the person wants to.
func (opts LoginOptions) open(ctx context.Context, target string) error {
	if _, err := fmt.Fprintf(opts.Stderr, "Sign in with a browser on this machine:\n\n  %s\n\n", target); err != nil {
		return err
	}
	if opts.NoBrowser {
		return nil
	}
	name, arguments := browser(opts.Browser, target)
	// The browser is the person's: it outlives this command and is not awaited.
	command := exec.CommandContext(context.WithoutCancel(ctx), name, arguments...) //nolint:gosec // the person's own BROWSER, no shell
	err := command.Start()
	if err == nil {
		err = command.Process.Release()
	}
	if err != nil {
		_, err = fmt.Fprintln(opts.Stderr, "No browser could be started; open the URL by hand.")
	}
	return err
}

// browser returns the command that opens target. Of a list in BROWSER the first
// one counts; %s stands for the URL.
func browser(variable, target string) (name string, arguments []string) {
	first, _, _ := strings.Cut(variable, string(os.PathListSeparator))
	if words := strings.Fields(first); len(words) > 0 {
		placed := false
		for i, word := range words {
			if strings.Contains(word, "%s") {
				words[i], placed = strings.ReplaceAll(word, "%s", target), true
			}
		}
		if !placed {
			words = append(words, target)
		}
		return words[0], words[1:]
	}
	switch runtime.GOOS {
	case "darwin":
		return "open", []string{target}
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler", target}
	}
	return "xdg-open", []string{target}
}

// render is the one place where tokens become text.
func (opts LoginOptions) render(tokens login.Tokens) ([]byte, error) {
	if !opts.JSON {
		return []byte(tokens.AccessToken.Reveal() + "\n"), nil
	}
	text, err := json.MarshalIndent(struct { //nolint:gosec // handing over the tokens is what the command is for
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in,omitempty"` // seconds
		RefreshToken string `json:"refresh_token,omitempty"`
		Scope        string `json:"scope,omitempty"`
		Issuer       string `json:"issuer"`
		ClientID     string `json:"client_id"`
		Resource     string `json:"resource"`
	}{
		tokens.AccessToken.Reveal(), tokens.TokenType, int64(tokens.Lifetime / time.Second), tokens.RefreshToken.Reveal(),
		tokens.Scope, tokens.Issuer, tokens.ClientID, tokens.Resource,
	}, "", "  ")
	return append(text, '\n'), err
}

// writePrivate replaces a file by one that only its owner may read (0600).
func writePrivate(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".token-*") // 0600 from the start
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
