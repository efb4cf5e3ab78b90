package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

var adminScenarios = []scenario{
	{"topics are created, listed, grown and deleted", topics},
	{"topic configs are set, described and deleted", configs},
	{"offsets are committed, fetched and deleted, groups listed and deleted", groups},
	{"brokers and log directories are described", cluster},
	{"records are deleted up to an offset", deleteRecords},
}

func topics(ctx context.Context, c *clients) error {
	created, err := c.admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": kadm.StringPtr("1000")}, "go-topic")
	if err := first(err, created.Err); err != nil {
		return err
	}
	_, err = c.admin.CreateTopic(ctx, 2, 1, nil, "go-topic")
	if !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("created again: %v", err)
	}
	grown, err := c.admin.CreatePartitions(ctx, 1, "go-topic")
	if err := first(err, grown.Error()); err != nil {
		return err
	}
	err = eventually(ctx, func() error {
		listed, err := c.admin.ListTopics(ctx, "go-topic")
		topic := listed["go-topic"]
		return first(err, equal("partitions", 3, len(topic.Partitions)), equal("topic id", created.ID, topic.ID))
	})
	if err != nil {
		return err
	}
	deleted, err := c.admin.DeleteTopics(ctx, "go-topic")
	if err := first(err, deleted.Error()); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		after, err := c.admin.ListTopics(ctx)
		return first(err, equal("listed after deletion", false, after.Has("go-topic")))
	})
}

func configs(ctx context.Context, c *clients) error {
	if _, err := c.admin.CreateTopic(ctx, 1, 1, nil, "go-configs"); err != nil {
		return err
	}
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("4711")}}
	altered, err := c.admin.AlterTopicConfigs(ctx, set, "go-configs")
	if err := first(err, altered[0].Err); err != nil {
		return err
	}
	if err := topicConfig(ctx, c, "retention.ms", "4711"); err != nil {
		return err
	}
	// The whole state at once is the older API, AlterConfigs.
	whole := []kadm.AlterConfig{{Name: "segment.ms", Value: kadm.StringPtr("5000")}}
	altered, err = c.admin.AlterTopicConfigsState(ctx, whole, "go-configs")
	if err := first(err, altered[0].Err); err != nil {
		return err
	}
	if err := topicConfig(ctx, c, "segment.ms", "5000"); err != nil {
		return err
	}
	return topicConfig(ctx, c, "retention.ms", "604800000")
}

func topicConfig(ctx context.Context, c *clients, key, expected string) error {
	return eventually(ctx, func() error { return topicConfigNow(ctx, c, key, expected) })
}

func topicConfigNow(ctx context.Context, c *clients, key, expected string) error {
	described, err := c.admin.DescribeTopicConfigs(ctx, "go-configs")
	if err != nil {
		return err
	}
	for _, config := range described[0].Configs {
		if config.Key == key {
			return equal(key, expected, config.MaybeValue())
		}
	}
	return fmt.Errorf("no %s", key)
}

func groups(ctx context.Context, c *clients) error {
	if _, err := c.admin.CreateTopic(ctx, 2, 1, nil, "go-groups"); err != nil {
		return err
	}
	var offsets kadm.Offsets
	offsets.AddOffset("go-groups", 0, 5, -1)
	offsets.AddOffset("go-groups", 1, 6, -1)
	if err := c.admin.CommitAllOffsets(ctx, "go-group", offsets); err != nil {
		return err
	}
	fetched, err := c.admin.FetchOffsets(ctx, "go-group")
	if err != nil {
		return err
	}
	one, _ := fetched.Lookup("go-groups", 1)
	listed, err := c.admin.ListGroups(ctx)
	if err := first(err, equal("offset", 6, one.At), equal("state", "Empty", listed["go-group"].State)); err != nil {
		return err
	}
	var forget kadm.TopicsSet
	forget.Add("go-groups", 1)
	if _, err := c.admin.DeleteOffsets(ctx, "go-group", forget); err != nil {
		return err
	}
	fetched, err = c.admin.FetchOffsets(ctx, "go-group")
	if _, found := fetched.Lookup("go-groups", 1); err != nil || found {
		return fmt.Errorf("a deleted offset: %v, found: %v", err, found)
	}
	deleted, err := c.admin.DeleteGroups(ctx, "go-group")
	return first(err, deleted.Error())
}

func cluster(ctx context.Context, c *clients) error {
	metadata, err := c.admin.BrokerMetadata(ctx)
	if err := first(err, equal("brokers", 1, len(metadata.Brokers)), equal("controller", 1, metadata.Controller)); err != nil {
		return err
	}
	described, err := c.admin.DescribeAllLogDirs(ctx, nil)
	return first(err, equal("brokers with log directories", 1, len(described)))
}

func deleteRecords(ctx context.Context, c *clients) error {
	if err := produce(ctx, c, "go-deleted", "0", "1", "2"); err != nil {
		return err
	}
	var offsets kadm.Offsets
	offsets.AddOffset("go-deleted", 0, 2, -1)
	deleted, err := c.admin.DeleteRecords(ctx, offsets)
	if err := first(err, deleted.Error()); err != nil {
		return err
	}
	start, err := c.admin.ListStartOffsets(ctx, "go-deleted")
	found, _ := start.Lookup("go-deleted", 0)
	return first(err, equal("start offset", 2, found.Offset))
}
