package tfjs

import (
	"errors"
	"fmt"
	"strconv"
)

// value is a tensor flowing through the graph. Pictures are NCHW in ONNX whatever they were in TensorFlow.
type value struct {
	name string
	h, w int // 0 for a flat vector
	c    int
}

func (v value) flat() bool { return v.h == 0 }

// builder grows an ONNX graph. Both front ends, layers and graph models, speak only to it.
type builder struct {
	graph Graph
	next  int
}

const (
	inputName  = "image"
	outputName = "scores"
)

// start declares the input, NHWC as in TensorFlow, and turns it to NCHW once.
func (b *builder) start(h, w, c int) (value, error) {
	if h < 1 || w < 1 || h > 1024 || w > 1024 || c != 3 {
		return value{}, fmt.Errorf("input of %d x %d x %d: want at most 1024 x 1024 x 3", h, w, c)
	}
	b.graph.Input = ValueInfo{Name: inputName, Dims: []int64{1, int64(h), int64(w), int64(c)}}
	return b.emit("Transpose", value{h: h, w: w, c: c}, []string{inputName}, Attr{"perm", []int64{0, 3, 1, 2}}), nil
}

// finish makes v the output.
func (b *builder) finish(v value) error {
	if !v.flat() {
		return errors.New("the output is no vector of scores")
	}
	b.graph.Output = ValueInfo{Name: outputName, Dims: []int64{1, int64(v.c)}}
	b.graph.Nodes = append(b.graph.Nodes, Node{Op: "Identity", Inputs: []string{v.name}, Outputs: []string{outputName}})
	return nil
}

// emit adds a node and returns its output, which has the shape of v.
func (b *builder) emit(op string, v value, inputs []string, attrs ...Attr) value {
	b.next++
	v.name = "v" + strconv.Itoa(b.next)
	b.graph.Nodes = append(b.graph.Nodes, Node{Op: op, Inputs: inputs, Outputs: []string{v.name}, Attrs: attrs})
	return v
}

func (b *builder) floats(data []float32, dims ...int) string {
	return b.initializer(Initializer{Floats: data}, dims)
}

func (b *builder) ints(data ...int64) string {
	return b.initializer(Initializer{Ints: data}, []int{len(data)})
}

func (b *builder) initializer(t Initializer, dims []int) string {
	b.next++
	t.Name = "w" + strconv.Itoa(b.next)
	for _, d := range dims {
		t.Dims = append(t.Dims, int64(d))
	}
	b.graph.Initializers = append(b.graph.Initializers, t)
	return t.Name
}

// window is the geometry that convolutions and poolings share.
type window struct {
	kh, kw   int
	sh, sw   int
	same     bool // TensorFlow's SAME; false = VALID
	dilation int  // 1 = none
}

// pads returns top, left, bottom, right and the output's height and width.
func (w window) pads(v value) ([4]int, int, int, error) {
	top, bottom, h, err := w.axis(v.h, w.kh, w.sh)
	if err != nil {
		return [4]int{}, 0, 0, err
	}
	left, right, width, err := w.axis(v.w, w.kw, w.sw)
	return [4]int{top, left, bottom, right}, h, width, err
}

// axis computes TensorFlow's padding along one axis. SAME puts the odd pixel after the picture: (0, 1) for a 3-wide kernel at
// stride 2 on an even side, not (1, 1).
func (w window) axis(in, kernel, stride int) (before, after, out int, err error) {
	const most = 1024
	if kernel < 1 || stride < 1 || w.dilation < 1 || kernel > most || stride > most || w.dilation > most {
		return 0, 0, 0, fmt.Errorf("kernel %d, stride %d or dilation %d is out of bounds", kernel, stride, w.dilation)
	}
	extent := (kernel-1)*w.dilation + 1
	if !w.same {
		if in < extent {
			return 0, 0, 0, fmt.Errorf("a kernel of %d does not fit into %d", extent, in)
		}
		return 0, 0, (in-extent)/stride + 1, nil
	}
	out = (in + stride - 1) / stride
	total := max((out-1)*stride+extent-in, 0)
	return total / 2, total - total/2, out, nil
}

func (w window) attrs(pads [4]int) []Attr {
	return []Attr{
		{"kernel_shape", []int64{int64(w.kh), int64(w.kw)}},
		{"strides", []int64{int64(w.sh), int64(w.sw)}},
		{"pads", []int64{int64(pads[0]), int64(pads[1]), int64(pads[2]), int64(pads[3])}},
	}
}

// conv convolves v with an HWIO kernel, or with an HWIM kernel per channel when depthwise. bias may be nil.
func (b *builder) conv(v value, w window, kernel, bias *tensor, depthwise bool) (value, error) {
	if v.flat() || kernel.shape[2] != v.c {
		return value{}, fmt.Errorf("a kernel of shape %v does not fit %d channels", kernel.shape, v.c)
	}
	w.kh, w.kw = kernel.shape[0], kernel.shape[1]
	pads, h, width, err := w.pads(v)
	if err != nil {
		return value{}, err
	}
	groups, out, data := 1, kernel.shape[3], hwioToOIHW(kernel)
	dims := []int{out, v.c, w.kh, w.kw}
	if depthwise { // HWIM: output channel i*M+m reads input channel i only
		groups, out = v.c, v.c*kernel.shape[3]
		data, dims = hwimToGroups(kernel), []int{out, 1, w.kh, w.kw}
	}
	inputs := []string{v.name, b.floats(data, dims...)}
	if bias != nil {
		if len(bias.data) != out {
			return value{}, fmt.Errorf("a bias of %d does not fit %d channels", len(bias.data), out)
		}
		inputs = append(inputs, b.floats(bias.data, out))
	}
	attrs := append(w.attrs(pads), Attr{"group", int64(groups)}, Attr{"dilations", []int64{int64(w.dilation), int64(w.dilation)}})
	return b.emit("Conv", value{h: h, w: width, c: out}, inputs, attrs...), nil
}

func hwioToOIHW(k *tensor) []float32 {
	h, w, in, out := k.shape[0], k.shape[1], k.shape[2], k.shape[3]
	data := make([]float32, len(k.data))
	for y := range h {
		for x := range w {
			for i := range in {
				for o := range out {
					data[((o*in+i)*h+y)*w+x] = k.data[((y*w+x)*in+i)*out+o]
				}
			}
		}
	}
	return data
}

func hwimToGroups(k *tensor) []float32 {
	h, w, n := k.shape[0], k.shape[1], k.shape[2]*k.shape[3]
	data := make([]float32, len(k.data))
	for y := range h {
		for x := range w {
			for o := range n {
				data[(o*h+y)*w+x] = k.data[(y*w+x)*n+o]
			}
		}
	}
	return data
}

// norm normalises every channel. gamma and beta may be nil: 1 and 0. Epsilon is always written: the ONNX default is not Keras's, and
// some of the moving variances are exactly 0.
func (b *builder) norm(v value, gamma, beta, mean, variance *tensor, epsilon float64) (value, error) {
	if !(epsilon > 0) {
		return value{}, fmt.Errorf("epsilon %v: want more than 0", epsilon)
	}
	inputs := []string{v.name}
	for _, p := range []struct {
		t      *tensor
		absent float32
	}{{gamma, 1}, {beta, 0}, {mean, 0}, {variance, 1}} {
		data := filled(v.c, p.absent)
		if p.t != nil {
			data = p.t.data
		}
		if len(data) != v.c {
			return value{}, fmt.Errorf("a normalisation of %d does not fit %d channels", len(data), v.c)
		}
		inputs = append(inputs, b.floats(data, v.c))
	}
	return b.emit("BatchNormalization", v, inputs, Attr{"epsilon", float32(epsilon)}), nil
}

func filled(n int, v float32) []float32 {
	data := make([]float32, n)
	for i := range data {
		data[i] = v
	}
	return data
}

// activation applies a function by its Keras or TensorFlow name, lower case.
func (b *builder) activation(v value, name string) (value, error) {
	switch name {
	case "", "linear":
		return v, nil
	case "relu":
		return b.emit("Relu", v, []string{v.name}), nil
	case "relu6":
		return b.emit("Clip", v, []string{v.name, b.floats([]float32{0}), b.floats([]float32{6})}), nil
	case "softmax":
		if !v.flat() {
			return value{}, errors.New("a softmax of a picture is not supported")
		}
		return b.emit("Softmax", v, []string{v.name}, Attr{"axis", int64(1)}), nil
	}
	return value{}, fmt.Errorf("activation %q is not supported", name)
}

// pool takes the mean or the maximum of each window. As in TensorFlow, padding counts towards neither.
func (b *builder) pool(v value, w window, average bool) (value, error) {
	if v.flat() {
		return value{}, errors.New("pooling needs a picture")
	}
	pads, h, width, err := w.pads(v)
	if err != nil {
		return value{}, err
	}
	out := value{h: h, w: width, c: v.c}
	if average {
		return b.emit("AveragePool", out, []string{v.name}, append(w.attrs(pads), Attr{"count_include_pad", int64(0)})...), nil
	}
	return b.emit("MaxPool", out, []string{v.name}, w.attrs(pads)...), nil
}

// pad surrounds a picture with zeros.
func (b *builder) pad(v value, top, left, bottom, right int) (value, error) {
	for _, p := range []int{top, left, bottom, right} {
		if p < 0 || p > 64 {
			return value{}, fmt.Errorf("padding of %d pixels: want 0 to 64", p)
		}
	}
	if v.flat() {
		return value{}, errors.New("padding needs a picture")
	}
	pads := b.ints(0, 0, int64(top), int64(left), 0, 0, int64(bottom), int64(right))
	return b.emit("Pad", value{h: v.h + top + bottom, w: v.w + left + right, c: v.c}, []string{v.name, pads}), nil
}

// add adds two values of the same shape.
func (b *builder) add(x, y value) (value, error) {
	if x.h != y.h || x.w != y.w || x.c != y.c {
		return value{}, errors.New("a sum of two shapes is not supported")
	}
	return b.emit("Add", x, []string{x.name, y.name}), nil
}

// scalar applies Mul or Sub with one number on the right.
func (b *builder) scalar(op string, v value, n float32) value {
	return b.emit(op, v, []string{v.name, b.floats([]float32{n})})
}

// concat joins pictures along their channels.
func (b *builder) concat(vs []value) (value, error) {
	if len(vs) == 0 {
		return value{}, errors.New("nothing to concatenate")
	}
	out, names := vs[0], []string{}
	out.c = 0
	for _, v := range vs {
		if v.h != out.h || v.w != out.w {
			return value{}, errors.New("pictures of two sizes cannot be concatenated")
		}
		out.c += v.c
		names = append(names, v.name)
	}
	return b.emit("Concat", out, names, Attr{"axis", int64(1)}), nil
}

// flatten makes a vector in TensorFlow's order, channels innermost.
func (b *builder) flatten(v value) (value, error) {
	if v.flat() {
		return v, nil
	}
	n, err := count([]int{v.h, v.w, v.c})
	if err != nil {
		return value{}, err
	}
	if v.h*v.w > 1 {
		v = b.emit("Transpose", v, []string{v.name}, Attr{"perm", []int64{0, 2, 3, 1}})
	}
	return b.emit("Flatten", value{c: n}, []string{v.name}, Attr{"axis", int64(1)}), nil
}

// dense multiplies a vector by an in × out kernel. bias may be nil.
func (b *builder) dense(v value, kernel, bias *tensor) (value, error) {
	in, out := kernel.shape[0], kernel.shape[1]
	if !v.flat() || in != v.c {
		return value{}, fmt.Errorf("a kernel of shape %v does not fit a vector of %d", kernel.shape, v.c)
	}
	inputs := []string{v.name, b.floats(kernel.data, in, out)}
	if bias != nil {
		if len(bias.data) != out {
			return value{}, fmt.Errorf("a bias of %d does not fit %d outputs", len(bias.data), out)
		}
		inputs = append(inputs, b.floats(bias.data, out))
	}
	return b.emit("Gemm", value{c: out}, inputs), nil
}
