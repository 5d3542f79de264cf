import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.*;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.debezium.data.*;
import io.debezium.transforms.ExtractNewRecordState;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;

/**
 * Reads a topic from its beginning to its end as Kafka Connect would, with its JSON converter and the schemas that the
 * records carry, and prints a line of JSON for each record: its key, its envelope, the partition that
 * the Java producer would choose, and the row that Debezium's own transformation takes out. Cells are written as text by the schema's type alone: {@code java ReadConnect.java
 * BOOTSTRAP TOPIC}.
 */
public class ReadConnect {
    static final DateTimeFormatter MOMENT = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS");
    static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSS");

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("isolation.level", "read_committed");
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        String topic = arguments[1];
        JsonConverter keys = new JsonConverter();
        keys.configure(Map.of("schemas.enable", "true"), true);
        JsonConverter values = new JsonConverter();
        values.configure(Map.of("schemas.enable", "true"), false);
        ExtractNewRecordState<SinkRecord> extract = new ExtractNewRecordState<>();
        extract.configure(Map.of("delete.tombstone.handling.mode", "tombstone"));
        ObjectMapper mapper = new ObjectMapper();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            List<TopicPartition> places = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(p -> places.add(new TopicPartition(topic, p.partition())));
            consumer.assign(places);
            consumer.seekToBeginning(places);
            Map<TopicPartition, Long> ends = consumer.endOffsets(places);
            while (places.stream().anyMatch(place -> consumer.position(place) < ends.get(place))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    Map<String, Object> line = line(record, keys, values, extract);
                    if (line.get("value") instanceof Map<?, ?> && record.key() != null) {
                        @SuppressWarnings("unchecked")
                        Map<String, Object> parts = (Map<String, Object>) line.get("value");
                        parts.put("place", BuiltInPartitioner.partitionForKey(record.key(), places.size()));
                    }
                    System.out.println(mapper.writeValueAsString(line));
                }
            }
        }
    }

    static Map<String, Object> line(ConsumerRecord<byte[], byte[]> record, JsonConverter keys, JsonConverter values,
            ExtractNewRecordState<SinkRecord> extract) {
        SchemaAndValue key = keys.toConnectData(record.topic(), record.key());
        SchemaAndValue value = values.toConnectData(record.topic(), record.value());
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("partition", record.partition());
        line.put("key", key.value() == null ? null : row((Struct) key.value()));
        line.put("value", null);
        if (value.value() == null) {
            return line;
        }
        Struct envelope = (Struct) value.value();
        envelope.validate();
        if (!Envelope.isEnvelopeSchema(value.schema())) {
            throw new IllegalStateException("no envelope: " + value.schema().name());
        }
        Map<String, Object> parts = new LinkedHashMap<>();
        parts.put("op", envelope.getString("op"));
        parts.put("before", row(envelope.getStruct("before")));
        parts.put("after", row(envelope.getStruct("after")));
        parts.put("source", row(envelope.getStruct("source")));
        parts.put("types", types(value.schema().field("after").schema()));
        SinkRecord sink = new SinkRecord(record.topic(), record.partition(), key.schema(), key.value(), value.schema(),
                value.value(), record.offset());
        SinkRecord extracted = extract.apply(sink);
        parts.put("extracted", extracted == null || extracted.value() == null ? null : row((Struct) extracted.value()));
        line.put("value", parts);
        return line;
    }

    /** The name, or else the kind, of each column's type. */
    static Map<String, Object> types(Schema schema) {
        Map<String, Object> types = new LinkedHashMap<>();
        for (Field field : schema.fields()) {
            String name = field.schema().name();
            String type = name != null ? name : field.schema().type().getName();
            Map<String, String> parameters = field.schema().parameters();
            types.put(field.name(), parameters == null ? type : type + " " + new TreeMap<>(parameters));
        }
        return types;
    }

    static Map<String, Object> row(Struct struct) {
        if (struct == null) {
            return null;
        }
        Map<String, Object> row = new LinkedHashMap<>();
        for (Field field : struct.schema().fields()) {
            row.put(field.name(), text(field.schema(), struct.get(field)));
        }
        return row;
    }

    static String text(Schema schema, Object value) {
        if (value == null) {
            return null;
        }
        String name = schema.name() == null ? "" : schema.name();
        switch (name) {
            case "org.apache.kafka.connect.data.Decimal":
                return ((BigDecimal) value).toPlainString();
            case "io.debezium.time.Date":
                return LocalDate.ofEpochDay((Integer) value).toString();
            case "io.debezium.time.MicroTime":
                return LocalTime.ofNanoOfDay((Long) value * 1000).format(TIME);
            case "io.debezium.time.NanoTime":
                return LocalTime.ofNanoOfDay((Long) value).toString();
            case "io.debezium.time.Timestamp":
                return moment((Long) value, 1000);
            case "io.debezium.time.MicroTimestamp":
                return moment((Long) value, 1_000_000);
            case "io.debezium.time.NanoTimestamp":
                return moment((Long) value, 1_000_000_000);
            case "io.debezium.time.ZonedTimestamp":
                return OffsetDateTime.parse((String) value).withOffsetSameInstant(ZoneOffset.UTC).format(MOMENT);
            case "io.debezium.data.Bits":
                byte[] bits = bytes(value);
                for (int i = 0; i < bits.length / 2; i++) {
                    byte bit = bits[i];
                    bits[i] = bits[bits.length - 1 - i];
                    bits[bits.length - 1 - i] = bit;
                }
                return HexFormat.of().withUpperCase().formatHex(bits);
            default:
        }
        switch (schema.type()) {
            case BOOLEAN:
                return (Boolean) value ? "1" : "0";
            case FLOAT32:
                return Double.toString((Float) value);
            case BYTES:
                return HexFormat.of().withUpperCase().formatHex(bytes(value));
            case ARRAY:
                List<String> items = new ArrayList<>();
                for (Object item : (List<?>) value) {
                    items.add(text(schema.valueSchema(), item));
                }
                return "[" + String.join(",", items) + "]";
            case MAP:
                Map<String, String> entries = new TreeMap<>();
                ((Map<?, ?>) value).forEach((k, v) -> entries.put(text(schema.keySchema(), k), text(schema.valueSchema(), v)));
                return entries.toString();
            case STRUCT:
                return row((Struct) value).toString();
            default:
                return value.toString();
        }
    }

    static byte[] bytes(Object value) {
        return value instanceof ByteBuffer buffer ? buffer.array().clone() : ((byte[]) value).clone();
    }

    static String moment(long count, long perSecond) {
        long seconds = Math.floorDiv(count, perSecond);
        long nanos = Math.floorMod(count, perSecond) * (1_000_000_000 / perSecond);
        return LocalDateTime.ofEpochSecond(seconds, (int) nanos, ZoneOffset.UTC).format(MOMENT);
    }
}
