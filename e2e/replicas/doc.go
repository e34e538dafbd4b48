// Package replicas runs several processes of the real binary behind a
// round-robin proxy, with a real store between them, and takes them away again.
//
// fleet_test.go starts them, proxy_test.go is the proxy and a witness of what
// was accepted and what was answered. kill_test.go is the proof: thousands of
// calls of SDK clients while a replica is killed and the store is gone.
// The rest walks with other people's clients across replicas: reconnection,
// tokens that change, questions and cancellation.
package replicas
