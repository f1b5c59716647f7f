package rest

// presenter shows what a handler answers as another service would: the same logic, in its
// shapes. What it does not know it shows as it is.
type presenter func(k *call, v any) any

// present is v as the route shows it.
func (k *call) present(v any) any {
	if k.route == nil || k.route.Present == nil {
		return v
	}
	return k.route.Present(k, v)
}

// json answers with v.
func (k *call) json(v any) error { return k.c.JSON(k.present(v)) }

// answer is json with a status.
func (k *call) answer(status int, v any) error { return k.c.Status(status).JSON(k.present(v)) }
