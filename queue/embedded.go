package queue

import (
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// StartEmbedded starts a Redis inside this process, on a loopback port, for development and demonstrations. It keeps nothing: what
// is queued when the process ends is gone.
func StartEmbedded() (url string, stop func(), err error) {
	server, err := miniredis.Run()
	if err != nil {
		return "", nil, fmt.Errorf("embedded redis: %w", err)
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		keepTime(server, quit)
	}()
	stop = sync.OnceFunc(func() {
		close(quit)
		<-ended
		server.Close()
	})
	return "redis://" + server.Addr() + "/0", stop, nil
}

// keepTime lets keys expire: miniredis's clock stands still by itself.
func keepTime(server *miniredis.Miniredis, quit <-chan struct{}) {
	const every = time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			server.FastForward(every)
		}
	}
}
