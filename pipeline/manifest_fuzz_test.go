package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzManifest: no stored manifest makes a reader panic; one that is valid names no key outside of the store, and shows nobody a rendition
// that is kept from them.
func FuzzManifest(f *testing.F) {
	const rendition = `{"name":"display","class":"full","key":"media/ab/x.jpg","mime":"image/jpeg","size":1,"sha256":"` +
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + `"}`
	for _, action := range []string{"deliver", "blur", "blur_reveal", "withhold", "reject", "new"} {
		f.Add([]byte(`{"schema":"ninefold.parts/1","job_id":"j","message_id":"m","status":"ready","parts":[{"item_id":"i","kind":"photo","status":"ready",` +
			`"renditions":[` + rendition + `]}],"deliveries":[{"recipient_id":"r","parts":[{"item_id":"i","action":"` + action + `"}]}]}`))
	}
	f.Add([]byte(`{"schema":"ninefold.parts/1","job_id":"j","message_id":"m","status":"rejected","error":{"code":"expired"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Manifest
		if json.Unmarshal(data, &m) != nil || m.Validate() != nil {
			return
		}
		for _, p := range m.Parts {
			for _, r := range p.Renditions {
				if strings.Contains(r.Key, "..") || strings.HasPrefix(r.Key, "/") {
					t.Errorf("key %q is valid", r.Key)
				}
			}
		}
		ViewForSender(m)
		for _, d := range m.Deliveries {
			v, err := ViewFor(m, d.RecipientID)
			if err != nil {
				t.Errorf("a recipient of the manifest has no view: %v", err)
			}
			if v != nil {
				checkView(t, m, *v)
			}
		}
	})
}

// checkView: what a view shows was decided to be shown.
func checkView(t *testing.T, m Manifest, v RecipientView) {
	t.Helper()
	for _, p := range v.Parts {
		full := false
		for _, r := range p.Renditions {
			full = full || r.Class != ClassSafe
		}
		if full && p.Action != Deliver && p.Action != BlurReveal {
			t.Errorf("%s shows %s of item %s in full, action %q", v.RecipientID, m.MessageID, p.ItemID, p.Action)
		}
	}
}
