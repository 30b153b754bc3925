package pipelinetest

import (
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestFakeProcessorKeepsTheContract(t *testing.T) {
	TestProcessor(t, JPEG("a photo"), func(*testing.T) pipeline.Processors { return &Processors{} })
}
