package main

import "unsafe"

//go:wasmimport postern_v1 verdict
func verdict(doc unsafe.Pointer, n uint32) int32

// say gives the gateway a verdict past the SDK, as a plugin that lies does.
func say(doc string) { _ = verdict(unsafe.Pointer(unsafe.StringData(doc)), uint32(len(doc))) }
