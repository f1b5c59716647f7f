package dashboard

import "github.com/gofiber/fiber/v2"

// overview is the first page.
func (d *Dashboard) overview(v *visit) error {
	return d.show(v, fiber.StatusOK, "overview", "Overview", nil)
}
