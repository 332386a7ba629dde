// Package cache keeps values that are dear to compute and cheap to lose.
//
// LRU is a typed in-process cache with an expiry per entry; verified tokens
// live there. Cache is the byte-valued interface with two drivers: Memory, and
// Redis, which the processes of one installation share. A cache never makes a
// request fail: with Redis away every Get is a miss.
package cache
