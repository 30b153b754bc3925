package tfjs

import (
	"math"
	"testing"
)

// The evaluator computes a synthetic model directly, as TensorFlow defines its operators: NHWC, float64, one plain loop each, no
// rearranged kernels and no padding tables. It shares nothing with the converter but the model.

// picture is an NHWC tensor of batch 1; a vector has h = w = 1.
type picture struct {
	h, w, c int
	d       []float64
}

func newPicture(h, w, c int) picture { return picture{h, w, c, make([]float64, h*w*c)} }

func (p picture) at(y, x, c int) *float64 { return &p.d[(y*p.w+x)*p.c+c] }

// each applies f to every number.
func (p picture) each(f func(v float64, c int) float64) picture {
	out := newPicture(p.h, p.w, p.c)
	for i, v := range p.d {
		out.d[i] = f(v, i%p.c)
	}
	return out
}

// constants returns a weight by name as numbers, dequantised.
func (s *synthetic) constants(t *testing.T, name string) ([]float64, []int) {
	t.Helper()
	at := 0
	for _, sp := range s.specs {
		n := numbersIn(sp)
		if sp["name"] == name {
			q := sp["quantization"].(map[string]any)
			out := make([]float64, n)
			for i := range out {
				out[i] = float64(float32(float64(s.bytes[at+i])*q["scale"].(float64) + q["min"].(float64)))
			}
			return out, sp["shape"].([]int)
		}
		at += n
	}
	t.Fatalf("no weight %q", name)
	return nil, nil
}

// span returns how many windows there are along an axis and where the first begins.
func span(in, kernel, stride int, same bool) (count, first int) {
	if !same {
		return (in-kernel)/stride + 1, 0
	}
	count = int(math.Ceil(float64(in) / float64(stride)))
	return count, -max((count-1)*stride+kernel-in, 0) / 2
}

// windows calls f for every pixel inside the picture of every window.
func windows(p picture, kh, kw, sh, sw int, same bool, f func(oy, ox, ky, kx, y, x int)) (h, w int) {
	h, top := span(p.h, kh, sh, same)
	w, left := span(p.w, kw, sw, same)
	for oy := range h {
		for ox := range w {
			for ky := range kh {
				for kx := range kw {
					y, x := top+oy*sh+ky, left+ox*sw+kx
					if y >= 0 && y < p.h && x >= 0 && x < p.w {
						f(oy, ox, ky, kx, y, x)
					}
				}
			}
		}
	}
	return h, w
}

func evalConv(p picture, k []float64, shape []int, stride int, same, depthwise bool) picture {
	kh, kw, in, m := shape[0], shape[1], shape[2], shape[3]
	h, _ := span(p.h, kh, stride, same)
	w, _ := span(p.w, kw, stride, same)
	channels := m
	if depthwise {
		channels = in * m
	}
	out := newPicture(h, w, channels)
	windows(p, kh, kw, stride, stride, same, func(oy, ox, ky, kx, y, x int) {
		for i := range in {
			for o := range m {
				target := o
				if depthwise {
					target = i*m + o
				}
				*out.at(oy, ox, target) += *p.at(y, x, i) * k[((ky*kw+kx)*in+i)*m+o]
			}
		}
	})
	return out
}

func evalPool(p picture, kernel, stride int, same, average bool) picture {
	h, _ := span(p.h, kernel, stride, same)
	w, _ := span(p.w, kernel, stride, same)
	out, counts := newPicture(h, w, p.c), newPicture(h, w, p.c)
	windows(p, kernel, kernel, stride, stride, same, func(oy, ox, _, _, y, x int) {
		for c := range p.c {
			v, n := out.at(oy, ox, c), counts.at(oy, ox, c)
			if average {
				*v += *p.at(y, x, c)
			} else if *n == 0 || *p.at(y, x, c) > *v {
				*v = *p.at(y, x, c)
			}
			*n++
		}
	})
	if average {
		for i := range out.d {
			out.d[i] /= counts.d[i]
		}
	}
	return out
}

func evalDense(p picture, k, bias []float64) picture {
	out := picture{1, 1, len(bias), append([]float64{}, bias...)}
	for i, v := range p.d {
		for o := range bias {
			out.d[o] += v * k[i*len(bias)+o]
		}
	}
	return out
}

func evalActivation(p picture, name string) picture {
	switch name {
	case "relu":
		return p.each(func(v float64, _ int) float64 { return math.Max(v, 0) })
	case "relu6":
		return p.each(func(v float64, _ int) float64 { return math.Min(math.Max(v, 0), 6) })
	case "softmax":
		sum := 0.0
		for _, v := range p.d {
			sum += math.Exp(v)
		}
		return p.each(func(v float64, _ int) float64 { return math.Exp(v) / sum })
	}
	return p
}

// evaluate computes the model's scores for an input of NHWC numbers.
func (s *synthetic) evaluate(t *testing.T, input picture) []float64 {
	t.Helper()
	values := map[string]picture{}
	if s.nodes != nil {
		for _, n := range s.nodes {
			values[n["name"].(string)] = s.evalNode(t, n, values, input)
		}
		return values[s.last].d
	}
	for _, l := range s.layers {
		values[l["name"].(string)] = s.evalLayer(t, l, values, input)
	}
	return values[s.last].d
}

func (s *synthetic) evalLayer(t *testing.T, l map[string]any, values map[string]picture, input picture) picture {
	t.Helper()
	name, c := l["name"].(string), l["config"].(map[string]any)
	var in []picture
	for _, refs := range l["inbound_nodes"].([]any) {
		for _, r := range refs.([]any) {
			in = append(in, values[r.([]any)[0].(string)])
		}
	}
	same := c["padding"] == "same"
	switch l["class_name"] {
	case "InputLayer":
		return input
	case "Conv2D":
		k, shape := s.constants(t, name+"/kernel")
		return evalConv(in[0], k, shape, c["strides"].([]int)[0], same, false)
	case "DepthwiseConv2D":
		k, shape := s.constants(t, name+"/depthwise_kernel")
		return evalConv(in[0], k, shape, c["strides"].([]int)[0], same, true)
	case "BatchNormalization":
		return s.evalNorm(t, in[0], name, c)
	case "ReLU":
		return evalActivation(in[0], "relu6")
	case "Activation":
		return evalActivation(in[0], c["activation"].(string))
	case "ZeroPadding2D":
		p := c["padding"].([][]int)
		out := newPicture(in[0].h+p[0][0]+p[0][1], in[0].w+p[1][0]+p[1][1], in[0].c)
		for y := range in[0].h {
			for x := range in[0].w {
				for ch := range in[0].c {
					*out.at(y+p[0][0], x+p[1][0], ch) = *in[0].at(y, x, ch)
				}
			}
		}
		return out
	case "AveragePooling2D", "MaxPooling2D":
		return evalPool(in[0], c["pool_size"].([]int)[0], c["strides"].([]int)[0], same, l["class_name"] == "AveragePooling2D")
	case "Add":
		return in[0].each(func(v float64, _ int) float64 { return v }).plus(in[1])
	case "Concatenate":
		return joinChannels(in)
	case "Flatten":
		return picture{1, 1, len(in[0].d), in[0].d}
	case "Dropout":
		return in[0]
	case "Dense":
		k, _ := s.constants(t, name+"/kernel")
		b, _ := s.constants(t, name+"/bias")
		return evalActivation(evalDense(in[0], k, b), c["activation"].(string))
	}
	t.Fatalf("no evaluation of %v", l["class_name"])
	return picture{}
}

func (p picture) plus(q picture) picture {
	for i := range p.d {
		p.d[i] += q.d[i]
	}
	return p
}

func joinChannels(in []picture) picture {
	channels := 0
	for _, p := range in {
		channels += p.c
	}
	out := newPicture(in[0].h, in[0].w, channels)
	for y := range out.h {
		for x := range out.w {
			at := 0
			for _, p := range in {
				for c := range p.c {
					*out.at(y, x, at+c) = *p.at(y, x, c)
				}
				at += p.c
			}
		}
	}
	return out
}

func (s *synthetic) evalNorm(t *testing.T, p picture, name string, c map[string]any) picture {
	t.Helper()
	beta, _ := s.constants(t, name+"/beta")
	mean, _ := s.constants(t, name+"/moving_mean")
	variance, _ := s.constants(t, name+"/moving_variance")
	gamma := make([]float64, len(beta))
	for i := range gamma {
		gamma[i] = 1
	}
	if c["scale"] == true {
		gamma, _ = s.constants(t, name+"/gamma")
	}
	return p.each(func(v float64, ch int) float64 {
		return (v-mean[ch])/math.Sqrt(variance[ch]+c["epsilon"].(float64))*gamma[ch] + beta[ch]
	})
}

func (s *synthetic) evalNode(t *testing.T, n map[string]any, values map[string]picture, input picture) picture {
	t.Helper()
	in := n["input"].([]string)
	scalar := func(name string) float64 { v, _ := s.constants(t, name); return v[0] }
	switch n["op"] {
	case "Placeholder":
		return input
	case "Const":
		return picture{}
	case "Mul":
		return values[in[1]].each(func(v float64, _ int) float64 { return v * scalar(in[0]) })
	case "Sub":
		return values[in[0]].each(func(v float64, _ int) float64 { return v - scalar(in[1]) })
	case "AddV2":
		return values[in[0]].each(func(v float64, _ int) float64 { return v }).plus(values[in[1]])
	case "_FusedConv2D", "FusedDepthwiseConv2dNative":
		k, shape := s.constants(t, in[1])
		b, _ := s.constants(t, in[2])
		a := n["attr"].(map[string]any)
		stride := 1
		if a["strides"].(map[string]any)["list"].(map[string]any)["i"].([]string)[1] == "2" {
			stride = 2
		}
		out := evalConv(values[in[0]], k, shape, stride, true, n["op"] == "FusedDepthwiseConv2dNative")
		out = out.each(func(v float64, c int) float64 { return v + b[c] })
		if len(a["fused_ops"].(map[string]any)["list"].(map[string]any)["s"].([]string)) == 2 {
			return evalActivation(out, "relu6")
		}
		return out
	case "AvgPool":
		return evalPool(values[in[0]], 8, 1, false, true)
	case "Squeeze", "Identity":
		return values[in[0]]
	case "_FusedMatMul":
		k, _ := s.constants(t, in[1])
		b, _ := s.constants(t, in[2])
		return evalDense(values[in[0]], k, b)
	case "Softmax":
		return evalActivation(values[in[0]], "softmax")
	}
	t.Fatalf("no evaluation of %v", n["op"])
	return picture{}
}
