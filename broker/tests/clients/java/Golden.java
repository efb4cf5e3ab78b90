import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

/**
 * Writes what Apache Kafka itself says about its messages, for the protocol's tests:
 *
 *     java -cp 'target/kafka/libs/*' broker/tests/clients/java/Golden.java broker/tests/golden
 *
 * schemas.txt: "api name key first-version last-version listeners forwarded" for each API, and "schema name version fields" for each message.
 * messages.txt: "name version variant hex", the bytes that Kafka's own classes write.
 * batches.txt: "compression hex", record batches of the Java producer's making.
 */
public class Golden {
    private static final List<String> APIS = List.of(
        "Produce", "Fetch", "ListOffsets", "Metadata", "OffsetCommit", "OffsetFetch", "FindCoordinator", "JoinGroup",
        "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups", "ListGroups", "ApiVersions", "CreateTopics",
        "DeleteTopics", "DeleteRecords", "InitProducerId", "OffsetForLeaderEpoch", "DescribeConfigs", "AlterConfigs",
        "DescribeLogDirs", "CreatePartitions", "DeleteGroups", "IncrementalAlterConfigs", "OffsetDelete",
        "DescribeCluster", "DescribeProducers", "ListConfigResources", "DescribeTopicPartitions",
        "ElectLeaders", "AlterPartitionReassignments", "ListPartitionReassignments", "UpdateFeatures",
        "UnregisterBroker", "DescribeQuorum",
        // What nodes of the quorum say to one another.
        "Vote", "BeginQuorumEpoch", "EndQuorumEpoch", "FetchSnapshot",
        // What brokers and controllers say to the active controller.
        "BrokerRegistration", "BrokerHeartbeat", "ControllerRegistration", "AlterPartition", "AllocateProducerIds",
        "AssignReplicasToDirs", "Envelope");

    private static final Map<String, List<String>> RECORDS = Map.of(
        "org.apache.kafka.common.metadata.", List.of(
            "RegisterBrokerRecord", "UnregisterBrokerRecord", "TopicRecord", "PartitionRecord", "ConfigRecord",
            "PartitionChangeRecord", "ProducerIdsRecord", "RemoveTopicRecord", "FeatureLevelRecord",
            "BrokerRegistrationChangeRecord", "NoOpRecord", "BeginTransactionRecord", "EndTransactionRecord",
            "AbortTransactionRecord", "RegisterControllerRecord", "ClearElrRecord",
            "FenceBrokerRecord", "UnfenceBrokerRecord"),
        "org.apache.kafka.coordinator.group.generated.", List.of(
            "OffsetCommitKey", "OffsetCommitValue", "GroupMetadataKey", "GroupMetadataValue"),
        "org.apache.kafka.common.message.", List.of(
            "ConsumerProtocolSubscription", "ConsumerProtocolAssignment", "LeaderChangeMessage", "SnapshotHeaderRecord",
            "SnapshotFooterRecord", "KRaftVersionRecord", "VotersRecord", "EndTxnMarker"));

    private enum Variant { DEFAULT, FILLED, NULLS, EMPTY, RANDOM }

    private static PrintStream schemas;
    private static PrintStream messages;

    public static void main(String[] arguments) throws Exception {
        schemas = new PrintStream(arguments[0] + "/schemas.txt", StandardCharsets.UTF_8);
        messages = new PrintStream(arguments[0] + "/messages.txt", StandardCharsets.UTF_8);
        for (String name : APIS) {
            ApiKeys api = Arrays.stream(ApiKeys.values())
                .filter(key -> key.messageType.name.equals(name)).findFirst().orElseThrow();
            short first = api.oldestVersion(), last = api.latestVersion(false);
            String listeners = api.messageType.listeners().stream()
                .map(listener -> listener.name().toLowerCase()).sorted().collect(Collectors.joining(","));
            schemas.println("api " + name + " " + api.id + " " + first + " " + last + " " + listeners + " " + api.forwardable);
            for (String side : List.of("Request", "Response")) {
                writeMessage(Class.forName("org.apache.kafka.common.message." + name + side + "Data"), name + side, first, last);
            }
        }
        for (String prefix : new TreeSet<>(RECORDS.keySet())) {
            for (String name : RECORDS.get(prefix)) {
                Class<?> type = Class.forName(prefix + name);
                writeMessage(type, name, type.getField("LOWEST_SUPPORTED_VERSION").getShort(null),
                    type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null));
            }
        }
        schemas.close();
        messages.close();
        try (PrintStream batches = new PrintStream(arguments[0] + "/batches.txt", StandardCharsets.UTF_8)) {
            for (CompressionType type : CompressionType.values()) {
                batches.println(type.name + " " + HexFormat.of().formatHex(batch(type)));
            }
        }
    }

    private static void writeMessage(Class<?> type, String name, short first, short last) throws Exception {
        for (short version = first; version <= last; version++) {
            Schema schema = ((Schema[]) type.getField("SCHEMAS").get(null))[version];
            schemas.println("schema " + name + " " + version + " " + describe(schema, type));
            String before = "";
            for (Variant variant : Variant.values()) {
                Message message = new Golden.Filler(variant, name + version).message(type, schema);
                ObjectSerializationCache cache = new ObjectSerializationCache();
                ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
                message.write(new ByteBufferAccessor(buffer), cache, version);
                String hex = HexFormat.of().formatHex(buffer.array());
                if (!hex.equals(before)) {
                    messages.println(name + " " + version + " " + variant.name().toLowerCase() + " " + (hex.isEmpty() ? "-" : hex));
                }
                before = hex;
            }
        }
    }

    // A struct is {name:type ...}, a tagged field name#tag:type, an array [type], and ? stands before what may be null.
    private static String describe(Schema schema, Class<?> type) throws Exception {
        StringBuilder text = new StringBuilder("{");
        for (Member member : members(schema, type)) {
            text.append(text.length() > 1 ? " " : "").append(member.name);
            if (member.tag >= 0) {
                text.append("#").append(member.tag);
            }
            text.append(":").append(describeValue(member.type, member.field.getGenericType(), member.nullable));
        }
        boolean flexible = schema.get("_tagged_fields") != null;
        return text.append(flexible ? "}+" : "}").toString();
    }

    private static String describeValue(org.apache.kafka.common.protocol.types.Type type, Type javaType, boolean nullable)
            throws Exception {
        String mark = nullable ? "?" : "";
        if (type.isArray()) {
            return mark + "[" + describeValue(type.arrayElementType().get(), element(javaType), false) + "]";
        }
        if (type instanceof Schema) {
            return mark + describe((Schema) type, (Class<?>) javaType);
        }
        return mark + plainName(type);
    }

    private static String plainName(org.apache.kafka.common.protocol.types.Type type) {
        return type.toString().replace("COMPACT_", "").replace("NULLABLE_", "").toLowerCase();
    }

    private record Member(String name, int tag, org.apache.kafka.common.protocol.types.Type type, Field field, boolean nullable) { }

    private static List<Member> members(Schema schema, Class<?> type) throws Exception {
        List<Member> members = new ArrayList<>();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var entry : new TreeMap<>(tagged.fields()).entrySet()) {
                    members.add(member(entry.getValue().name, entry.getKey(), entry.getValue().type, type));
                }
            } else {
                members.add(member(bound.def.name, -1, bound.def.type, type));
            }
        }
        return members;
    }

    // The schemas do not say which structs may be null: those are null where nothing is set.
    private static Member member(String name, int tag, org.apache.kafka.common.protocol.types.Type type, Class<?> owner)
            throws Exception {
        Field field = Arrays.stream(owner.getDeclaredFields())
            .filter(candidate -> candidate.getName().equalsIgnoreCase(name.replace("_", ""))).findFirst()
            .orElseThrow(() -> new IllegalStateException("no field " + name + " in " + owner));
        field.setAccessible(true);
        // The type of records says that it may be null, also where the message refuses that.
        boolean refused = name.equals("unaligned_records");
        boolean nullable = !refused && type.isNullable() || (type instanceof Schema && field.get(newInstance(owner)) == null);
        return new Member(name, tag, type, field, nullable);
    }

    private static Object newInstance(Class<?> type) throws Exception {
        return type.getDeclaredConstructor().newInstance();
    }

    // The element of a List<X>, or of a generated collection of X that is also a map.
    private static Type element(Type type) {
        Type parameterized = type instanceof Class<?> collection ? collection.getGenericSuperclass() : type;
        return ((ParameterizedType) parameterized).getActualTypeArguments()[0];
    }

    /** Makes messages whose values differ from each other and from their defaults, the same in every run. */
    private static class Filler {
        private final Variant variant;
        private final Random random;

        Filler(Variant variant, String seed) {
            this.variant = variant;
            this.random = new Random(seed.hashCode());
        }

        Message message(Class<?> type, Schema schema) throws Exception {
            return (Message) (variant == Variant.DEFAULT ? writableDefault(type, schema) : struct(type, schema));
        }

        // A default of null does not stand in versions that know no null: there the string or the array is empty.
        private Object writableDefault(Class<?> type, Schema schema) throws Exception {
            Object struct = newInstance(type);
            for (Member member : members(schema, type)) {
                if (member.field.get(struct) == null && !member.nullable) {
                    member.field.set(struct, new Filler(Variant.EMPTY, "").value(member.type, member.field.getGenericType()));
                }
            }
            return struct;
        }

        private Object struct(Class<?> type, Schema schema) throws Exception {
            Object struct = newInstance(type);
            for (Member member : members(schema, type)) {
                boolean isNull = variant == Variant.NULLS || variant == Variant.RANDOM && random.nextInt(3) == 0;
                member.field.set(struct, member.nullable && isNull
                    ? null : value(member.type, member.field.getGenericType()));
            }
            return struct;
        }

        @SuppressWarnings("unchecked")
        private Object array(org.apache.kafka.common.protocol.types.Type element, Type javaType) throws Exception {
            Collection<Object> collection = javaType instanceof Class<?> type
                ? (Collection<Object>) newInstance(type) : new ArrayList<>();
            int count = variant == Variant.EMPTY ? 0 : variant == Variant.RANDOM ? random.nextInt(4) : 2;
            for (int index = 0; index < count; index++) {
                collection.add(value(element, element(javaType)));
            }
            return collection;
        }

        private Object value(org.apache.kafka.common.protocol.types.Type type, Type javaType) throws Exception {
            if (type.isArray()) {
                return array(type.arrayElementType().get(), javaType);
            }
            if (type instanceof Schema schema) {
                return struct((Class<?>) javaType, schema);
            }
            return switch (plainName(type)) {
                case "boolean" -> random.nextBoolean();
                case "int8" -> (byte) random.nextInt();
                case "int16" -> (short) random.nextInt();
                case "uint16" -> random.nextInt(1 << 16);
                case "int32" -> random.nextInt();
                case "int64" -> random.nextLong();
                case "uuid" -> new Uuid(random.nextLong(), random.nextLong());
                case "string" -> string();
                case "bytes" -> javaType == byte[].class ? bytes() : ByteBuffer.wrap(bytes());
                case "records" -> MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
                default -> throw new IllegalArgumentException(type.toString());
            };
        }

        private String string() {
            return variant == Variant.EMPTY ? "" : List.of("a", "tö", "group-", "𝄞").get(random.nextInt(4)) + random.nextInt(1000);
        }

        private byte[] bytes() {
            byte[] bytes = new byte[variant == Variant.EMPTY ? 0 : 1 + random.nextInt(8)];
            random.nextBytes(bytes);
            return bytes;
        }
    }

    private static byte[] batch(CompressionType type) {
        SimpleRecord[] records = new SimpleRecord[20];
        for (int index = 0; index < records.length; index++) {
            byte[] key = index % 3 == 0 ? null : ("key-" + index).getBytes(StandardCharsets.UTF_8);
            byte[] value = index % 5 == 4 ? null : ("a value of record " + index).repeat(index).getBytes(StandardCharsets.UTF_8);
            Header[] headers = {new RecordHeader("schlüssel", new byte[] {1, 2, (byte) index}), new RecordHeader("null", null)};
            records[index] = new SimpleRecord(1_700_000_000_000L + index * 7L, key, value, index % 2 == 0 ? new Header[0] : headers);
        }
        MemoryRecords batch = MemoryRecords.withRecords((byte) 2, 1234L, Compression.of(type).build(),
            TimestampType.CREATE_TIME, 77L, (short) 3, 55, 9, true, records);
        byte[] bytes = new byte[batch.buffer().remaining()];
        batch.buffer().get(bytes);
        return bytes;
    }
}
