package memstore_test

import (
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func TestStore(t *testing.T) {
	pipelinetest.TestStore(t, func(*testing.T) pipeline.Store { return memstore.New() })
}
