package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

var recordScenarios = []scenario{
	{"records come back with every codec", codecs},
	{"a cooperative-sticky group shares partitions and commits", cooperativeGroup},
	{"offsets are found by timestamp", offsetsByTimestamp},
}

var write = []scenario{
	{"writing before the kill", func(ctx context.Context, c *clients) error {
		if err := produce(ctx, c, "go-kept", "0", "1", "2"); err != nil {
			return err
		}
		return readAndCommit(ctx, c, "go-kept", "0", "1")
	}},
}

var find = []scenario{
	{"records are found again", func(ctx context.Context, c *clients) error {
		return read(ctx, c, "go-kept", []string{"0", "1", "2"})
	}},
	{"the group continues after its committed offset", func(ctx context.Context, c *clients) error {
		return readAndCommit(ctx, c, "go-kept", "2")
	}},
}

func codecs(ctx context.Context, c *clients) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		values := make([]string, 500)
		for i := range values {
			values[i] = strings.Repeat(strconv.Itoa(i)+" ", 20)
		}
		topic := "go-codec-" + name
		if err := produceWith(ctx, c, topic, values, kgo.ProducerBatchCompression(codec)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := read(ctx, c, topic, values); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func cooperativeGroup(ctx context.Context, c *clients) error {
	if _, err := c.admin.CreateTopic(ctx, 4, 1, nil, "go-shared"); err != nil {
		return err
	}
	var members []*kgo.Client
	for range 2 {
		member, err := c.open(kgo.ConsumerGroup("go-shared"), kgo.ConsumeTopics("go-shared"),
			kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return err
		}
		defer member.Close()
		members = append(members, member)
	}
	for {
		described, err := c.admin.DescribeGroups(ctx, "go-shared")
		if err != nil {
			return fmt.Errorf("two members with two partitions each did not come: %w", err)
		}
		sizes := map[int]int{}
		for _, member := range described["go-shared"].Members {
			if assignment, ok := member.Assigned.AsConsumer(); ok && len(assignment.Topics) == 1 {
				sizes[len(assignment.Topics[0].Partitions)]++
			}
		}
		if described["go-shared"].State == "Stable" && sizes[2] == 2 {
			break
		}
	}
	if err := equal("protocol", "cooperative-sticky", protocol(ctx, c, "go-shared")); err != nil {
		return err
	}
	for i := range 40 {
		if err := producePartition(ctx, c, "go-shared", int32(i%4), strconv.Itoa(i)); err != nil {
			return err
		}
	}
	for _, member := range members {
		for count := 0; count < 20; {
			fetches := member.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return err
			}
			count += fetches.NumRecords()
		}
		if err := member.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
	}
	lag, err := c.admin.Lag(ctx, "go-shared")
	if err != nil {
		return err
	}
	return equal("lag", 0, lag["go-shared"].Lag.Total())
}

func protocol(ctx context.Context, c *clients, group string) string {
	described, err := c.admin.DescribeGroups(ctx, group)
	if err != nil {
		return err.Error()
	}
	return described[group].Protocol
}

func offsetsByTimestamp(ctx context.Context, c *clients) error {
	if err := produce(ctx, c, "go-timed", "0", "1"); err != nil {
		return err
	}
	after, err := c.admin.ListOffsetsAfterMilli(ctx, 1, "go-timed")
	if err != nil {
		return err
	}
	found, _ := after.Lookup("go-timed", 0)
	end, err := c.admin.ListEndOffsets(ctx, "go-timed")
	last, _ := end.Lookup("go-timed", 0)
	return first(err, equal("first after 1970", 0, found.Offset), equal("end", 2, last.Offset))
}

// produce creates a topic of one partition and writes values to it, idempotently, which is franz-go's default.
func produce(ctx context.Context, c *clients, topic string, values ...string) error {
	return produceWith(ctx, c, topic, values)
}

func produceWith(ctx context.Context, c *clients, topic string, values []string, options ...kgo.Opt) error {
	if _, err := c.admin.CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return err
	}
	client, err := c.open(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, value := range values {
		headers := []kgo.RecordHeader{{Key: "from", Value: []byte("franz-go")}}
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(value), Headers: headers})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func producePartition(ctx context.Context, c *clients, topic string, partition int32, value string) error {
	client, err := c.open(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	record := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}
	return client.ProduceSync(ctx, record).FirstErr()
}

// read expects exactly these values in the topic, from its beginning.
func read(ctx context.Context, c *clients, topic string, expected []string) error {
	client, err := c.open(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	return expect(ctx, client, expected)
}

func expect(ctx context.Context, client *kgo.Client, expected []string) error {
	var got []*kgo.Record
	for len(got) < len(expected) {
		fetches := client.PollRecords(ctx, len(expected)-len(got))
		if err := fetches.Err(); err != nil {
			return err
		}
		got = append(got, fetches.Records()...)
	}
	for i, record := range got {
		if err := equal(fmt.Sprintf("record %d", i), expected[i], string(record.Value)); err != nil {
			return err
		}
		if len(record.Headers) != 1 || string(record.Headers[0].Value) != "franz-go" {
			return fmt.Errorf("headers of record %d: %v", i, record.Headers)
		}
	}
	return nil
}

// readAndCommit reads these values as the group named like the topic, and commits behind them.
func readAndCommit(ctx context.Context, c *clients, topic string, expected ...string) error {
	client, err := c.open(kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := expect(ctx, client, expected); err != nil {
		return err
	}
	return client.CommitUncommittedOffsets(ctx)
}
