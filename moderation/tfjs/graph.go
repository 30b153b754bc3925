package tfjs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// graphTopology is a frozen TensorFlow graph as JSON: numbers of 64 bits are strings, byte strings are base64.
type graphTopology struct {
	Nodes []graphNode `json:"node"`
}

// graphNode is one operator.
type graphNode struct {
	Name   string          `json:"name"`
	Op     string          `json:"op"`
	Inputs []string        `json:"input"`
	Attrs  map[string]attr `json:"attr"`
}

// attr is an attribute; only the field of its kind is set.
type attr struct {
	S     []byte  `json:"s"`
	I     string  `json:"i"`
	F     float64 `json:"f"`
	B     bool    `json:"b"`
	List  attrs   `json:"list"`
	Shape *struct {
		Dim []struct {
			Size string `json:"size"`
		} `json:"dim"`
	} `json:"shape"`
}

// attrs is a list attribute.
type attrs struct {
	S [][]byte `json:"s"`
	I []string `json:"i"`
}

// numbers returns a list of whole numbers.
func (a attr) numbers() ([]int, error) {
	out := make([]int, 0, len(a.List.I))
	for _, s := range a.List.I {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%.40q is no number", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// graphModel converts on demand, from the output backwards.
type graphModel struct {
	b      *builder
	w      *weights
	nodes  map[string]graphNode
	values map[string]value
	open   map[string]bool // being converted: meeting one again is a cycle
}

func convertGraph(b *builder, topology json.RawMessage, w *weights) error {
	var t graphTopology
	if err := json.Unmarshal(topology, &t); err != nil {
		return fmt.Errorf("graph model: %w", err)
	}
	if len(t.Nodes) == 0 || len(t.Nodes) > maxNodes {
		return fmt.Errorf("graph model: %d nodes: want 1 to %d", len(t.Nodes), maxNodes)
	}
	m := &graphModel{b: b, w: w, nodes: map[string]graphNode{}, values: map[string]value{}, open: map[string]bool{}}
	for _, n := range t.Nodes {
		m.nodes[n.Name] = n
	}
	output, err := sink(t.Nodes)
	if err != nil {
		return err
	}
	out, err := m.value(output)
	if err != nil {
		return err
	}
	return b.finish(out)
}

// sink finds the one node that nobody reads.
func sink(nodes []graphNode) (string, error) {
	read := map[string]bool{}
	for _, n := range nodes {
		for _, in := range n.Inputs {
			read[source(in)] = true
		}
	}
	var sinks []string
	for _, n := range nodes {
		if !read[n.Name] {
			sinks = append(sinks, n.Name)
		}
	}
	if len(sinks) != 1 {
		return "", fmt.Errorf("graph model: %d outputs: want 1", len(sinks))
	}
	return sinks[0], nil
}

// source strips what TensorFlow adds to a node's name where it is read: "^" for order only, ":0" for the first output.
func source(input string) string {
	return strings.TrimSuffix(strings.TrimPrefix(input, "^"), ":0")
}

// value returns what node name answers, converting it and everything before it once.
func (m *graphModel) value(name string) (value, error) {
	if v, ok := m.values[name]; ok {
		return v, nil
	}
	n, ok := m.nodes[name]
	if !ok || m.open[name] {
		return value{}, fmt.Errorf("node %q is missing or part of a cycle", name)
	}
	m.open[name] = true
	n.Inputs = slices.DeleteFunc(slices.Clone(n.Inputs), func(s string) bool { return strings.HasPrefix(s, "^") })
	v, err := m.convert(n)
	if err != nil {
		return value{}, fmt.Errorf("node %q: %w", name, err)
	}
	m.values[name] = v
	return v, nil
}

// convert turns one operator into nodes.
func (m *graphModel) convert(n graphNode) (value, error) {
	if f := n.Attrs["data_format"].S; len(f) != 0 && string(f) != "NHWC" {
		return value{}, fmt.Errorf("data format %q is not supported", f)
	}
	if n.Op == "Placeholder" {
		return m.placeholder(n)
	}
	x, y, err := m.operands(n)
	if err != nil {
		return value{}, err
	}
	switch n.Op {
	case "Identity":
		return x, nil
	case "Mul", "Sub":
		return m.b.scalar(n.Op, x, y.data[0]), nil
	case "_FusedConv2D", "FusedDepthwiseConv2dNative":
		return m.conv(n, x, y)
	case "AvgPool":
		return m.pool(n, x)
	case "Squeeze":
		return m.squeeze(n, x)
	case "_FusedMatMul":
		return m.matmul(n, x, y)
	case "Softmax":
		return m.b.activation(x, "softmax")
	case "AddV2":
		other, err := m.value(source(n.Inputs[1]))
		if err != nil {
			return value{}, err
		}
		return m.b.add(x, other)
	}
	return value{}, fmt.Errorf("operator %q is not supported", n.Op)
}

// operandRank is the rank of an operator's second, constant operand; -1 = it has none, or none that is constant.
var operandRank = map[string]int{
	"Identity": -1, "AvgPool": -1, "Squeeze": -1, "Softmax": -1, "AddV2": -1,
	"Mul": 0, "Sub": 0, "_FusedMatMul": 2, "_FusedConv2D": 4, "FusedDepthwiseConv2dNative": 4,
}

// operands returns the first input and, where the operator has one, the constant that is its second. A product may be written either
// way round; a difference may not.
func (m *graphModel) operands(n graphNode) (value, *tensor, error) {
	rank, known := operandRank[n.Op]
	want := 1
	switch {
	case !known:
		return value{}, nil, fmt.Errorf("operator %q is not supported", n.Op)
	case n.Op == "AddV2" || rank == 0:
		want = 2
	case rank > 0: // with a bias
		want = 3
	}
	if len(n.Inputs) != want {
		return value{}, nil, fmt.Errorf("%d inputs: want %d", len(n.Inputs), want)
	}
	first, second := source(n.Inputs[0]), source(n.Inputs[min(1, want-1)])
	if n.Op == "Mul" && m.nodes[first].Op == "Const" {
		first, second = second, first
	}
	x, err := m.value(first)
	if err != nil || rank < 0 {
		return x, nil, err
	}
	y, err := m.w.take(second, rank)
	return x, y, err
}

func (m *graphModel) placeholder(n graphNode) (value, error) {
	s := n.Attrs["shape"].Shape
	if s == nil || len(s.Dim) != 4 {
		return value{}, errors.New("the input has no shape of 4 axes")
	}
	h, err1 := strconv.Atoi(s.Dim[1].Size)
	w, err2 := strconv.Atoi(s.Dim[2].Size)
	c, err3 := strconv.Atoi(s.Dim[3].Size)
	if err := errors.Join(err1, err2, err3); err != nil {
		return value{}, err
	}
	return m.b.start(h, w, c)
}

// fused reads an operator's fused_ops: a bias, perhaps followed by an activation, whose name it returns in lower case.
func (n graphNode) fused() (string, error) {
	ops := n.Attrs["fused_ops"].List.S
	if len(ops) == 0 || len(ops) > 2 || string(ops[0]) != "BiasAdd" {
		return "", fmt.Errorf("fused operators %q are not supported", ops)
	}
	if len(ops) == 1 {
		return "", nil
	}
	return strings.ToLower(string(ops[1])), nil
}

func (m *graphModel) conv(n graphNode, x value, kernel *tensor) (value, error) {
	w, err := n.window("")
	if err != nil {
		return value{}, err
	}
	activation, err := n.fused()
	if err != nil {
		return value{}, err
	}
	bias, err := m.w.take(source(n.Inputs[2]), 1)
	if err != nil {
		return value{}, err
	}
	v, err := m.b.conv(x, w, kernel, bias, n.Op == "FusedDepthwiseConv2dNative")
	if err != nil {
		return value{}, err
	}
	return m.b.activation(v, activation)
}

func (m *graphModel) pool(n graphNode, x value) (value, error) {
	w, err := n.window("ksize")
	if err != nil {
		return value{}, err
	}
	return m.b.pool(x, w, true)
}

func (m *graphModel) squeeze(n graphNode, x value) (value, error) {
	dims, err := n.Attrs["squeeze_dims"].numbers()
	if err != nil {
		return value{}, err
	}
	if !slices.Equal(dims, []int{1, 2}) || x.h != 1 || x.w != 1 {
		return value{}, fmt.Errorf("squeezing axes %v of a picture of %d x %d is not supported", dims, x.h, x.w)
	}
	return m.b.flatten(x)
}

func (m *graphModel) matmul(n graphNode, x value, kernel *tensor) (value, error) {
	if n.Attrs["transpose_a"].B || n.Attrs["transpose_b"].B {
		return value{}, errors.New("a transposed product is not supported")
	}
	activation, err := n.fused()
	if err != nil {
		return value{}, err
	}
	bias, err := m.w.take(source(n.Inputs[2]), 1)
	if err != nil {
		return value{}, err
	}
	v, err := m.b.dense(x, kernel, bias)
	if err != nil {
		return value{}, err
	}
	return m.b.activation(v, activation)
}

// window reads strides, dilations and padding, and the size from attribute ksize where no kernel tells it.
func (n graphNode) window(ksize string) (window, error) {
	strides, err1 := n.Attrs["strides"].numbers()
	dilations, err2 := n.Attrs["dilations"].numbers()
	if err := errors.Join(err1, err2); err != nil {
		return window{}, err
	}
	padding := string(n.Attrs["padding"].S)
	if len(strides) != 4 || (padding != "SAME" && padding != "VALID") {
		return window{}, fmt.Errorf("strides %v or padding %.20q are not supported", strides, padding)
	}
	w := window{sh: strides[1], sw: strides[2], same: padding == "SAME", dilation: 1}
	if len(dilations) == 4 {
		if dilations[1] != dilations[2] {
			return window{}, fmt.Errorf("dilations %v are not supported", dilations)
		}
		w.dilation = dilations[1]
	}
	if ksize == "" {
		return w, nil
	}
	size, err := n.Attrs[ksize].numbers()
	if err != nil || len(size) != 4 {
		return window{}, fmt.Errorf("window %v is not supported", size)
	}
	w.kh, w.kw = size[1], size[2]
	return w, nil
}
