package dashboard

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

const (
	// pictureTime is how long the images of a mail that is shown can be loaded. Ours: they
	// load with the page.
	pictureTime = 10 * time.Minute
	// pictureURL bounds the address of one, in bytes: its name is a third longer, and must
	// fit into the first line of a request. Ours.
	pictureURL = 2000
)

// pictures loads images that mail names and that are elsewhere, so that who sent the mail
// learns nothing of who reads it. A browser asks for them out of the mail's frame, which
// has no origin and so no cookie: each has a name that only we can make, for one sign-in
// and a few minutes, of an address that a mail of that sign-in names. So nobody has us
// fetch anything else.
type pictures struct {
	seal   cipher.AEAD
	turns  chan struct{} // of all
	shares gateway.Shares
}

func newPictures(lim gateway.Limits) (*pictures, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails: crypto/rand
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	most := int(lim.RemoteImagesAtOnce)
	p := &pictures{turns: make(chan struct{}, most), shares: gateway.Shares{Most: max(1, most/2)}}
	p.seal, err = cipher.NewGCMWithRandomNonce(block)
	return p, err
}

// at is where a sign-in finds an image; empty if its address is too long.
func (p *pictures) at(now time.Time, in *signin, address string) string {
	if len(address) > pictureURL {
		return ""
	}
	raw := binary.BigEndian.AppendUint64(nil, uint64(now.Add(pictureTime).Unix())) //nolint:gosec // after 1970
	raw = append(append(raw, in.digest[:]...), address...)
	return prefix + "/pictures/" + base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, raw, nil))
}

// open reads a name of ours. What is no name of ours, or not any more, is not there.
func (p *pictures) open(name string, now time.Time) (digest [sha256.Size]byte, address string, err error) {
	gone := gateway.Errorf(gateway.NotFound, "there is no such image; load the message again")
	sealed, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil {
		return digest, "", gone
	}
	raw, err := p.seal.Open(nil, nil, sealed, nil)
	if err != nil || len(raw) < 8+len(digest) || uint64(now.Unix()) >= binary.BigEndian.Uint64(raw) { //nolint:gosec // after 1970
		return digest, "", gone
	}
	copy(digest[:], raw[8:])
	return digest, string(raw[8+len(digest):]), nil
}

// picture answers with an image from elsewhere. What it is its first bytes say, not who
// sends it: nothing but an image that can hold no code is passed on. It is kept by nobody.
func (d *Dashboard) picture(v *visit) error {
	digest, address, err := d.pictures.open(v.param("picture"), d.clock())
	if err != nil {
		return err
	}
	in := d.visitors.at(digest, d.clock())
	if in == nil {
		return gateway.Errorf(gateway.NotFound, "who was to see the image has signed out")
	}
	key := in.session.Key()
	if _, err := d.cfg.Keys.Count(key.ID, keys.Reads); err != nil {
		return err
	}
	give, err := d.pictures.turn(v, key.Domain)
	if err != nil {
		return err
	}
	defer give()
	var b bytes.Buffer
	if _, err := d.cfg.Images.Fetch(v.ctx, address, d.cfg.Limits.RemoteImage, &b); err != nil {
		return err
	}
	media := http.DetectContentType(b.Bytes())
	if !gateway.ShownImage(media) {
		return gateway.Errorf(gateway.UnsupportedMedia, "what is there is no image that is shown here")
	}
	v.c.Set("Content-Type", media)
	v.c.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	v.c.Set("Cross-Origin-Resource-Policy", "cross-origin") // the frame has no origin
	return v.c.Status(fiber.StatusOK).Send(b.Bytes())
}

// turn waits until an image may be loaded: of all domains together, and of one.
func (p *pictures) turn(v *visit, domain gateway.DomainID) (give func(), err error) {
	share, err := p.shares.Take(v.ctx, domain)
	if err != nil {
		return nil, err
	}
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns; share.Give() }, nil
	case <-v.ctx.Done():
		share.Give()
		return nil, v.ctx.Err()
	}
}
