// kafkajs against a broker: `node client.js BOOTSTRAP scenarios|write|find`, status 1 if a fact does not hold.
"use strict";

const assert = require("node:assert/strict");
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");
const snappy = require("kafkajs-snappy");

CompressionCodecs[CompressionTypes.Snappy] = snappy;

const [bootstrap, suite] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
const admin = kafka.admin();

// Repeats `probe` until it gives true; fails after 30 seconds.
async function eventually(what, probe) {
  const deadline = Date.now() + 30_000;
  while (!(await probe())) {
    assert.ok(Date.now() < deadline, `waited 30 s for ${what}`);
  }
}

async function create(topic, numPartitions = 1) {
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions }] });
}

async function produce(topic, values, compression) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = values.map((value) => ({ value, partition: 0, headers: { from: "kafkajs" } }));
  await producer.send({ topic, messages, acks: -1, compression });
  await producer.disconnect();
}

// Reads `count` records of `topic` as a member of `groupId`, and commits behind them.
async function read(groupId, topic, count) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  const records = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, (event) => reject(event.payload.error));
    const eachMessage = async ({ message }) => {
      records.push(message);
      if (records.length === count) resolve();
    };
    consumer.run({ autoCommit: false, eachMessage }).catch(reject);
  });
  const offset = String(Number(records.at(-1).offset) + 1);
  await consumer.commitOffsets([{ topic, partition: 0, offset }]);
  await consumer.disconnect();
  return records.map((record) => record.value.toString());
}

const scenarios = {
  "topics are created, described, grown and deleted": async () => {
    await create("js-topic", 2);
    assert.equal(await admin.createTopics({ topics: [{ topic: "js-topic" }] }), false, "created twice");
    await admin.createPartitions({ topicPartitions: [{ topic: "js-topic", count: 3 }] });
    await eventually("3 partitions", async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: ["js-topic"] });
      return topics[0].partitions.length === 3;
    });
    await admin.deleteTopics({ topics: ["js-topic"] });
    await eventually("it is gone", async () => !(await admin.listTopics()).includes("js-topic"));
  },
  "topic configs are altered and described": async () => {
    await create("js-configs");
    const resource = { type: ConfigResourceTypes.TOPIC, name: "js-configs" };
    const configEntries = [{ name: "retention.ms", value: "4711" }];
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
    await eventually("the new retention", async () => {
      const described = await admin.describeConfigs({ resources: [resource] });
      const entry = described.resources[0].configEntries.find((one) => one.configName === "retention.ms");
      return entry.configValue === "4711";
    });
  },
  "records come back with every codec that kafkajs has": async () => {
    for (const codec of ["None", "GZIP", "Snappy"]) {
      const topic = `js-codec-${codec}`;
      await create(topic);
      const values = Array.from({ length: 300 }, (_, n) => `value ${n}`);
      await produce(topic, values, CompressionTypes[codec]);
      assert.deepEqual(await read(topic, topic, 300), values, codec);
    }
  },
  "a group continues, is listed, described, reset and deleted": async () => {
    await create("js-grouped");
    await produce("js-grouped", ["0"]);
    assert.deepEqual(await read("js-group", "js-grouped", 1), ["0"]);
    await produce("js-grouped", ["1"]);
    assert.deepEqual(await read("js-group", "js-grouped", 1), ["1"]);
    assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === "js-group"), "not listed");
    assert.equal((await admin.describeGroups(["js-group"])).groups[0].state, "Empty");
    await admin.resetOffsets({ groupId: "js-group", topic: "js-grouped", earliest: true });
    assert.deepEqual(await read("js-group", "js-grouped", 2), ["0", "1"]);
    const [{ errorCode }] = await admin.deleteGroups(["js-group"]);
    assert.equal(errorCode ?? 0, 0);
  },
  "offsets are found by timestamp and by end": async () => {
    await create("js-timed");
    await produce("js-timed", ["0", "1"]);
    assert.equal((await admin.fetchTopicOffsetsByTimestamp("js-timed", 1))[0].offset, "0");
    assert.equal((await admin.fetchTopicOffsets("js-timed"))[0].high, "2");
  },
};

const write = {
  "writing before the kill": async () => {
    await create("js-kept");
    await produce("js-kept", ["0", "1"]);
    assert.deepEqual(await read("js-kept", "js-kept", 2), ["0", "1"]);
    await produce("js-kept", ["2"]);
  },
};

const find = {
  "the group continues after its committed offset": async () => {
    assert.deepEqual(await read("js-kept", "js-kept", 1), ["2"]);
  },
  "records are found again": async () => {
    assert.deepEqual(await read("js-kept-again", "js-kept", 3), ["0", "1", "2"]);
  },
};

async function main() {
  let failures = 0;
  await admin.connect();
  for (const [fact, run] of Object.entries({ scenarios, write, find }[suite])) {
    const start = Date.now();
    try {
      await run();
      console.log(`ok (${Date.now() - start} ms): ${fact}`);
    } catch (failure) {
      failures += 1;
      console.log(`FAILED: ${fact}`, failure);
    }
  }
  await admin.disconnect();
  process.exit(failures ? 1 : 0);
}

main();
