package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero/api"
)

// remembering are the imports of the KV.
var remembering = []function{
	{"kv_get", "iiii:i", func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.KVGet(key)
		return give(u, 2, v, err)
	}},
	{"kv_put", "iiiiI:i", func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		return 0, u.host.KVPut(key, u.bytes(2), int64(u.args[4]))
	}},
	{"kv_delete", "ii:i", func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		return 0, u.host.KVDelete(key)
	}},
	{"kv_incr", "iiII:I", func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		return u.host.KVIncr(key, int64(u.args[2]), int64(u.args[3]))
	}},
	{"kv_list", "iiiiii:i", func(u *one) (int64, error) {
		prefix, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		cursor, err := u.text(2, maxName)
		if err != nil {
			return 0, err
		}
		page, err := u.host.KVList(prefix, cursor)
		return give(u, 4, page, err)
	}},
}

// reaching are the imports whose effects are outside of the call.
var reaching = []function{
	{"http", "ii:i", func(u *one) (handle int64, err error) {
		req := u.bytes(0)
		u.wait(func(ctx context.Context) {
			var n int
			n, err = u.host.HTTP(ctx, req)
			handle = int64(n)
		})
		return handle, err
	}},
	{"http_read", "iIii:i", func(u *one) (int64, error) {
		n, err := u.host.HTTPRead(int(api.DecodeI32(u.args[0])), int64(u.args[1]), u.bytes(2))
		return int64(n), err
	}},
	{"send", "ii:i", func(u *one) (int64, error) { return 0, u.host.Send(u.bytes(0)) }},
	{"thread", "ii:i", func(u *one) (int64, error) {
		doc, err := u.host.Thread()
		return give(u, 0, doc, err)
	}},
}
