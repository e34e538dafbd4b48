// Package policy compiles and evaluates access rules: expressions in CEL over
// what a verified token says, the tool that is called and its arguments.
//
// Start with [Compiler.Compile], which finds everything that can be wrong with a
// rule before the first call, and [Rule.Decide].
//
// It defends the server against its own rules: what they cost is bounded in
// size, steps and time, they cannot reach anything but their input, and one that
// fails in any way denies. It does not know where rules are declared or what a
// denial looks like on the wire (package tool).
package policy
