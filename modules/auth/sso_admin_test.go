package auth_test

import (
	"strings"
	"testing"
)

func TestAdminSSO(t *testing.T) {
	t.Parallel()
	s := start(t, config()) // providers may be kept before SAML is on
	admin, path := s.service(), "/admin/sso/providers"
	xml := metadataXML(t, newIdP(t, "acme.example", rsaKeys()[1]))
	for _, body := range []map[string]any{
		{"type": "oidc", "metadata_xml": xml},
		{"type": "saml"},
		{"type": "saml", "metadata_xml": xml, "metadata_url": "https://acme.example/"},
		{"type": "saml", "metadata_xml": xml, "name_id_format": "x"},
		{"type": "saml", "metadata_xml": xml, "domains": []string{""}},
	} {
		s.call("POST", path, admin, body).want(400, "validation_failed")
	}
	made := s.call("POST", path, admin, map[string]any{
		"type": "saml", "metadata_xml": xml, "domains": []string{"acme.example", "Acme.example", "acme.example.org"}, "resource_id": "acme",
		"attribute_mapping": map[string]any{"keys": map[string]any{"name": map[string]any{"name": "cn"}}},
	}).want(201, "")
	id := made.str("id")
	equal(t, "entity", made.str("saml", "entity_id"), "https://acme.example/metadata")
	equal(t, "metadata", made.str("saml", "metadata_xml"), xml)
	equal(t, "disabled", made.at("disabled"), nil)
	equal(t, "mapping", made.at("saml", "attribute_mapping"), map[string]any{"keys": map[string]any{"name": map[string]any{"name": "cn"}}})
	if d, _ := made.at("domains").([]any); len(d) != 2 {
		t.Errorf("domains: %v", d)
	}
	s.call("POST", path, admin, map[string]any{"type": "saml", "metadata_xml": xml}).want(422, "saml_idp_already_exists")
	other := metadataXML(t, newIdP(t, "other.example", rsaKeys()[1]))
	s.call("POST", path, admin, map[string]any{"type": "saml", "metadata_xml": other, "domains": []string{"ACME.example"}}).want(400, "sso_domain_already_exists")
	s.call("POST", path, admin, map[string]any{"type": "saml", "metadata_xml": other, "resource_id": "ACME"}).want(422, "conflict")
	second := s.call("POST", path, admin, map[string]any{"type": "saml", "metadata_xml": other, "resource_id": "ac%"}).want(201, "")
	equal(t, "domains", second.at("domains"), []any{})
	equal(t, "mapping", second.at("saml", "attribute_mapping"), map[string]any{})

	all := s.call("GET", path, admin, nil).want(200, "")
	if items, _ := all.at("items").([]any); len(items) != 2 || strings.Contains(all.text, "metadata_xml") {
		t.Errorf("list: %s", all.text)
	}
	for query, n := range map[string]int{"resource_id=acme": 1, "resource_id_prefix=ac": 2, "resource_id_prefix=ac%25": 1, "resource_id=none": 0} {
		if items, _ := s.call("GET", path+"?"+query, admin, nil).want(200, "").at("items").([]any); len(items) != n {
			t.Errorf("%s: %d items", query, len(items))
		}
	}
	for _, name := range []string{id, strings.ToUpper(id), "resource_acme"} {
		equal(t, name, s.call("GET", path+"/"+name, admin, nil).want(200, "").str("id"), id)
	}
	for _, name := range []string{"x", "resource_none", "00000000-0000-4000-8000-000000000001"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			s.call(method, path+"/"+name, admin, map[string]any{}).want(404, "sso_provider_not_found")
		}
	}
	s.call("PUT", path+"/"+id, admin, map[string]any{"metadata_xml": other}).want(400, "saml_entity_id_mismatch")
	changed := s.call("PUT", path+"/"+id, admin, map[string]any{"domains": []string{"ACME.example", "new.example"}, "disabled": true, "resource_id": ""}).want(200, "")
	equal(t, "domains", changed.at("domains"), []map[string]any{{"domain": "ACME.example"}, {"domain": "new.example"}})
	equal(t, "disabled", changed.at("disabled"), true)
	equal(t, "resource_id", changed.at("resource_id"), nil)
	equal(t, "mapping", changed.at("saml", "attribute_mapping"), made.at("saml", "attribute_mapping"))
	same := s.call("PUT", path+"/"+id, admin, map[string]any{"attribute_mapping": map[string]any{"keys": map[string]any{}}}).want(200, "")
	equal(t, "mapping", same.at("saml", "attribute_mapping"), map[string]any{})
	equal(t, "domains", same.at("domains"), changed.at("domains"))
	s.call("PUT", path+"/resource_ac%25", admin, map[string]any{"domains": []string{"new.example"}}).want(400, "sso_domain_already_exists")

	user := s.signup("mallory@example.com", "a-good-password").str("access_token")
	s.call("GET", path, user, nil).want(403, "not_admin")
	s.call("POST", path, "", map[string]any{}).want(401, "no_authorization")
	s.call("DELETE", path+"/"+id, user, nil).want(403, "not_admin")
	equal(t, "deleted", s.call("DELETE", path+"/"+id, admin, nil).want(200, "").str("id"), id)
	equal(t, "left", s.count("SELECT (SELECT count(*) FROM auth.sso_providers) + (SELECT count(*) FROM auth.sso_domains) + (SELECT count(*) FROM auth.saml_providers)"), 2)
}
