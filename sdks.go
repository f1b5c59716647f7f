// Package postern holds the sources of the SDKs, for the command to put into the folder of
// a new plugin: a newcomer has all that is needed, and nothing has to be published, found
// or fetched.
//
// It is at the top because files are embedded from the folder of a package and those below.
package postern

import "embed"

// SDKs are the folder sdk, and go.mod, which says what Go it takes. Tests are among them.
//
//go:embed go.mod sdk/*.go sdk/abi/*.go sdk/sdktest/*.go sdk/rust/postern.rs sdk/c/postern.h sdk/assemblyscript/postern.ts
var SDKs embed.FS
