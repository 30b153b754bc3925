package tfjs

import (
	"encoding/json"
	"errors"
	"fmt"
)

// layersTopology is the part of a Keras model that matters for a prediction.
type layersTopology struct {
	ModelConfig struct {
		ClassName string `json:"class_name"`
		Config    struct {
			Layers []layer `json:"layers"`
			Inputs []ref   `json:"input_layers"`
			Output []ref   `json:"output_layers"`
		} `json:"config"`
	} `json:"model_config"`
}

// layer is one Keras layer.
type layer struct {
	Name    string      `json:"name"`
	Class   string      `json:"class_name"`
	Config  layerConfig `json:"config"`
	Inbound [][]ref     `json:"inbound_nodes"`
}

// layerConfig holds the settings of every layer we convert; those of training are left out.
type layerConfig struct {
	BatchInputShape []*int          `json:"batch_input_shape"`
	DataFormat      string          `json:"data_format"`
	Padding         json.RawMessage `json:"padding"` // "same", "valid" or [[top, bottom], [left, right]]
	Strides         []int           `json:"strides"`
	PoolSize        []int           `json:"pool_size"`
	DilationRate    []int           `json:"dilation_rate"`
	Activation      string          `json:"activation"`
	UseBias         bool            `json:"use_bias"`
	Axis            int             `json:"axis"`
	Epsilon         float64         `json:"epsilon"`
	Center          bool            `json:"center"`
	Scale           bool            `json:"scale"`
	MaxValue        *float64        `json:"max_value"`
	NegativeSlope   float64         `json:"negative_slope"`
	Threshold       float64         `json:"threshold"`
}

// ref names another layer's output: [name, node index, tensor index, …].
type ref struct{ name string }

// UnmarshalJSON reads the tuple. Layers that are used twice have a node index other than 0; none is supported.
func (r *ref) UnmarshalJSON(data []byte) error {
	var tuple []json.RawMessage
	if err := json.Unmarshal(data, &tuple); err != nil || len(tuple) < 3 {
		return errors.New("a reference to a layer is no tuple")
	}
	var node, tensor int
	if err := errors.Join(json.Unmarshal(tuple[0], &r.name), json.Unmarshal(tuple[1], &node), json.Unmarshal(tuple[2], &tensor)); err != nil {
		return err
	}
	if node != 0 || tensor != 0 {
		return fmt.Errorf("layer %q is shared: not supported", r.name)
	}
	return nil
}

// layersModel converts on demand, from the output backwards: the order of the list does not matter.
type layersModel struct {
	b      *builder
	w      *weights
	layers map[string]layer
	values map[string]value
	open   map[string]bool // being converted: meeting one again is a cycle
}

func convertLayers(b *builder, topology json.RawMessage, w *weights) error {
	var t layersTopology
	if err := json.Unmarshal(topology, &t); err != nil {
		return fmt.Errorf("layers model: %w", err)
	}
	c := t.ModelConfig.Config
	if len(c.Inputs) != 1 || len(c.Output) != 1 || len(c.Layers) > maxNodes {
		return fmt.Errorf("layers model: %d inputs, %d outputs, %d layers: want 1, 1 and at most %d", len(c.Inputs), len(c.Output), len(c.Layers), maxNodes)
	}
	m := &layersModel{b: b, w: w, layers: map[string]layer{}, values: map[string]value{}, open: map[string]bool{}}
	for _, l := range c.Layers {
		m.layers[l.Name] = l
	}
	out, err := m.value(c.Output[0].name)
	if err != nil {
		return err
	}
	return b.finish(out)
}

// value returns what layer name answers, converting it and everything before it once.
func (m *layersModel) value(name string) (value, error) {
	if v, ok := m.values[name]; ok {
		return v, nil
	}
	l, ok := m.layers[name]
	if !ok || m.open[name] || len(l.Inbound) > 1 {
		return value{}, fmt.Errorf("layer %q is missing, shared or part of a cycle", name)
	}
	m.open[name] = true
	var inputs []value
	for _, refs := range l.Inbound {
		for _, r := range refs {
			v, err := m.value(r.name)
			if err != nil {
				return value{}, err
			}
			inputs = append(inputs, v)
		}
	}
	v, err := m.convert(l, inputs)
	if err != nil {
		return value{}, fmt.Errorf("layer %q: %w", name, err)
	}
	m.values[name] = v
	return v, nil
}

// convert turns one layer into nodes.
func (m *layersModel) convert(l layer, in []value) (value, error) {
	c := l.Config
	if c.DataFormat != "" && c.DataFormat != "channels_last" {
		return value{}, fmt.Errorf("data format %q is not supported", c.DataFormat)
	}
	switch l.Class {
	case "InputLayer":
		return m.input(c)
	case "Add":
		if len(in) != 2 {
			return value{}, fmt.Errorf("adds %d values: want 2", len(in))
		}
		return m.b.add(in[0], in[1])
	case "Concatenate":
		if c.Axis != 3 && c.Axis != -1 {
			return value{}, fmt.Errorf("axis %d is not supported", c.Axis)
		}
		return m.b.concat(in)
	}
	if len(in) != 1 {
		return value{}, fmt.Errorf("%d inputs: want 1", len(in))
	}
	return m.single(l, in[0])
}

func (m *layersModel) input(c layerConfig) (value, error) {
	s := c.BatchInputShape
	if len(s) != 4 || s[1] == nil || s[2] == nil || s[3] == nil {
		return value{}, errors.New("the input has no fixed size")
	}
	return m.b.start(*s[1], *s[2], *s[3])
}

// single converts a layer with one input.
func (m *layersModel) single(l layer, v value) (value, error) {
	c := l.Config
	switch l.Class {
	case "Conv2D":
		return m.conv(l, v, "kernel", false)
	case "DepthwiseConv2D":
		return m.conv(l, v, "depthwise_kernel", true)
	case "BatchNormalization":
		return m.norm(l, v)
	case "ReLU":
		return m.relu(c, v)
	case "Activation":
		return m.b.activation(v, c.Activation)
	case "ZeroPadding2D":
		return m.zeros(c, v)
	case "AveragePooling2D", "MaxPooling2D":
		w, err := c.window(c.PoolSize)
		if err != nil {
			return value{}, err
		}
		return m.b.pool(v, w, l.Class == "AveragePooling2D")
	case "Flatten":
		return m.b.flatten(v)
	case "Dropout": // does nothing outside training
		return v, nil
	case "Dense":
		return m.dense(l, v)
	}
	return value{}, fmt.Errorf("class %q is not supported", l.Class)
}

func (m *layersModel) conv(l layer, v value, kernelName string, depthwise bool) (value, error) {
	w, err := l.Config.window(nil)
	if err != nil {
		return value{}, err
	}
	kernel, err := m.w.take(l.Name+"/"+kernelName, 4)
	if err != nil {
		return value{}, err
	}
	bias, err := m.optional(l.Config.UseBias, l.Name+"/bias")
	if err != nil {
		return value{}, err
	}
	if v, err = m.b.conv(v, w, kernel, bias, depthwise); err != nil {
		return value{}, err
	}
	return m.b.activation(v, l.Config.Activation)
}

func (m *layersModel) norm(l layer, v value) (value, error) {
	c := l.Config
	if c.Axis != 3 && c.Axis != -1 {
		return value{}, fmt.Errorf("axis %d is not supported", c.Axis)
	}
	gamma, err1 := m.optional(c.Scale, l.Name+"/gamma")
	beta, err2 := m.optional(c.Center, l.Name+"/beta")
	mean, err3 := m.optional(true, l.Name+"/moving_mean")
	variance, err4 := m.optional(true, l.Name+"/moving_variance")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return value{}, err
	}
	return m.b.norm(v, gamma, beta, mean, variance, c.Epsilon)
}

// optional takes a vector that is there only when the layer says so.
func (m *layersModel) optional(there bool, name string) (*tensor, error) {
	if !there {
		return nil, nil
	}
	return m.w.take(name, 1)
}

func (m *layersModel) relu(c layerConfig, v value) (value, error) {
	switch {
	case c.NegativeSlope != 0 || c.Threshold != 0:
		return value{}, errors.New("a leaky or shifted ReLU is not supported")
	case c.MaxValue == nil:
		return m.b.activation(v, "relu")
	case *c.MaxValue == 6:
		return m.b.activation(v, "relu6")
	}
	return value{}, fmt.Errorf("a ReLU up to %v is not supported", *c.MaxValue)
}

func (m *layersModel) zeros(c layerConfig, v value) (value, error) {
	var p [][]int
	if err := json.Unmarshal(c.Padding, &p); err != nil || len(p) != 2 || len(p[0]) != 2 || len(p[1]) != 2 {
		return value{}, errors.New("padding: want [[top, bottom], [left, right]]")
	}
	return m.b.pad(v, p[0][0], p[1][0], p[0][1], p[1][1])
}

func (m *layersModel) dense(l layer, v value) (value, error) {
	kernel, err := m.w.take(l.Name+"/kernel", 2)
	if err != nil {
		return value{}, err
	}
	bias, err := m.optional(l.Config.UseBias, l.Name+"/bias")
	if err != nil {
		return value{}, err
	}
	if v, err = m.b.dense(v, kernel, bias); err != nil {
		return value{}, err
	}
	return m.b.activation(v, l.Config.Activation)
}

// window reads strides, padding and dilation; size is nil where a kernel tells it.
func (c layerConfig) window(size []int) (window, error) {
	w := window{sh: 1, sw: 1, dilation: 1}
	var padding string
	if err := json.Unmarshal(c.Padding, &padding); err != nil || (padding != "same" && padding != "valid") {
		return window{}, errors.New("padding: want same or valid")
	}
	w.same = padding == "same"
	if size != nil {
		if len(size) != 2 {
			return window{}, fmt.Errorf("size %v: want 2 numbers", size)
		}
		w.kh, w.kw, w.sh, w.sw = size[0], size[1], size[0], size[1]
	}
	if c.Strides != nil {
		if len(c.Strides) != 2 {
			return window{}, fmt.Errorf("strides %v: want 2 numbers", c.Strides)
		}
		w.sh, w.sw = c.Strides[0], c.Strides[1]
	}
	if c.DilationRate != nil {
		if len(c.DilationRate) != 2 || c.DilationRate[0] != c.DilationRate[1] {
			return window{}, fmt.Errorf("dilation %v is not supported", c.DilationRate)
		}
		w.dilation = c.DilationRate[0]
	}
	return w, nil
}
