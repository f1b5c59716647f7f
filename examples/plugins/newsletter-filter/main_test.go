package main

import (
	"testing"

	"github.com/centerleap/postern/sdk/sdktest"
)

func TestNewsletter(t *testing.T) {
	m := sdktest.File("testdata/newsletter.eml")
	sdktest.Inbound(t, m).WantAction("accept").WantFolder("Newsletters").WantLabel("newsletter")
}

func TestPersonalMail(t *testing.T) {
	sdktest.Inbound(t, sdktest.Mail{From: "ann@x.example", Subject: "Lunch?"}).WantAction("accept").WantFolder("")
}

// A sender that is not there is nobody's to keep.
func TestNoSender(t *testing.T) {
	sdktest.Inbound(t, sdktest.Mail{Header: [][2]string{{"List-Id", "<l.x.example>"}}}).WantFolder("Newsletters")
}

func TestSettings(t *testing.T) {
	h := sdktest.NewHost()
	h.Config["folder"], h.Config["keep"] = "Later", "boss@x.example, NEWS@shop.example"
	list := [][2]string{{"List-Id", "<l.x.example>"}}
	h.Inbound(t, sdktest.Mail{From: "l@x.example", Header: list}).WantFolder("Later")
	h.Inbound(t, sdktest.File("testdata/newsletter.eml")).WantFolder("")
}
