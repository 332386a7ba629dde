// Package e2e holds journeys through the built binary: an unmodified supabase-js
// app, kill -9 and drains, in one process and in a cluster of roles. It has tests only.
package e2e
