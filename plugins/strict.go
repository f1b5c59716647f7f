package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/centerleap/postern/sdk/abi"
)

// strictly decodes a document by which something happens: a member that nobody knows, or
// that is there twice, would have something else happen than was meant.
func strictly(doc []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return because(abi.BadArgument, "%w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return because(abi.BadArgument, "there is something behind the JSON object")
	}
	if name := twin(doc); name != "" {
		return because(abi.BadArgument, "it has %.80q twice", name)
	}
	return nil
}

// because is an errno with what its plugin's author is told.
func because(errno abi.Errno, format string, args ...any) error {
	return fmt.Errorf("%w: %w", errno, fmt.Errorf(format, args...))
}
