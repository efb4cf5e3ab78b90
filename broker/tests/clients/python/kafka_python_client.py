"""kafka-python against a broker."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata

from scenarios import equal, eventually, fails, run

BOOTSTRAP = sys.argv[1]
ADMIN = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def create(topic, partitions=1):
    ADMIN.create_topics([NewTopic(topic, partitions, 1)])


def produce(topic, *values, **properties):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", **properties)
    sent = [producer.send(topic, value, partition=0, headers=[("from", b"python")]) for value in values]
    offsets = [future.get(30).offset for future in sent]
    producer.close()
    return offsets


def consumer(*topics, **properties):
    return KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest",
                         enable_auto_commit=False, **properties)


def read(reader, count):
    records = []

    def enough():
        for batch in reader.poll(100).values():
            records.extend(batch)
        return len(records) >= count

    eventually(f"{count} records", enough)
    return records


def partitions(topic):
    return len(ADMIN.describe_topics([topic])[0]["partitions"])


def topics():
    """topics are created, described, grown and deleted"""
    create("py-topic", 2)
    fails(TopicAlreadyExistsError, lambda: create("py-topic"))
    eventually("2 partitions", lambda: partitions("py-topic") == 2)
    ADMIN.create_partitions({"py-topic": NewPartitions(3)})
    eventually("3 partitions", lambda: partitions("py-topic") == 3)
    ADMIN.delete_topics(["py-topic"])
    fails(UnknownTopicOrPartitionError, lambda: ADMIN.delete_topics(["py-topic"]))


def configs():
    """topic configs are altered and described"""
    create("py-configs")
    ADMIN.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "py-configs", {"retention.ms": "4711"})])

    def retention():
        response = ADMIN.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "py-configs")])[0]
        return {entry[0]: entry[1] for entry in response.resources[0][4]}["retention.ms"]

    eventually("the new retention", lambda: retention() == "4711")


def codecs():
    """records come back with every codec, idempotently and not"""
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [True, False]:
            topic = f"py-codec-{codec}-{idempotent}"
            create(topic)
            values = [b"value %d" % n for n in range(300)]
            offsets = produce(topic, *values, compression_type=codec, linger_ms=20, enable_idempotence=idempotent)
            equal("offsets", list(range(300)), offsets)
            records = read(consumer(topic), 300)
            equal("values", values, [record.value for record in records])
            equal("headers", [("from", b"python")], records[0].headers)


def groups():
    """a group commits, continues, is described, listed and deleted"""
    create("py-grouped")
    produce("py-grouped", b"0", b"1")
    first = consumer("py-grouped", group_id="py-group", max_poll_records=1)
    read(first, 1)
    first.commit()
    described = ADMIN.describe_consumer_groups(["py-group"])[0]
    equal("state", "Stable", described.state)
    first.close()
    assert "py-group" in [group[0] for group in ADMIN.list_consumer_groups()], "not listed"
    second = consumer("py-grouped", group_id="py-group")
    equal("values", [b"1"], [record.value for record in read(second, 1)])
    second.close()
    offsets = ADMIN.list_consumer_group_offsets("py-group")
    equal("offset", 1, offsets[TopicPartition("py-grouped", 0)].offset)
    ADMIN.delete_consumer_groups(["py-group"])
    equal("after deletion", {}, ADMIN.list_consumer_group_offsets("py-group"))


def offsets():
    """offsets are found by timestamp and by end"""
    create("py-timed")
    produce("py-timed", b"0", b"1")
    reader = consumer()
    partition = TopicPartition("py-timed", 0)
    equal("first after 1970", 0, reader.offsets_for_times({partition: 1})[partition].offset)
    equal("beginning", {partition: 0}, reader.beginning_offsets([partition]))
    equal("end", {partition: 2}, reader.end_offsets([partition]))


def write():
    """writing before the kill"""
    create("py-kept")
    produce("py-kept", b"0", b"1", b"2")
    reader = consumer(group_id="py-kept")
    partition = TopicPartition("py-kept", 0)
    reader.assign([partition])
    reader.commit({partition: OffsetAndMetadata(2, "kept", -1)})
    reader.close()


def find():
    """records and the committed offset are found again"""
    equal("values", [b"0", b"1", b"2"], [record.value for record in read(consumer("py-kept"), 3)])
    reader = consumer("py-kept", group_id="py-kept")
    equal("what follows", [b"2"], [record.value for record in read(reader, 1)])
    reader.close()


SUITES = {"scenarios": [topics, configs, codecs, groups, offsets], "write": [write], "find": [find]}
sys.exit(run(SUITES[sys.argv[2]]))
