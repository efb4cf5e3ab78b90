"""aiokafka against a broker."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from scenarios import equal, run

BOOTSTRAP = sys.argv[1]


def asynchronous(fact):
    """The fact as a plain function, with its docstring."""

    def call():
        asyncio.run(asyncio.wait_for(fact(), 60))

    call.__doc__ = fact.__doc__
    return call


async def create(topic, partitions=1):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()


async def produce(topic, *values, **properties):
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **properties) as producer:
        sent = [await producer.send(topic, value, partition=0, headers=[("from", b"aio")]) for value in values]
        return [(await future).offset for future in sent]


def consumer(*topics, **properties):
    return AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest",
                            enable_auto_commit=False, **properties)


async def read(reader, count):
    return [await reader.getone() for _ in range(count)]


async def codecs():
    """an idempotent producer's records come back with every codec"""
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        topic = f"aio-codec-{codec}"
        await create(topic)
        values = [b"value %d" % n for n in range(300)]
        offsets = await produce(topic, *values, compression_type=codec, enable_idempotence=True, linger_ms=20)
        equal("offsets", list(range(300)), offsets)
        async with consumer(topic) as reader:
            records = await read(reader, 300)
        equal("values", values, [record.value for record in records])
        equal("headers", (("from", b"aio"),), records[0].headers)


async def groups():
    """a group of two shares partitions, commits and continues"""
    await create("aio-grouped", 2)
    async with consumer("aio-grouped", group_id="aio-group") as one:
        async with consumer("aio-grouped", group_id="aio-group") as two:
            while (len(one.assignment()), len(two.assignment())) != (1, 1):
                await asyncio.gather(one.getmany(timeout_ms=50), two.getmany(timeout_ms=50))
        while len(one.assignment()) != 2:
            await one.getmany(timeout_ms=50)
        await produce("aio-grouped", b"0", b"1")
        equal("first", b"0", (await one.getone()).value)
        await one.commit({TopicPartition("aio-grouped", 0): 1})
    async with consumer("aio-grouped", group_id="aio-group") as later:
        equal("what follows", b"1", (await later.getone()).value)


async def offsets():
    """offsets are found by timestamp and by end"""
    await create("aio-timed")
    await produce("aio-timed", b"0", b"1")
    partition = TopicPartition("aio-timed", 0)
    async with consumer("aio-timed") as reader:
        equal("first after 1970", 0, (await reader.offsets_for_times({partition: 1}))[partition].offset)
        equal("end", {partition: 2}, await reader.end_offsets([partition]))
        reader.seek(partition, 1)
        equal("after seeking", b"1", (await reader.getone()).value)


async def write():
    """writing before the kill"""
    await create("aio-kept")
    await produce("aio-kept", b"0", b"1", b"2")
    async with consumer("aio-kept", group_id="aio-kept") as reader:
        await read(reader, 2)
        await reader.commit({TopicPartition("aio-kept", 0): 2})


async def find():
    """records and the committed offset are found again"""
    async with consumer("aio-kept") as reader:
        equal("values", [b"0", b"1", b"2"], [record.value for record in await read(reader, 3)])
    async with consumer("aio-kept", group_id="aio-kept") as reader:
        equal("what follows", b"2", (await reader.getone()).value)


SUITES = {"scenarios": [codecs, groups, offsets], "write": [write], "find": [find]}
sys.exit(run([asynchronous(fact) for fact in SUITES[sys.argv[2]]]))
