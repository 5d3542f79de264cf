"""Records the binlogs that `decoder.rs` measures, from a real MySQL: `python3 connectors/mysql/benches/record.py`.

Each recording is one whole binlog file of the server (with its magic number), packed: bulk inserts of the orders table, bulk
inserts of the same ten column types once and thirty times over (nothing else, so that a cell is the same in both), and
transactions of one row each. All with CRC32.
"""

import gzip
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "integration/bench"))
import bench  # noqa: E402

MIX = ["INT NOT NULL", "BIGINT NOT NULL", "VARCHAR(20) NOT NULL", "DECIMAL(12,2) NOT NULL", "DATETIME(6) NOT NULL",
       "DOUBLE NOT NULL", "TINYINT NOT NULL", "VARCHAR(20)", "DATE NOT NULL", "INT"]
VALUES = ["n * 7919", "n * 7919000000", "CONCAT('text ', n)", "n * 31.25", "'2024-01-01' + INTERVAL n SECOND", "n / 7",
          "n % 100", "IF(n % 3, HEX(n * 40503), NULL)", "'2024-01-01' + INTERVAL n % 365 DAY", "IF(n % 5, n, NULL)"]


def mixed(columns):
    names = ", ".join(f"c{at} {MIX[at % 10]}" for at in range(columns))
    return f"{names}, PRIMARY KEY (c0)"


def main():
    database = bench.Database()
    try:
        database.sql(f"CREATE DATABASE bench; {bench.ORDERS}; CREATE TABLE bench.mixed10 ({mixed(10)});"
                     f" CREATE TABLE bench.mixed300 ({mixed(300)}) CHARACTER SET utf8mb4;"
                     " CREATE TABLE bench.single (id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL, v VARCHAR(40) NOT NULL)")
        rows = {
            "orders": lambda: database.fill("bench.orders", bench.ORDERS_ROW, 0, 1000, 1000, True),
            "mixed10": lambda: database.fill("bench.mixed10", ", ".join(VALUES), 0, 1000, 1000, True),
            "mixed300": lambda: database.fill("bench.mixed300", ", ".join(VALUES * 30), 0, 320, 1000, True),
            "single": lambda: database.sql(
                "USE bench;" + "".join(f"INSERT INTO single VALUES ({n}, {n % 7}, 'value {n}');" for n in range(200))),
        }
        folder = pathlib.Path(database.value("SELECT @@datadir"))
        for name, write in rows.items():
            database.sql("FLUSH BINARY LOGS")
            file = database.value("SHOW BINARY LOG STATUS").split("\t")[0]
            write()
            # A file that is still written to is marked as such in its first event, which then fails its CRC32.
            database.sql("FLUSH BINARY LOGS")
            recorded = (folder / file).read_bytes()
            packed = gzip.compress(recorded, 9, mtime=0)
            (HERE / f"recorded/{name}.binlog.gz").write_bytes(packed)
            print(f"{name}: {len(recorded)} bytes, packed {len(packed)}")
    finally:
        database.stop()


if __name__ == "__main__":
    main()
