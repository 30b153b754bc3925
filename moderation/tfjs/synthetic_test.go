package tfjs

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// synthetic is a model with the topology of one of the real ones, small and with random weights, in the form the package ships.
type synthetic struct {
	format  string
	layers  []map[string]any // of a layers model
	nodes   []map[string]any // of a graph model
	specs   []map[string]any
	bytes   []byte
	rng     *rand.Rand
	last    string
	classes int
}

func newSynthetic(format string) *synthetic {
	return &synthetic{format: format, rng: rand.New(rand.NewPCG(7, 42)), classes: 5}
}

// weight adds a quantised tensor with values min .. min+255*scale. With zeros, a tenth of them are exactly 0 (min must be 0).
func (s *synthetic) weight(name string, low, high float64, zeros bool, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	for range n {
		v := byte(s.rng.IntN(256))
		if zeros && s.rng.IntN(10) == 0 {
			v = 0
		}
		s.bytes = append(s.bytes, v)
	}
	if shape == nil {
		shape = []int{}
	}
	q := map[string]any{"min": low, "scale": (high - low) / 255, "dtype": "uint8"}
	s.specs = append(s.specs, map[string]any{"name": name, "shape": shape, "dtype": "float32", "quantization": q})
}

// layer adds a layer that reads inputs, the last layer when there are none.
func (s *synthetic) layer(class, name string, config map[string]any, inputs ...string) string {
	if len(inputs) == 0 && s.last != "" {
		inputs = []string{s.last}
	}
	config["name"] = name
	refs := []any{}
	for _, in := range inputs {
		refs = append(refs, []any{in, 0, 0, map[string]any{}})
	}
	inbound := []any{}
	if len(refs) > 0 {
		inbound = append(inbound, refs)
	}
	s.layers = append(s.layers, map[string]any{"name": name, "class_name": class, "config": config, "inbound_nodes": inbound})
	s.last = name
	return name
}

func pair(a, b int) []int { return []int{a, b} }

func (s *synthetic) conv(name string, kh, kw, in, out, stride int, padding string) string {
	spread := 2.4 / float64(kh*kw*in)
	s.weight(name+"/kernel", -spread, spread*1.4, false, kh, kw, in, out)
	return s.layer("Conv2D", name, map[string]any{
		"kernel_size": pair(kh, kw), "strides": pair(stride, stride), "padding": padding,
		"data_format": "channels_last", "dilation_rate": pair(1, 1), "activation": "linear", "use_bias": false,
	})
}

func (s *synthetic) depthwise(name string, in, stride int, padding string) string {
	s.weight(name+"/depthwise_kernel", -0.3, 0.5, false, 3, 3, in, 1)
	return s.layer("DepthwiseConv2D", name, map[string]any{
		"kernel_size": pair(3, 3), "strides": pair(stride, stride), "padding": padding,
		"data_format": "channels_last", "dilation_rate": pair(1, 1), "activation": "linear", "use_bias": false, "depth_multiplier": 1,
	})
}

func (s *synthetic) norm(name string, n int, scaled bool) string {
	if scaled {
		s.weight(name+"/gamma", 0.05, 0.4, false, n)
	}
	s.weight(name+"/beta", -0.2, 0.5, false, n)
	s.weight(name+"/moving_mean", -0.2, 0.3, false, n)
	s.weight(name+"/moving_variance", 0, 0.4, true, n)
	return s.layer("BatchNormalization", name, map[string]any{"axis": -1, "momentum": 0.999, "epsilon": 0.001, "center": true, "scale": scaled})
}

func (s *synthetic) relu6(name string) string {
	return s.layer("ReLU", name, map[string]any{"max_value": 6, "negative_slope": 0, "threshold": 0})
}

func (s *synthetic) dense(name string, in, out int, activation string) {
	s.weight(name+"/kernel", -0.2, 0.22, false, in, out)
	s.weight(name+"/bias", -0.2, 0.2, false, out)
	s.layer("Dense", name, map[string]any{"activation": activation, "use_bias": true})
}

// head ends both layers models as the real ones end.
func (s *synthetic) head(features, pool int) {
	s.layer("AveragePooling2D", "average_pooling", map[string]any{
		"pool_size": pair(pool, pool), "padding": "valid", "strides": pair(pool, pool),
		"data_format": "channels_last",
	})
	s.layer("Flatten", "flatten_1", map[string]any{"data_format": "channels_last"})
	s.dense("dense_1", features, 12, "relu")
	s.layer("Dropout", "dropout_2", map[string]any{"rate": 0.5})
	s.dense("dense_3", 12, s.classes, "softmax")
}

func (s *synthetic) input(side int) {
	s.layer("InputLayer", "input_1", map[string]any{"batch_input_shape": []any{nil, side, side, 3}, "dtype": "float32", "sparse": false})
}

// mobileNetV2 has every construction of MobileNetV2: a padded first convolution, bottlenecks at stride 1 and 2, a residual sum.
func mobileNetV2() *synthetic {
	s := newSynthetic("layers-model")
	s.input(32)
	s.zeroPad("Conv1_pad")
	s.conv("Conv1", 3, 3, 3, 8, 2, "valid")
	s.norm("bn_Conv1", 8, true)
	s.relu6("Conv1_relu")
	s.bottleneck("block_1", 8, 16, 8, 1)
	s.bottleneck("block_2", 8, 24, 12, 2)
	s.bottleneck("block_3", 12, 24, 12, 1)
	s.conv("Conv_1", 1, 1, 12, 20, 1, "valid")
	s.norm("Conv_1_bn", 20, true)
	s.relu6("out_relu")
	s.head(20*2*2, 4)
	return s
}

func (s *synthetic) zeroPad(name string) {
	s.layer("ZeroPadding2D", name, map[string]any{"padding": [][]int{{0, 1}, {0, 1}}, "data_format": "channels_last"})
}

func (s *synthetic) bottleneck(name string, in, wide, out, stride int) {
	start := s.last
	s.conv(name+"_expand", 1, 1, in, wide, 1, "same")
	s.norm(name+"_expand_BN", wide, true)
	s.relu6(name + "_expand_relu")
	padding := "same"
	if stride == 2 {
		s.zeroPad(name + "_pad")
		padding = "valid"
	}
	s.depthwise(name+"_depthwise", wide, stride, padding)
	s.norm(name+"_depthwise_BN", wide, true)
	s.relu6(name + "_depthwise_relu")
	s.conv(name+"_project", 1, 1, wide, out, 1, "same")
	end := s.norm(name+"_project_BN", out, true)
	if stride == 1 && in == out {
		s.layer("Add", name+"_add", map[string]any{}, start, end)
	}
}

// inceptionV3 has every construction of InceptionV3: branches, kernels of 1×7 and 7×1, both poolings, norms without gamma.
func inceptionV3() *synthetic {
	s := newSynthetic("")
	s.input(35)
	s.unit("1", 3, 3, 3, 8, 2, "valid")
	s.unit("2", 3, 3, 8, 8, 1, "same")
	start := s.layer("MaxPooling2D", "max_pooling2d_1", map[string]any{"pool_size": pair(3, 3), "padding": "valid", "strides": pair(2, 2), "data_format": "channels_last"})
	left := s.unit("3", 1, 1, 8, 6, 1, "same")
	s.last = start
	s.unit("4", 1, 7, 8, 5, 1, "same")
	middle := s.unit("5", 7, 1, 5, 6, 1, "same")
	s.last = start
	s.layer("AveragePooling2D", "average_pooling2d_1", map[string]any{"pool_size": pair(3, 3), "padding": "same", "strides": pair(1, 1), "data_format": "channels_last"})
	right := s.unit("6", 5, 5, 8, 4, 1, "same")
	s.layer("Concatenate", "mixed0", map[string]any{"axis": 3}, left, middle, right)
	s.unit("7", 3, 3, 16, 10, 2, "same")
	s.head(10, 4)
	return s
}

// unit is a convolution, a norm and a ReLU.
func (s *synthetic) unit(n string, kh, kw, in, out, stride int, padding string) string {
	s.conv("conv2d_"+n, kh, kw, in, out, stride, padding)
	s.norm("batch_normalization_"+n, out, false)
	return s.layer("Activation", "activation_"+n, map[string]any{"activation": "relu"})
}

// mobileNetV2Mid has every construction of MobileNetV2Mid, a frozen graph whose norms are folded into the convolutions.
func mobileNetV2Mid() *synthetic {
	s := newSynthetic("graph-model")
	s.node("input", "Placeholder", map[string]any{"shape": map[string]any{"shape": dims(-1, 32, 32, 3)}})
	s.constant("hub/Mul/y", 2, 2)
	s.constant("hub/Sub/y", 1, 1)
	s.node("hub/Mul", "Mul", nil, "hub/Mul/y", "input")
	s.node("hub/Sub", "Sub", nil, "hub/Mul", "hub/Sub/y")
	s.fused("Conv/Relu6", "_FusedConv2D", 2, true, -0.25, 0.35, 3, 3, 3, 8)
	s.fused("expanded_conv/depthwise", "FusedDepthwiseConv2dNative", 1, true, -0.3, 0.4, 3, 3, 8, 1)
	start := s.fused("expanded_conv/project", "_FusedConv2D", 1, false, -0.25, 0.35, 1, 1, 8, 6)
	s.fused("expanded_conv_1/expand", "_FusedConv2D", 1, true, -0.25, 0.35, 1, 1, 6, 12)
	s.fused("expanded_conv_1/depthwise", "FusedDepthwiseConv2dNative", 1, true, -0.3, 0.4, 3, 3, 12, 1)
	end := s.fused("expanded_conv_1/project", "_FusedConv2D", 1, false, -0.25, 0.35, 1, 1, 12, 6)
	s.node("expanded_conv_1/add", "AddV2", nil, end, start)
	s.fused("expanded_conv_2/expand", "_FusedConv2D", 1, true, -0.25, 0.35, 1, 1, 6, 12)
	s.fused("expanded_conv_2/depthwise", "FusedDepthwiseConv2dNative", 2, true, -0.3, 0.4, 3, 3, 12, 1)
	s.node("AvgPool", "AvgPool", map[string]any{"ksize": numbers(1, 8, 8, 1), "strides": numbers(1, 1, 1, 1), "padding": text("VALID"), "data_format": text("NHWC")})
	s.node("Squeeze", "Squeeze", map[string]any{"squeeze_dims": numbers(1, 2)})
	s.weight("dense/w", -0.5, 0.55, false, 12, s.classes)
	s.weight("dense/b", -0.2, 0.2, false, s.classes)
	s.node("dense/BiasAdd", "_FusedMatMul", map[string]any{
		"transpose_a": map[string]any{"b": false}, "transpose_b": map[string]any{"b": false},
		"fused_ops": texts("BiasAdd"),
	}, s.last, "dense/w", "dense/b")
	s.nodes = append(s.nodes, constantNode("dense/w"), constantNode("dense/b"))
	s.node("Softmax", "Softmax", nil)
	s.node("Identity", "Identity", nil)
	return s
}

func (s *synthetic) node(name, op string, attr map[string]any, inputs ...string) string {
	if len(inputs) == 0 && s.last != "" {
		inputs = []string{s.last}
	}
	if attr == nil {
		attr = map[string]any{}
	}
	attr["T"] = map[string]any{"type": "DT_FLOAT"}
	s.nodes = append(s.nodes, map[string]any{"name": name, "op": op, "input": inputs, "attr": attr})
	s.last = name
	return name
}

// constantNode declares a weight; like in the real graph it may carry a control input.
func constantNode(name string) map[string]any {
	return map[string]any{"name": name, "op": "Const", "input": []string{"^input"}, "attr": map[string]any{}}
}

func (s *synthetic) constant(name string, low, high float64) {
	s.weight(name, low, high, false)
	s.nodes = append(s.nodes, constantNode(name))
}

func (s *synthetic) fused(name, op string, stride int, relu bool, low, high float64, kernel ...int) string {
	out := kernel[3]
	if op == "FusedDepthwiseConv2dNative" {
		out = kernel[2] * kernel[3]
	}
	s.weight(name+"_w", low, high, false, kernel...)
	s.weight(name+"_b", -0.2, 0.4, false, out)
	s.nodes = append(s.nodes, constantNode(name+"_w"), constantNode(name+"_b"))
	ops := []string{"BiasAdd"}
	if relu {
		ops = append(ops, "Relu6")
	}
	return s.node(name, op, map[string]any{
		"strides": numbers(1, stride, stride, 1), "dilations": numbers(1, 1, 1, 1), "padding": text("SAME"),
		"data_format": text("NHWC"), "fused_ops": texts(ops...),
	}, s.last, name+"_w", name+"_b")
}

func numbers(ns ...int) map[string]any {
	out := []string{}
	for _, n := range ns {
		out = append(out, fmt.Sprint(n))
	}
	return map[string]any{"list": map[string]any{"i": out}}
}

func dims(ns ...int) map[string]any {
	out := []any{}
	for _, n := range ns {
		out = append(out, map[string]any{"size": fmt.Sprint(n)})
	}
	return map[string]any{"dim": out}
}

func text(s string) map[string]any {
	return map[string]any{"s": base64.StdEncoding.EncodeToString([]byte(s))}
}

func texts(ss ...string) map[string]any {
	out := []string{}
	for _, s := range ss {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(s)))
	}
	return map[string]any{"list": map[string]any{"s": out}}
}

// shuffled returns the tensors in another order than the graph's, as the real manifests have them.
func (s *synthetic) shuffled() ([]map[string]any, []byte) {
	starts, at := make([]int, len(s.specs)), 0
	for i, sp := range s.specs {
		starts[i] = at
		at += numbersIn(sp)
	}
	var specs []map[string]any
	var data []byte
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(s.specs)) {
		specs = append(specs, s.specs[i])
		data = append(data, s.bytes[starts[i]:starts[i]+numbersIn(s.specs[i])]...)
	}
	return specs, data
}

func numbersIn(spec map[string]any) int {
	n := 1
	for _, d := range spec["shape"].([]int) {
		n *= d
	}
	return n
}

// document returns the model as JSON, its weights in two shards that are cut in the middle of a tensor.
func (s *synthetic) document(t *testing.T) ([]byte, map[string]string) {
	t.Helper()
	topology := map[string]any{"node": s.nodes}
	if s.nodes == nil {
		topology = map[string]any{"keras_version": "2.2.4", "model_config": map[string]any{"class_name": "Model", "config": map[string]any{
			"name": "model_1", "layers": s.layers, "input_layers": []any{[]any{"input_1", 0, 0}}, "output_layers": []any{[]any{s.last, 0, 0}},
		}}}
	}
	specs, data := s.shuffled()
	cut := len(data)/2 + 1
	shards := map[string]string{
		"group1-shard1of2": base64.StdEncoding.EncodeToString(data[:cut]),
		"group1-shard2of2": base64.StdEncoding.EncodeToString(data[cut:]),
	}
	doc := map[string]any{"modelTopology": topology, "weightsManifest": []any{map[string]any{
		"paths": []string{"group1-shard1of2", "group1-shard2of2"}, "weights": specs,
	}}}
	if s.format != "" {
		doc["format"] = s.format
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out, shards
}

// write puts the model into a directory in the package's form and returns it.
func (s *synthetic) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	doc, shards := s.document(t)
	files := map[string]string{"model": minify(string(doc))}
	for name, data := range shards {
		files[name] = `"` + data + `"`
	}
	for name, literal := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".min.js"), []byte(bundle(name, literal)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	keyPattern   = regexp.MustCompile(`"([A-Za-z_][A-Za-z0-9_]*)":`)
	pointPattern = regexp.MustCompile(`([:\[,-])0\.`)
)

// minify writes JSON the way a JavaScript minifier does.
func minify(doc string) string {
	doc = keyPattern.ReplaceAllString(doc, "$1:")
	doc = pointPattern.ReplaceAllString(doc, "$1.")
	return strings.NewReplacer(":true", ":!0", ":false", ":!1").Replace(doc)
}

// bundle wraps a literal as a UMD module around a CommonJS module table.
func bundle(name, literal string) string {
	return `!function(e){if("object"==typeof exports&&"undefined"!=typeof module)module.exports=e();else if("function"==typeof define&&define.amd)` +
		`define([],e);else{("undefined"!=typeof window?window:this).` + strings.NewReplacer("-", "_").Replace(name) + `=e()}}(function(){` +
		`return function e(t,n,r){function o(i,u){if(!n[i]){if(!t[i]){var c=new Error("Cannot find module '"+i+"'");throw c.code="MODULE_NOT_FOUND",c}` +
		`var l=n[i]={exports:{}};t[i][0].call(l.exports,function(e){return o(t[i][1][e]||e)},l,l.exports,e,t,n,r)}return n[i].exports}` +
		`for(var i=0;i<r.length;i++)o(r[i]);return o}({1:[function(e,t,n){t.exports=` + literal + `},{}]},{},[1])(1)});`
}
