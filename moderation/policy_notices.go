package moderation

import "github.com/ninefold/ninefold/pipeline"

// SenderNotices is what the sender is told about deliveries: one not_delivered for each item that did not reach everybody as it is, in
// the order of first mention. It names no recipient and no reason, and it is built so that it cannot be used to ask for one:
//
//  1. A recipient of 16 or 17 and an adult who hides nudity give the same notices at every level, under every setting. That is why blur
//     counts and blur_reveal does not: telling of blur_reveal would tell that a suggestive photo met someone under 18.
//  2. A failed scan counts whatever it led to, or else it would tell the two apart.
//
// A gate's rejection counts like any other. What is said depends on no setting. The result is never nil.
func (*Policy) SenderNotices(deliveries []pipeline.Delivery) []pipeline.Notice {
	out, told := []pipeline.Notice{}, map[string]bool{}
	for _, d := range deliveries {
		for _, p := range d.Parts {
			if told[p.ItemID] || !notable(p) {
				continue
			}
			told[p.ItemID] = true
			out = append(out, pipeline.Notice{Code: pipeline.NoticeNotDelivered, ItemID: p.ItemID})
		}
	}
	return out
}

func notable(p pipeline.PartDelivery) bool {
	switch p.Action {
	case pipeline.Deliver, pipeline.BlurReveal:
		return len(p.Reasons) > 0 && p.Reasons[0] == ReasonScanUnavailable
	}
	return true
}
