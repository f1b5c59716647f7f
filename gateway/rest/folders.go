package rest

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// folder is a mailbox of an account.
type folder struct {
	Name        string  `json:"name"`
	SpecialUse  *string `json:"special_use"`
	Total       int64   `json:"total"`
	Unread      int64   `json:"unread"`
	UIDValidity uint32  `json:"uidvalidity"`
	UIDNext     uint32  `json:"uidnext"`
}

func folderOf(m *gateway.Mailbox) folder {
	return folder{m.Name, orNull(m.SpecialUse), m.Total, m.Unseen, m.UIDValidity, m.UIDNext}
}

func (s *Server) listFolders(k *call) error {
	scope, err := s.mailScope(k)
	if err != nil {
		return err
	}
	all, err := s.cfg.Mail.Folders(k.ctx, scope, k.c.Query("email"))
	if err != nil {
		return err
	}
	var out []folder
	for i := range all {
		out = append(out, folderOf(&all[i]))
	}
	return k.json(listOf(out))
}

func (s *Server) createFolder(k *call) error {
	var in struct {
		Email string  `json:"email"`
		Name  *string `json:"name"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Name == nil {
		return gateway.Fieldf(gateway.MissingField, "name", "name is required")
	}
	scope, err := s.mailScopeOf(k, in.Email)
	if err != nil {
		return err
	}
	a, err := s.cfg.Mail.Account(k.ctx, scope, in.Email)
	if err != nil {
		return err
	}
	box, err := s.cfg.Mail.CreateFolder(k.ctx, scope, a, *in.Name)
	if err != nil {
		return asName(err)
	}
	return k.answer(fiber.StatusCreated, folderOf(&box))
}

// asName gives an error about a folder the field that it has here.
func asName(err error) error {
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || e.Field != "folder" {
		return err
	}
	c := *e
	c.Field = "name"
	return &c
}

func (s *Server) deleteFolder(k *call) error {
	scope, err := s.mailScope(k)
	if err != nil {
		return err
	}
	a, err := s.cfg.Mail.Account(k.ctx, scope, k.c.Query("email"))
	if err != nil {
		return err
	}
	name := gateway.FoldMailbox(k.param("name"))
	if err := s.cfg.Mail.RemoveFolder(k.ctx, scope, a, name); err != nil {
		return asName(err)
	}
	return k.json(fiber.Map{"object": "folder", "name": name, "deleted": true})
}
