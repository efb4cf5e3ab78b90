// Command client runs franz-go against a broker: `client BOOTSTRAP scenarios|write|find`. It ends with status 1 and says
// what differed when a fact does not hold.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// scenario is one fact about the broker, and the calls that show it.
type scenario struct {
	fact string
	run  func(context.Context, *clients) error
}

// clients holds the broker's address and an admin client.
type clients struct {
	bootstrap string
	admin     *kadm.Client
}

// open returns a client with these options.
func (c *clients) open(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.bootstrap)}, options...)...)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Println("usage: client BOOTSTRAP scenarios|write|find")
		os.Exit(2)
	}
	suites := map[string][]scenario{"scenarios": append(adminScenarios, recordScenarios...), "write": write, "find": find}
	c := &clients{bootstrap: os.Args[1]}
	client, err := c.open()
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	defer client.Close()
	c.admin = kadm.NewClient(client)
	if failures := run(c, suites[os.Args[2]]); failures > 0 {
		os.Exit(1)
	}
}

// run says how each scenario went, and returns the number of failures.
func run(c *clients, scenarios []scenario) (failures int) {
	for _, s := range scenarios {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := s.run(ctx, c); err != nil {
			failures++
			fmt.Printf("FAILED: %s: %v\n", s.fact, err)
		} else {
			fmt.Printf("ok: %s\n", s.fact)
		}
		cancel()
	}
	return failures
}

// equal is nil if got is what was expected.
func equal[T comparable](what string, expected, got T) error {
	if expected != got {
		return fmt.Errorf("%s: expected %v, got %v", what, expected, got)
	}
	return nil
}

// eventually calls probe until it gives nil, or returns its last error when ctx ends. Apache Kafka answers a change of
// metadata before its own metadata requests show it.
func eventually(ctx context.Context, probe func() error) error {
	for {
		err := probe()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
