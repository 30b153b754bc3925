package tfjs

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The versions a written file declares: ONNX 1.8 or later reads it. Softmax and Clip changed their form at opset 13 and 11.
const (
	irVersion    = 7
	opsetVersion = 13
)

// The element types and attribute types of ONNX that we write.
const (
	typeFloat = 1
	typeInt64 = 7

	attrFloat = 1
	attrInt   = 2
	attrInts  = 7
)

// Graph is an ONNX graph with one float input and one float output.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Initializer
	Input        ValueInfo
	Output       ValueInfo
}

// Node is one operator. Attributes are float32, int64 or []int64.
type Node struct {
	Op      string
	Inputs  []string // "" leaves an optional input out
	Outputs []string
	Attrs   []Attr
}

// Attr is one attribute of a node.
type Attr struct {
	Name  string
	Value any // float32, int64 or []int64
}

// Initializer is a constant. Exactly one of Floats and Ints is set.
type Initializer struct {
	Name   string
	Dims   []int64
	Floats []float32
	Ints   []int64
}

// ValueInfo names a graph input or output and its shape.
type ValueInfo struct {
	Name string
	Dims []int64
}

// Encode writes the graph as the bytes of an .onnx file. Equal graphs give equal bytes.
func (g *Graph) Encode() []byte {
	var m []byte
	m = putInt(m, 1, irVersion)
	m = putString(m, 2, "ninefold")
	m = putBytes(m, 7, g.encode())
	return putBytes(m, 8, putInt(nil, 2, opsetVersion))
}

func (g *Graph) encode() []byte {
	var b []byte
	for _, n := range g.Nodes {
		b = putBytes(b, 1, n.encode())
	}
	b = putString(b, 2, g.Name)
	for _, t := range g.Initializers {
		b = putBytes(b, 5, t.encode())
	}
	b = putBytes(b, 11, g.Input.encode())
	return putBytes(b, 12, g.Output.encode())
}

func (n Node) encode() []byte {
	var b []byte
	for _, in := range n.Inputs {
		b = putString(b, 1, in)
	}
	for _, out := range n.Outputs {
		b = putString(b, 2, out)
	}
	if len(n.Outputs) > 0 {
		b = putString(b, 3, n.Outputs[0])
	}
	b = putString(b, 4, n.Op)
	for _, a := range n.Attrs {
		b = putBytes(b, 5, a.encode())
	}
	return b
}

func (a Attr) encode() []byte {
	b := putString(nil, 1, a.Name)
	switch v := a.Value.(type) {
	case float32:
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(v))
		return putInt(b, 20, attrFloat)
	case int64:
		return putInt(putInt(b, 3, v), 20, attrInt)
	case []int64:
		for _, i := range v {
			b = putInt(b, 8, i)
		}
		return putInt(b, 20, attrInts)
	}
	panic("tfjs: attribute of an unknown type") // only our own builders make attributes
}

func (t Initializer) encode() []byte {
	var b []byte
	for _, d := range t.Dims {
		b = putInt(b, 1, d)
	}
	kind, raw := int64(typeFloat), make([]byte, 0, 4*len(t.Floats)+8*len(t.Ints))
	for _, f := range t.Floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	for _, i := range t.Ints {
		kind, raw = typeInt64, binary.LittleEndian.AppendUint64(raw, uint64(i))
	}
	b = putInt(b, 2, kind)
	b = putString(b, 8, t.Name)
	return putBytes(b, 9, raw)
}

func (v ValueInfo) encode() []byte {
	var shape []byte
	for _, d := range v.Dims {
		shape = putBytes(shape, 1, putInt(nil, 1, d))
	}
	tensor := putBytes(putInt(nil, 1, typeFloat), 2, shape)
	return putBytes(putString(nil, 1, v.Name), 2, putBytes(nil, 1, tensor))
}

func putInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func putString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func putBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}
