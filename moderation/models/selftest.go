package models

import "github.com/ninefold/ninefold/moderation"

// The scores each model gives for the generated pictures, recorded after its scores for the reference pictures had been found within
// 1e-3 of the reference implementation's. In the order drawing, hentai, neutral, porn, sexy.

func mobileNetV2Scores() []moderation.SelfTest {
	return []moderation.SelfTest{
		recorded("ramps", 0.871891, 0.015690, 0.107898, 0.003633, 0.000888),
		recorded("discs", 0.024175, 0.001068, 0.974754, 0.000003, 0.000000),
		recorded("noise", 0.008834, 0.000447, 0.989825, 0.000793, 0.000101),
	}
}

func mobileNetV2MidScores() []moderation.SelfTest {
	return []moderation.SelfTest{
		recorded("ramps", 0.030309, 0.023209, 0.945368, 0.000718, 0.000396),
		recorded("discs", 0.000205, 0.000006, 0.999789, 0.000000, 0.000000),
		recorded("noise", 0.002161, 0.000569, 0.997153, 0.000090, 0.000027),
	}
}

func inceptionV3Scores() []moderation.SelfTest {
	return []moderation.SelfTest{
		recorded("ramps", 0.492432, 0.029972, 0.461771, 0.011701, 0.004125),
		recorded("discs", 0.008008, 0.000252, 0.991597, 0.000134, 0.000010),
		recorded("noise", 0.044609, 0.010470, 0.927694, 0.013520, 0.003707),
	}
}

func recorded(picture string, drawing, hentai, neutral, porn, sexy float64) moderation.SelfTest {
	return moderation.SelfTest{
		Picture: picture, Tolerance: selfTestTolerance,
		Scores: map[string]float64{"drawing": drawing, "hentai": hentai, "neutral": neutral, "porn": porn, "sexy": sexy},
	}
}
