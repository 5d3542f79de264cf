"""Reads a topic from its beginning to its end with clients that were not written here, and prints a line of JSON for each
record: {"partition", "key", "value"}, with every cell as text, so that all formats can be compared with one expectation.

  read.py json BOOTSTRAP TOPIC             JSON keys and values
  read.py canal BOOTSTRAP TOPIC            csv keys, Canal's flat messages, whose shape is checked
  read.py avro BOOTSTRAP TOPIC REGISTRY [LOGIN]         keys and values, each by the schema that it was written with
  read.py avro-latest BOOTSTRAP TOPIC REGISTRY [LOGIN]  values by the newest schema of their subject
  read.py avro-value BOOTSTRAP TOPIC REGISTRY [LOGIN]   Avro values, JSON keys
  read.py places BOOTSTRAP TOPIC           the partition of each record, and the one that the Java clients' hash gives
"""

import base64
import csv
import datetime
import decimal
import io
import json
import struct
import sys

from kafka import KafkaConsumer, TopicPartition


def records(bootstrap, topic):
    """All committed records, partition by partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    places = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found = {place: [] for place in places}
    while any(consumer.position(place) < ends[place] for place in places):
        for place, batch in consumer.poll(timeout_ms=500).items():
            found[place].extend(batch)
    consumer.close()
    return [record for place in places for record in found[place]]


def moment(value):
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value.isoformat(timespec="microseconds")


def cell(name, value):
    """A cell as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if name.startswith("c_float") and isinstance(value, (int, float, decimal.Decimal)):
        return repr(struct.unpack("f", struct.pack("f", value))[0])
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list) and name.startswith("c_set"):
        return ",".join(value)
    if isinstance(value, list):
        return "[" + ",".join(str(cell(name, item)) for item in value) + "]"
    raise TypeError(f"{name}: {value!r}")


def row(value):
    return None if value is None else {name: cell(name, item) for name, item in value.items()}


def envelope(value):
    """Debezium's envelope, or a row alone."""
    if value is None or "op" not in value:
        return row(value)
    return {
        "op": value["op"],
        "before": row(value["before"]),
        "after": row(value["after"]),
        "source": row(value["source"]),
    }


# ---- JSON ----


def from_json(data):
    return None if data is None else json.loads(data, parse_float=decimal.Decimal)


BYTES = ("c_bit10", "c_bit64", "c_bin", "c_varbin", "c_blob")


def typed(value):
    """What a row alone cannot tell: bytes and times, by their columns' names."""
    if value is None or "op" in value:
        return value
    typed = dict(value)
    for name, item in value.items():
        if item is None:
            continue
        if name in BYTES:
            typed[name] = base64.b64decode(item, validate=True)
        elif name.startswith(("c_dt", "c_ts")):
            assert item[10] == "T", item
            typed[name] = datetime.datetime.fromisoformat(item)
        elif name.startswith("c_time"):
            typed[name] = datetime.time.fromisoformat(item)
    return typed


def by_json(bootstrap, topic):
    for record in records(bootstrap, topic):
        yield record.partition, row(from_json(record.key)), envelope(typed(from_json(record.value)))


# ---- Canal ----

MEMBERS = {"data", "database", "es", "id", "isDdl", "mysqlType", "old", "pkNames", "sql", "sqlType", "table", "ts", "type"}


def from_canal(name, value, mysql_type, sql_type):
    """A cell of a flat message, which is a string whatever its type, by the type that the message names."""
    assert value is None or isinstance(value, str), (name, value)
    if value is None or sql_type in (-7, -6, 5, 4, -5, 3, 1, 12):
        return value
    if mysql_type.startswith("bit("):
        width = (int(mysql_type[4:-1]) + 7) // 8
        return int(value).to_bytes(width, "big").hex().upper()
    if sql_type in (7, 8):
        return cell(name, float(value))
    if sql_type == 91:
        return datetime.date.fromisoformat(value).isoformat()
    if sql_type == 92:
        return datetime.time.fromisoformat(value).isoformat(timespec="microseconds")
    if sql_type == 93:
        assert value[10] == " ", value
        return moment(datetime.datetime.fromisoformat(value.removesuffix("Z")))
    if sql_type in (-2, -3, 2004):
        return base64.b64decode(value, validate=True).hex().upper()
    if mysql_type.startswith("set("):
        return value
    return cell(name, json.loads(value))


def by_canal(bootstrap, topic):
    for record in records(bootstrap, topic):
        key = next(csv.reader(io.StringIO(record.key.decode()))) if record.key else None
        if record.value is None:
            yield record.partition, key, None
            continue
        value = json.loads(record.value)
        assert set(value) == MEMBERS, set(value) ^ MEMBERS
        assert value["isDdl"] is False and value["sql"] == "" and isinstance(value["id"], int)
        assert value["type"] in ("INSERT", "UPDATE", "DELETE"), value["type"]
        assert 0 < value["es"] <= value["ts"], value
        assert isinstance(value["database"], str) and isinstance(value["table"], str)
        mysql, sql = value["mysqlType"], value["sqlType"]
        [data] = value["data"]
        assert set(data) == set(mysql) == set(sql)
        assert all(isinstance(kind, str) for kind in mysql.values())
        assert all(isinstance(number, int) for number in sql.values())
        assert value["pkNames"] is None or set(value["pkNames"]) <= set(data)

        def cells(image):
            return {name: from_canal(name, item, mysql[name], sql[name]) for name, item in image.items()}

        if value["type"] == "UPDATE":
            [old] = value["old"]
            # What it names did change.
            assert all(old[name] != data[name] for name in old), (old, data)
            yield record.partition, key, {"op": "u", "before": {**cells(data), **cells(old)}, "after": cells(data)}
        else:
            assert value["old"] is None
            delete = value["type"] == "DELETE"
            image = cells(data)
            yield record.partition, key, {
                "op": "d" if delete else "c",
                "before": image if delete else None,
                "after": None if delete else image,
            }


# ---- Avro ----


def by_avro(mode, bootstrap, topic, registry, login=None):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    settings = {"url": registry}
    if login:
        settings["basic.auth.user.info"] = login
    client = SchemaRegistryClient(settings)
    newest = client.get_latest_version(f"{topic}-value").schema if mode == "avro-latest" else None
    keys, values = AvroDeserializer(client), AvroDeserializer(client, newest)
    for record in records(bootstrap, topic):
        key = record.key
        if key is not None and mode == "avro":
            key = keys(key, SerializationContext(topic, MessageField.KEY))
        elif key is not None:
            key = None if mode == "avro-latest" else from_json(key)
        value = record.value
        if value is not None:
            value = values(value, SerializationContext(topic, MessageField.VALUE))
        yield record.partition, row(key), envelope(value)


# ---- Partitions ----


def by_place(bootstrap, topic):
    from kafka.partitioner.default import murmur2

    everything = records(bootstrap, topic)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    count = len(consumer.partitions_for_topic(topic))
    consumer.close()
    for record in everything:
        expected = None if record.key is None else (murmur2(record.key) & 0x7FFFFFFF) % count
        yield record.partition, record.key and record.key.decode("utf-8", "replace"), {"expected": expected}


def main():
    mode, *arguments = sys.argv[1:]
    if mode == "json":
        found = by_json(*arguments)
    elif mode == "canal":
        found = by_canal(*arguments)
    elif mode == "places":
        found = by_place(*arguments)
    elif mode in ("avro", "avro-latest", "avro-value"):
        found = by_avro(mode, *arguments)
    else:
        sys.exit(__doc__)
    for partition, key, value in found:
        print(json.dumps({"partition": partition, "key": key, "value": value}))


main()
