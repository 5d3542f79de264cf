"""`make bench`: how fast and how small cdc-cli is, against the server's own client on the same machine in the same run.

Starts a private server, loads two tables, and prints each number as the median of several runs beside its goal. All are
ratios or per CPU-second, so they mean the same on any machine; the number of cores is printed with them.

Environment: BENCH_SERVER=mysql (default) or mariadb, BENCH_RUNS=3, BENCH_ROWS=1000000, BENCH_ONLY (some of snapshot,
start, bulk, single, latency, ddl, tables, transform, kafka, decoder), CDC_CLI_BIN (default: the release build of this repository). Nothing but Python's own library is used.
"""

import datetime
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import kafka
from server import SCRIPT as SERVER
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIND = os.environ.get("BENCH_SERVER", "mysql")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
WAIT_SECONDS_MAX = 600
LATENCY_ROWS_PER_SECOND = 10_000
LATENCY_ROWS = 100_000
# The longest name of a number is as long.
WORDS = 82
# What a server that does nothing keeps: pages of its own tables.
DIRTY_PAGES_MAX = 200

WIDE = """CREATE TABLE bench.wide (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)"""
ORDERS = """CREATE TABLE bench.orders (id BIGINT NOT NULL PRIMARY KEY, customer_id INT NOT NULL, status VARCHAR(16) NOT NULL,
  total DECIMAL(12,2) NOT NULL, discount DOUBLE, paid TINYINT(1) NOT NULL, note VARCHAR(100), ordered_at DATETIME(6) NOT NULL,
  changed_at TIMESTAMP NULL)"""
TIMED = """CREATE TABLE bench.timed (id BIGINT NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL, v VARCHAR(40) NOT NULL)"""
# Three computed columns and a filter that leaves out one row in ten thousand.
RULE = """transform:
  - source-table: bench.orders
    projection: \\*, UPPER(status) AS status_name, total * 1.19 AS with_tax, DATE_FORMAT(ordered_at, 'yyyy-MM-dd') AS day
    filter: total > 1
"""
# MySQL logs when a transaction was committed in microseconds, MariaDB in seconds.
COMMIT_TIME = """transform:
  - source-table: bench.timed
    projection: \\*, op_ts
"""
# One row per number n.
WIDE_ROW = "n, n * 7919 % 1000003, RPAD(HEX(n * 2654435761), 120, HEX(n * 40503)), RPAD(HEX(n * 97), 60, 'pad')"
ORDERS_ROW = """n, n % 50000, ELT(1 + n % 4, 'new', 'paid', 'sent', 'returned'), n % 1000000 / 100, n / 7, n % 2,
  IF(n % 3, CONCAT('note ', n), NULL), '2024-01-01' + INTERVAL n SECOND, '2024-01-01' + INTERVAL n MINUTE"""


class Database(Server):
    """A private server, the processes of its own client, and its CPU time."""

    def __init__(self):
        super().__init__(KIND, "--innodb-buffer-pool-size=1G", "--max-allowed-packet=256M")

    def client(self, *arguments, **options):
        command = [SERVER, "client", KIND, KIND, "--no-defaults", "-h127.0.0.1", f"-P{self.port}", "-uroot", *arguments]
        return subprocess.run(command, check=True, **options)

    def sql(self, statements):
        self.client("--batch", input=statements, text=True)

    def value(self, query):
        done = self.client("--batch", "--skip-column-names", f"--execute={query}", capture_output=True, text=True)
        return done.stdout.strip()

    def cpu_seconds(self):
        return process_cpu_seconds(self.pid)

    def settle(self):
        """Waits until the pages of what was loaded are on the disk: while the server writes them, each commit waits for it."""
        self.sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            dirty = self.value("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").split()[-1]
            if int(dirty) <= DIRTY_PAGES_MAX:
                break
            if time.monotonic() > deadline:
                sys.exit(f"the server still has {dirty} pages to write")
            time.sleep(0.1)
        self.sql("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")

    def fill(self, table, row, begin, end, step, logged):
        """Rows begin..end by INSERT … SELECT, `step` rows a transaction."""
        digits = "(" + " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10)) + ")"
        places = [f"{10 ** place} * t{place}.d" for place in range(7)]
        numbers = " CROSS JOIN ".join(f"{digits} t{place}" for place in range(7) if 10 ** place < step)
        sum_ = " + ".join(places[: numbers.count(") t")])
        for first in range(begin, end, step):
            count = min(step, end - first)
            self.sql(
                f"SET sql_log_bin = {int(logged)};"
                f"INSERT INTO {table} SELECT {row} FROM (SELECT {first} + {sum_} AS n FROM {numbers}) numbers"
                f" WHERE n < {first + count}"
            )


def process_cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


class Run:
    """One run of cdc-cli. After `end`: exit code, CPU seconds, peak MiB, wall seconds, what it wrote."""

    def __init__(self, binary, pipeline, output):
        self.output = output
        self.begun = time.monotonic()
        with open(output, "wb") as stream:
            self.process = subprocess.Popen(
                [binary, "run", pipeline], stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
            )

    def end(self):
        _, status, usage = os.wait4(self.process.pid, 0)
        self.wall = time.monotonic() - self.begun
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mib = usage.ru_maxrss / 1024
        if self.process.returncode != 0:
            text = self.output.read_text(errors="replace")
            sys.exit(f"cdc-cli ended with {self.process.returncode}:\n{text[-3000:]}")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def wait_until_idle(self):
        """Until it streams, or has worked, and then used no CPU to speak of for a second."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        before = process_cpu_seconds(self.process.pid)
        while True:
            time.sleep(1)
            now = process_cpu_seconds(self.process.pid)
            has_begun = now > 0.05 or b"streaming" in self.output.read_bytes()[:1_000_000]
            if now - before < 0.03 and has_begun:
                return
            before = now
            if time.monotonic() > deadline:
                sys.exit(f"cdc-cli was still busy after {WAIT_SECONDS_MAX} s")

    def rows(self):
        """The sum that the values sink prints at its end."""
        found = re.findall(r"([\d,_]+) rows", self.output.read_text(errors="replace"))
        return int(re.sub(r"[,_]", "", found[-1])) if found else None


class LatencyReader:
    """Reads the printed events and notes how old each row is when it comes: since its statement began, and, where the row
    has the commit's time behind its columns, since that."""

    ROW = re.compile(rb"after=\[\d+, (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?), row \d+(?:, (\d+))?\]")

    def __init__(self, stream):
        self.head, self.rows, self.milliseconds, self.since_commit = b"", 0, [], []
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream):
        rest = b""
        while True:
            piece = os.read(stream.fileno(), 1 << 20)
            if not piece:
                return
            now = time.time()
            self.head = (self.head + piece)[:10_000]
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if found := self.ROW.search(line):
                    at = datetime.datetime.fromisoformat(f"{found[1].decode()}T{found[2].decode()}+00:00")
                    self.milliseconds.append((now - at.timestamp()) * 1000)
                    if found[3]:
                        self.since_commit.append(now * 1000 - int(found[3]))
            self.rows = len(self.milliseconds)


class Bench:
    def __init__(self, folder, database, binary):
        self.folder, self.database, self.binary = folder, database, binary
        self.count = 0

    def pipeline(self, tables, sink, mode, more="", source=""):
        """A pipeline file with a state of its own."""
        self.count += 1
        file = self.folder / f"bench{self.count}.yaml"
        file.write_text(
            f"source:\n  type: mysql\n  hostname: 127.0.0.1\n  port: {self.database.port}\n  username: cdc\n"
            f"  password: cdc\n  tables: '{tables}'\n  scan.startup.mode: {mode}\n{source}"
            f"sink:\n{sink.format(lake=self.folder / f'lake{self.count}')}"
            f"{more}pipeline:\n  checkpoint.storage: {self.folder / f'state{self.count}'}\n"
        )
        return file

    def start(self, pipeline):
        return Run(self.binary, pipeline, self.folder / "output")

    def snapshot(self, name, table):
        """Against the client that drains the same table."""
        blackhole, parquet = "  type: values\n  print.enabled: false\n", "  type: parquet\n  path: {lake}\n"
        wall, cpu, parquet_wall, peak = [], [], [], []
        for _ in range(RUNS):
            begun = time.monotonic()
            self.database.client("--quick", "--batch", f"--execute=SELECT * FROM bench.{table}", stdout=subprocess.DEVNULL)
            client_wall = time.monotonic() - begun
            server_cpu = self.database.cpu_seconds()
            run = self.start(self.pipeline(f"bench.{table}", blackhole, "snapshot")).end()
            server_cpu = self.database.cpu_seconds() - server_cpu
            if run.rows() != ROWS:
                sys.exit(f"the snapshot of {table} had {run.rows()} rows instead of {ROWS}")
            into_parquet = self.start(self.pipeline(f"bench.{table}", parquet, "snapshot")).end()
            wall.append(run.wall / client_wall)
            cpu.append(run.cpu / server_cpu)
            parquet_wall.append(into_parquet.wall / client_wall)
            peak += [run.peak_mib, into_parquet.peak_mib]
        show(f"snapshot of {name}: wall time, of the client's", statistics.median(wall), 1.0, "at most")
        show(f"snapshot of {name}: our CPU, of the server's", statistics.median(cpu), 0.65, "at most")
        show(f"snapshot of {name} into Parquet: wall time, of the client's", statistics.median(parquet_wall), 1.2, "at most")
        show(f"snapshot of {name}: peak memory, MiB", max(peak), 256, "at most")

    def transform(self):
        """The snapshot of orders with a rule against the one without, in turns; each pair is one measure."""
        blackhole = "  type: values\n  print.enabled: false\n"
        lost = int(self.database.value("SELECT COUNT(*) FROM bench.orders WHERE total <= 1"))
        slower, dearer = [], []
        for _ in range(max(RUNS, 3)):
            runs = []
            for rule, rows in (("", ROWS), (RULE, ROWS - lost)):
                run = self.start(self.pipeline("bench.orders", blackhole, "snapshot", rule)).end()
                if run.rows() != rows:
                    sys.exit(f"the snapshot of orders had {run.rows()} rows instead of {rows}")
                runs.append(run)
            plain, ruled = runs
            slower.append((1 - plain.wall / ruled.wall) * 100)
            dearer.append((ruled.cpu - plain.cpu) / ROWS * 1e9)
        show("3 computed columns and a filter: throughput lost, percent", statistics.median(slower), 25, "at most")
        print(f"  {'3 computed columns and a filter: CPU, ns a row':<{WORDS}}{statistics.median(dearer):>12,.0f}", flush=True)

    def drain(self, name, rows, goal, write):
        """The log of `write`, which begins and ends while nobody reads."""
        speeds, peaks = [], []
        for _ in range(RUNS):
            self.database.sql("DROP TABLE IF EXISTS bench.wide; " + WIDE)
            pipeline = self.pipeline("bench.wide", "  type: values\n  print.enabled: false\n", "latest-offset")
            first = self.start(pipeline)
            first.wait_until_idle()
            first.stop()
            write()
            run = self.start(pipeline)
            run.wait_until_idle()
            run.stop()
            if run.rows() != rows:
                sys.exit(f"draining {name} gave {run.rows()} rows instead of {rows}")
            speeds.append(rows / run.cpu)
            peaks.append(run.peak_mib)
        show(f"log of {name}: rows per CPU-second", statistics.median(speeds), goal, "at least")
        show(f"log of {name}: peak memory, MiB", max(peaks), 64, "at most")

    def bulk_inserts(self):
        self.database.fill("bench.wide", WIDE_ROW, 0, 2 * ROWS, 100_000, logged=True)

    def single_inserts(self):
        """Two connections, each statement its own transaction."""
        half = ROWS // 10
        clients = []
        for part in range(2):
            numbers = range(part * half, (part + 1) * half)
            file = self.folder / f"inserts{part}.sql"
            file.write_text("".join(f"INSERT INTO wide VALUES ({n},{n},'c{n}','pad{n}');\n" for n in numbers))
            command = [SERVER, "client", KIND, KIND, "--no-defaults", "-h127.0.0.1", f"-P{self.database.port}", "-uroot", "bench"]
            clients.append(subprocess.Popen(command, stdin=open(file, "rb")))
        if any([client.wait() for client in clients]):
            sys.exit("the single-row writers failed")

    def latency(self):
        """From a statement's start on the server to its row on our standard output, at a steady rate."""
        medians, tails = [], []
        for _ in range(RUNS):
            self.database.sql("TRUNCATE bench.timed")
            pipeline = self.pipeline("bench.timed", "  type: values\n", "latest-offset")
            with open(self.folder / "log", "wb") as log:
                daemon = subprocess.Popen([self.binary, "run", pipeline], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            seen = LatencyReader(daemon.stdout)
            deadline = time.monotonic() + WAIT_SECONDS_MAX
            while b"CreateTableEvent" not in seen.head:
                if time.monotonic() > deadline or daemon.poll() is not None:
                    sys.exit("no stream to measure the latency of")
                time.sleep(0.05)
            self.database.settle()
            self.write_timed()
            before = -1
            while before < seen.rows < LATENCY_ROWS:
                before = seen.rows
                time.sleep(2)
            daemon.send_signal(signal.SIGTERM)
            if daemon.wait() != 0 or seen.rows != LATENCY_ROWS:
                log = (self.folder / "log").read_text(errors="replace")
                sys.exit(f"{seen.rows} of {LATENCY_ROWS} timed rows came:\n{log[-3000:]}")
            seen.thread.join()
            ordered = sorted(seen.milliseconds)
            medians.append(ordered[len(ordered) // 2])
            tails.append(ordered[len(ordered) * 99 // 100])
        rate = f"{LATENCY_ROWS_PER_SECOND:,} rows/s"
        show(f"commit to values sink at {rate}: median, ms", statistics.median(medians), 5, "at most")
        show(f"commit to values sink at {rate}: 99th percentile, ms", statistics.median(tails), 50, "at most")

    def definitions(self):
        """How late rows of one table are while the definition of a large one changes beside it."""
        rows = 10 * ROWS
        self.database.sql("CREATE TABLE bench.big (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, note VARCHAR(20))")
        self.database.fill("bench.big", "n, n % 1000, CONCAT('n', n % 100)", 0, rows, 1_000_000, logged=False)
        statements = [
            "ADD COLUMN added INT DEFAULT 5",
            "DROP COLUMN v",
            "RENAME COLUMN note TO remark",
            "MODIFY remark VARCHAR(60)",
        ]
        for name, changes in (("without a change", []), (f"{len(statements)} changes of {rows:,} rows", statements)):
            self.database.sql("TRUNCATE bench.timed")
            more = (COMMIT_TIME, "  metadata.list: op_ts\n") if KIND == "mysql" else ()
            file = self.pipeline("bench.timed,bench.big", "  type: values\n", "latest-offset", *more)
            file.write_text(file.read_text() + "  schema.change.behavior: EVOLVE\n")
            with open(self.folder / "log", "wb") as log:
                daemon = subprocess.Popen([self.binary, "run", file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            seen = LatencyReader(daemon.stdout)
            while seen.head.count(b"CreateTableEvent") < 2:
                if daemon.poll() is not None:
                    sys.exit("no stream beside which a definition could change")
                time.sleep(0.05)
            self.database.settle()
            writer = threading.Thread(target=self.write_timed)
            writer.start()
            for change in changes:
                time.sleep(1.5)
                self.database.sql(f"ALTER TABLE bench.big {change}, ALGORITHM=INSTANT" if "MODIFY" not in change else f"ALTER TABLE bench.big {change}")
            writer.join()
            before = -1
            while before < seen.rows < LATENCY_ROWS:
                before = seen.rows
                time.sleep(2)
            daemon.send_signal(signal.SIGTERM)
            if daemon.wait() != 0 or seen.rows != LATENCY_ROWS:
                sys.exit(f"{seen.rows} of {LATENCY_ROWS} timed rows came:\n{(self.folder / 'log').read_text(errors='replace')[-3000:]}")
            seen.thread.join()
            applied = (self.folder / "log").read_text(errors="replace").count("schema change applied")
            if applied < len(changes):
                sys.exit(f"{applied} of {len(changes)} changes were applied")
            show(f"latest row of another table, {name}, ms", max(seen.since_commit or seen.milliseconds), 100, "at most")
            if seen.since_commit:
                print(f"  {'the same from its statement on, with what the server waited':<{WORDS}}{max(seen.milliseconds):>12.2f}", flush=True)

    def many_tables(self):
        """A thousand tables of a thousand rows in one pipeline: until all of them stream, and what that takes."""
        tables, rows = 1000, 1000
        make = "".join(
            f"CREATE TABLE many.t{n} (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, note VARCHAR(40) NOT NULL);"
            f"INSERT INTO many.t{n} SELECT id, k % 1000, LEFT(c, 40) FROM bench.wide WHERE id < {rows};"
            for n in range(tables)
        )
        self.database.sql(f"SET sql_log_bin = 0; CREATE DATABASE many; {make}")
        seconds, peaks = [], []
        for _ in range(RUNS):
            run = self.start(self.pipeline(r"many.\.*", "  type: values\n  print.enabled: false\n", "initial"))
            while b"streaming" not in run.output.read_bytes():
                if time.monotonic() - run.begun > WAIT_SECONDS_MAX or run.process.poll() is not None:
                    sys.exit(f"the tables do not stream:\n{run.output.read_text()[-3000:]}")
                time.sleep(0.05)
            seconds.append(time.monotonic() - run.begun)
            run.stop()
            if run.rows() != tables * rows:
                sys.exit(f"{run.rows()} rows came instead of {tables * rows}")
            peaks.append(run.peak_mib)
        show(f"{tables:,} tables of {rows:,} rows: all stream after, seconds", statistics.median(seconds), 15, "at most")
        show(f"{tables:,} tables of {rows:,} rows: peak memory, MiB", max(peaks), 256, "at most")

    def write_timed(self):
        """Statements of ten rows, at an even pace over two connections."""
        command = [SERVER, "client", KIND, KIND, "--no-defaults", "-h127.0.0.1", f"-P{self.database.port}", "-uroot", "bench"]
        clients = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
        for client in clients:
            client.stdin.write(b"SET time_zone = '+00:00';\n")
        begun, batch = time.monotonic(), 10
        for number in range(LATENCY_ROWS // batch):
            ahead = number * batch / LATENCY_ROWS_PER_SECOND - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
            rows = ",".join(f"({number * batch + row},SYSDATE(6),'row {row}')" for row in range(batch))
            client = clients[number % 2]
            client.stdin.write(f"INSERT INTO timed VALUES {rows};\n".encode())
            client.stdin.flush()
        for client in clients:
            client.stdin.close()
        if any([client.wait() for client in clients]):
            sys.exit("the writers of timed rows failed")

    def start_and_idle(self):
        begun_to_first, idle = [], []
        for _ in range(RUNS):
            run = self.start(self.pipeline("bench.orders", "  type: values\n", "initial"))
            while b"DataChangeEvent" not in run.output.read_bytes()[:1_000_000]:
                if time.monotonic() - run.begun > WAIT_SECONDS_MAX:
                    sys.exit("no first row")
                time.sleep(0.005)
            begun_to_first.append(time.monotonic() - run.begun)
            run.wait_until_idle()
            before = process_cpu_seconds(run.process.pid)
            time.sleep(10)
            idle.append((process_cpu_seconds(run.process.pid) - before) * 10)
            run.stop()
        show("start to first row, seconds", statistics.median(begun_to_first), 1.0, "at most")
        show("idle CPU, percent of a core", statistics.median(idle), 1.0, "at most")


def into_kafka(bench, target):
    broker = kafka.broker()
    try:
        tool = kafka.load(ROOT, target)
        kafka.KafkaBench(bench, broker, tool, (ROWS, RUNS, LATENCY_ROWS), show).run()
    finally:
        broker.stop()


def decoder():
    """The decoder alone, on recorded events: criterion prints its own lines, throughput in CPU time."""
    command = ["cargo", "bench", "--package", "cdc-mysql", "--bench", "decoder", "--", "--noplot"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    for line in text.splitlines():
        if re.search(r"time: |thrpt: ", line) and "%" not in line:
            print(f"  {line}")
    ratio = float(re.search(r"of that of 10 columns: ([\d.]+)", text)[1])
    show("decoder: time of a cell of 300 columns, of that of 10", ratio, 1.1, "at most")


def show(what, value, goal, bound):
    met = value <= goal if bound == "at most" else value >= goal
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
    print(f"  {what:<{WORDS}}{number:>12}   goal {bound} {goal:,}   {'met' if met else 'MISSED'}", flush=True)


def main():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = os.environ.get("CDC_CLI_BIN", target / "release/cdc-cli")
    version = subprocess.run([SERVER, "install", KIND], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{os.cpu_count()} cores, {version}, {ROWS:,} rows, medians of {RUNS}")
    database = Database()
    try:
        with tempfile.TemporaryDirectory(prefix="cdc-bench-") as folder:
            bench = Bench(pathlib.Path(folder), database, binary)
            database.sql(f"CREATE DATABASE bench; {WIDE}; {ORDERS}; {TIMED};")
            database.fill("bench.wide", WIDE_ROW, 0, ROWS, 100_000, logged=False)
            database.fill("bench.orders", ORDERS_ROW, 0, ROWS, 100_000, logged=False)
            parts = {
                "snapshot": lambda: (
                    bench.snapshot("(id, k, char(120), char(60))", "wide"),
                    bench.snapshot("9-column orders", "orders"),
                ),
                "start": bench.start_and_idle,
                # Ahead of the heavy writers: a server that still flushes their pages is late by itself.
                "latency": bench.latency,
                "bulk": lambda: bench.drain("bulk inserts", 2 * ROWS, 2_000_000, bench.bulk_inserts),
                "single": lambda: bench.drain("single-row transactions", ROWS // 10 * 2, 300_000, bench.single_inserts),
                "ddl": bench.definitions,
                "tables": bench.many_tables,
                "transform": bench.transform,
                "kafka": lambda: into_kafka(bench, target),
                "decoder": decoder,
            }
            for part in os.environ.get("BENCH_ONLY", ",".join(parts)).split(","):
                parts[part]()
    finally:
        database.stop()


if __name__ == "__main__":
    main()
