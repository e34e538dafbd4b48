// Package config is the operator's contract: every setting of the server, where
// its value may come from, what it defaults to and what is refused.
//
// [Config] declares all settings once; its struct tags are the source of the
// command's flags, of .env.example and of docs/configuration.md. Start with
// [Load], which reads flags, the environment, a .env file and secret files in
// that order of precedence, and with [Config.Validate], which holds the rules.
//
// It defends against configurations that are weaker than they look: production
// rules apply as soon as SERVER_URL is not a loopback address, weakening
// switches refuse to start there, an empty list never means "any", and no
// message or rendering holds a secret. All problems are reported together.
//
// It reads no environment variable by itself, opens no connection and applies
// nothing: wiring is the work of the application.
package config
