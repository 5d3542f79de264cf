"""The Kafka part of `make bench`: draining a backlog, and how late records are. Broker and database run beside it.

The other side is `connectors/kafka/examples/load.rs`: the bare producer sends the same bytes with the same librdkafka.
"""

import os
import re
import statistics
import subprocess
import sys
import time

from server import SCRIPT, Server

PARTITIONS = 4
PROPERTIES = {"compression.type": "lz4"}
DRAIN_EVENTS_GOAL = 150_000


def broker():
    """A private broker with a heap and a compiler of the usual kind."""
    heap = "-Xms512m -Xmx1g -XX:+UseG1GC"
    return Server("kafka", environment={"CDC_KAFKA_JAVA_OPTIONS": heap} | os.environ)


def load(root, target):
    """Builds the other side."""
    command = ["cargo", "build", "--release", "--quiet", "--package", "cdc-kafka", "--example", "load"]
    subprocess.run(command, check=True, cwd=root)
    return target / "release/examples/load"


class KafkaBench:
    def __init__(self, bench, broker, tool, sizes, show):
        self.bench, self.tool = bench, tool
        self.address = f"127.0.0.1:{broker.port}"
        self.rows, self.runs, self.timed_rows = sizes
        self.show = show
        self.topics = 0

    def side(self, *arguments, **options):
        return subprocess.Popen([self.tool, self.address, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options)

    def answer(self, *arguments):
        side = self.side(*arguments)
        text = side.communicate()[0].strip()
        if side.returncode != 0:
            sys.exit(f"load {arguments}: {text}")
        return text

    def pipeline(self, table, guarantee, interval):
        self.topics += 1
        topic = f"bench{self.topics}"
        properties = "".join(f"  properties.{name}: {value}\n" for name, value in PROPERTIES.items())
        sink = (
            f"  type: kafka\n  properties.bootstrap.servers: {self.address}\n  topic: {topic}\n"
            f"  topic.partitions: {PARTITIONS}\n  sink.delivery-guarantee: {guarantee}\n{properties}"
        )
        file = self.bench.pipeline(table, sink, "latest-offset")
        file.write_text(file.read_text() + f"  checkpoint.interval: {interval}\n")
        return file, topic

    def drain(self):
        """Half inserts, half updates of the orders table, all logged while nobody reads."""
        database, rows = self.bench.database, self.rows
        begun = []
        for _ in range(self.runs):
            for guarantee in ("at-least-once", "exactly-once"):
                begun.append((guarantee, *self.pipeline("bench.backlog", guarantee, "1s")))
        database.sql("CREATE TABLE bench.backlog LIKE bench.orders")
        for _, file, _ in begun:
            first = self.bench.start(file)
            first.wait_until_idle()
            first.stop()
        database.sql("INSERT INTO bench.backlog SELECT * FROM bench.orders")
        database.sql("UPDATE bench.backlog SET status = 'changed', total = total + 1, paid = 1 - paid")
        walls, peaks, ratios, shares = {}, [], [], []
        for guarantee, file, topic in begun:
            started = time.monotonic()
            run = self.bench.start(file)
            self.answer("drained", topic, 2 * rows)
            wall = time.monotonic() - started
            run.stop()
            walls.setdefault(guarantee, []).append(wall)
            peaks.append(run.peak_mib)
            if guarantee == "at-least-once":
                self.topics += 1
                to = f"bench{self.topics}"
                self.make(to)
                properties = [f"{name}={value}" for name, value in PROPERTIES.items()]
                count, size, seconds = self.answer("copy", topic, to, *properties).split()
                if int(count) != 2 * rows:
                    sys.exit(f"{count} records were written instead of {2 * rows}")
                ratios.append(float(seconds) / wall)
                print(f"  bare producer: {2 * rows / float(seconds):,.0f} records/s of {int(size) / int(count):.0f} bytes", flush=True)
            else:
                shares.append(walls["at-least-once"][-1] / wall)
        speed = 2 * rows / statistics.median(walls["at-least-once"])
        what = f"drain of {2 * rows:,} changes into debezium-json"
        self.show(f"{what}: events/s", speed, DRAIN_EVENTS_GOAL, "at least")
        self.show("the same: speed, of a bare producer's", statistics.median(ratios), 0.5, "at least")
        self.show("the same, exactly once: speed, of at least once", statistics.median(shares), 0.9, "at least")
        self.show("the same: peak memory, MiB", max(peaks), 128, "at most")

    def make(self, topic):
        """An empty topic, made by the client of Kafka's own that the tests install."""
        code = (
            "import sys; from confluent_kafka.admin import AdminClient, NewTopic;"
            "a = AdminClient({'bootstrap.servers': sys.argv[1]});"
            "[f.result() for f in a.create_topics([NewTopic(sys.argv[2], num_partitions=int(sys.argv[3]))]).values()]"
        )
        subprocess.run([SCRIPT, "client", "readers", "python", "-c", code, self.address, topic, str(PARTITIONS)], check=True)

    def latency(self, guarantee, interval, median_goal, tail_goal):
        """From a statement's start on the server to its record at a consumer of committed records."""
        database = self.bench.database
        medians, tails = [], []
        for _ in range(1 + self.runs):
            database.sql("TRUNCATE bench.timed")
            file, topic = self.pipeline("bench.timed", guarantee, interval)
            run = self.bench.start(file)
            # It waits for the topic, which is made when the table streams.
            reader = self.side("latency", topic, self.timed_rows)
            if (line := reader.stdout.readline().strip()) != "ready":
                sys.exit(f"the consumer: {line}")
            database.settle()
            self.bench.write_timed()
            text = reader.communicate()[0].strip()
            if reader.returncode != 0:
                sys.exit(f"the consumer: {text}\n{run.output.read_text(errors='replace')[-3000:]}")
            run.stop()
            median, tail = map(float, re.fullmatch(r"(\S+) (\S+)", text).groups())
            medians.append(median)
            tails.append(tail)
        # The first is left out: a broker that started just now compiles its code while it serves.
        medians, tails = medians[1:], tails[1:]
        what = f"commit to consumer, {guarantee}" + (f", checkpoints every {interval}" if guarantee == "exactly-once" else "")
        if median_goal:
            self.show(f"{what}: median, ms", statistics.median(medians), median_goal, "at most")
        else:
            print(f"  {what}: median, ms {statistics.median(medians):.1f}")
        self.show(f"{what}: 99th percentile, ms", statistics.median(tails), tail_goal, "at most")

    def run(self):
        self.drain()
        self.latency("at-least-once", "3s", 15, 100)
        self.latency("exactly-once", "100ms", None, 300)
