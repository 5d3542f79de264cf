"""The shop of the demo: fills it, keeps it busy, and compares it with the lake.

  shop.py load                 creates the tables and their first rows
  shop.py write                changes rows from several connections until SIGTERM, then says how many
  shop.py wait-for-changes N   waits until the lake shows N more changes (not rows of the first copy) than now
  shop.py wait-until-equal     waits until the lake equals the database
  shop.py compare              prints both sides by table; exit code 1 if they differ
  shop.py sizes                prints how many files and changes each table has in the lake

Environment: SHOP_HOSTNAME, SHOP_PORT, LAKE_FOLDER. The database is read with PyMySQL and the lake with DuckDB: neither
shares a line with cdc-cli.
"""

import datetime
import decimal
import hashlib
import os
import pathlib
import random
import signal
import sys
import threading
import time

import duckdb
import pymysql

# Each table with its key.
TABLES = {
    "customers": ["id"],
    "products": ["sku"],
    "orders": ["id"],
    "order_items": ["order_id", "line"],
}
WRITERS = 3
WAIT_SECONDS_MAX = 180
SEED = int(os.environ.get("DEMO_SEED", "20240611"))
FIRST_NAMES = "Ada Björn Chloé Dmitri Ece Farid Grace Hiroshi Inês Jürgen Kwame Łucja Mei Noor Özge".split()
THINGS = "lamp chair kettle notebook bicycle tent guitar mug scarf clock".split()


def connect():
    return pymysql.connect(
        host=os.environ["SHOP_HOSTNAME"],
        port=int(os.environ["SHOP_PORT"]),
        user="root",
        charset="utf8mb4",
    )


def load():
    pick = random.Random(SEED)
    connection = connect()
    with connection.cursor() as cursor:
        statements = (pathlib.Path(__file__).parent / "shop.sql").read_text()
        for statement in statements.split(";"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("USE shop")
        cursor.executemany(
            "INSERT INTO customers (name, email, vip, joined_on) VALUES (%s, %s, %s, %s)",
            [
                (
                    f"{pick.choice(FIRST_NAMES)} {n}",
                    f"customer{n}@example.com",
                    pick.random() < 0.1,
                    datetime.date(2020, 1, 1) + datetime.timedelta(days=pick.randrange(1500)),
                )
                for n in range(800)
            ],
        )
        cursor.executemany(
            "INSERT INTO products VALUES (%s, %s, %s, %s, %s)",
            [
                (
                    f"SKU-{n:04}",
                    f"{pick.choice(THINGS)} no. {n}",
                    decimal.Decimal(pick.randrange(100, 50_000)) / 100,
                    pick.randrange(1000),
                    pick.choice([None, pick.randrange(1, 9000) / 1000]),
                )
                for n in range(300)
            ],
        )
        connection.commit()
        for _ in range(2500):
            new_order(cursor, pick)
        connection.commit()
        print(", ".join(f"{count(cursor, table)} {table}" for table in TABLES))


def count(cursor, table):
    cursor.execute(f"SELECT COUNT(*) FROM shop.{table}")
    return cursor.fetchone()[0]


def new_order(cursor, pick):
    """An order and its items: one transaction over three tables."""
    cursor.execute(
        "INSERT INTO orders (customer_id, note, ordered_at) VALUES (%s, %s, NOW(6))",
        (pick.randrange(1, 801), pick.choice([None, "gift", "please ring twice", "à bientôt 🚲"])),
    )
    order = cursor.lastrowid
    # In the order of the key, so that two customers never wait for each other in a circle.
    skus = [f"SKU-{n:04}" for n in sorted(pick.sample(range(300), pick.randrange(1, 5)))]
    items = [
        (order, line, sku, pick.randrange(1, 4), decimal.Decimal(pick.randrange(100, 50_000)) / 100)
        for line, sku in enumerate(skus, start=1)
    ]
    cursor.executemany("INSERT INTO order_items VALUES (%s, %s, %s, %s, %s)", items)
    cursor.execute("UPDATE products SET stock = stock - 1 WHERE sku IN %s", (skus,))
    total = sum(quantity * price for *_, quantity, price in items)
    cursor.execute("UPDATE orders SET total = %s WHERE id = %s", (total, order))


def some_order(cursor, pick):
    cursor.execute("SELECT MAX(id) FROM orders")
    return pick.randrange(1, cursor.fetchone()[0] + 1)


def one_transaction(cursor, pick):
    what = pick.random()
    if what < 0.35:
        new_order(cursor, pick)
    elif what < 0.75:
        status = pick.choice(["paid", "sent", "returned"])
        cursor.execute("UPDATE orders SET status = %s WHERE id = %s", (status, some_order(cursor, pick)))
    elif what < 0.85:
        order = some_order(cursor, pick)
        cursor.execute("DELETE FROM orders WHERE id = %s", (order,))
        cursor.execute("DELETE FROM order_items WHERE order_id = %s", (order,))
    elif what < 0.93:
        vip = "UPDATE customers SET vip = 1 - vip, email = CONCAT(%s, '@example.org') WHERE id = %s"
        cursor.execute(vip, (f"moved{pick.randrange(10**6)}", pick.randrange(1, 801)))
    else:
        # A product gets another key.
        new, old = pick.randrange(300, 600), pick.randrange(600)
        cursor.execute("UPDATE IGNORE products SET sku = %s WHERE sku = %s", (f"SKU-{new:04}", f"SKU-{old:04}"))


def write():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    done = [0] * WRITERS
    failed = []

    def keep_writing(number):
        pick = random.Random(SEED + 1 + number)
        connection = connect()
        with connection.cursor() as cursor:
            cursor.execute("USE shop")
            while not stop.is_set():
                try:
                    one_transaction(cursor, pick)
                    # Some customers think again.
                    if pick.random() < 0.05:
                        connection.rollback()
                    else:
                        connection.commit()
                        done[number] += 1
                except pymysql.err.OperationalError as error:
                    if error.args[0] not in (1205, 1213):  # lock wait timeout, deadlock
                        failed.append(error)
                        return
                    connection.rollback()
                stop.wait(pick.random() * 0.01)

    threads = [threading.Thread(target=keep_writing, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    # Event.wait lets the signal through, which Thread.join does not.
    while not stop.wait(0.2):
        if failed:
            stop.set()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"a writer failed: {failed[0]}")
    print(f"{sum(done)} transactions")


def lake_files(table):
    return pathlib.Path(os.environ["LAKE_FOLDER"]) / "shop" / table / "*.parquet"


def lake_query(query):
    with duckdb.connect() as database:
        return database.sql(query).fetchall()


def lake_change_log(table):
    """None while there is no file yet."""
    if not any(lake_files(table).parent.glob("*.parquet")):
        return None
    return f"read_parquet('{lake_files(table)}', union_by_name = true)"


def change_count():
    logs = [log for table in TABLES if (log := lake_change_log(table))]
    return sum(lake_query(f"SELECT COUNT(*) FROM {log} WHERE _op <> 'r'")[0][0] for log in logs)


def lake_rows(table, columns):
    """The last row of each key that is not a delete."""
    log = lake_change_log(table)
    if log is None:
        return []
    key = ", ".join(TABLES[table])
    return lake_query(
        f"SELECT {columns} FROM (FROM {log} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _seq DESC) = 1)"
        " WHERE _op <> 'd'"
    )


def checksum(rows):
    """Of the rows as a set: the values of both clients are the same Python values, but for booleans."""
    def plain(value):
        return int(value) if isinstance(value, bool) else value

    lines = sorted(repr(tuple(plain(value) for value in row)) for row in rows)
    return hashlib.md5("\n".join(lines).encode()).hexdigest()[:12]


def both_sides():
    """For each table: rows and checksum in the database, rows and checksum in the lake."""
    connection = connect()
    result = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM shop.{table}")
            rows = cursor.fetchall()
            columns = ", ".join(column[0] for column in cursor.description)
            lake = lake_rows(table, columns)
            result[table] = (len(rows), checksum(rows), len(lake), checksum(lake))
    return result


def is_equal(sides):
    return all(side[0:2] == side[2:4] for side in sides.values())


def wait_for(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if os.environ.get("DAEMON_PID") and not pathlib.Path(f"/proc/{os.environ['DAEMON_PID']}").exists():
            sys.exit(f"cdc-cli ended while the demo waited for {what}")
        if time.monotonic() > deadline:
            sys.exit(f"waited {WAIT_SECONDS_MAX} s in vain for {what}")
        time.sleep(0.2)


def compare():
    sides = both_sides()
    print(f"  {'table':<14}{'rows in MariaDB':>16}{'rows in lake':>14}   {'MariaDB':<14}{'lake':<14}")
    for table, (rows, sum_, lake_rows_, lake_sum) in sides.items():
        verdict = "same" if (rows, sum_) == (lake_rows_, lake_sum) else "DIFFERENT"
        print(f"  {table:<14}{rows:>16}{lake_rows_:>14}   {sum_:<14}{lake_sum:<14}{verdict}")
    return is_equal(sides)


def main():
    match sys.argv[1:]:
        case ["load"]:
            load()
        case ["write"]:
            write()
        case ["wait-for-changes", more]:
            enough = change_count() + int(more)
            wait_for(f"{more} changes", lambda: change_count() >= enough)
        case ["wait-until-equal"]:
            wait_for("the lake to equal the database", lambda: is_equal(both_sides()))
        case ["compare"]:
            sys.exit(0 if compare() else 1)
        case ["sizes"]:
            for table in TABLES:
                ops = lake_query(f"SELECT _op, COUNT(*) FROM {lake_change_log(table)} GROUP BY 1 ORDER BY 1")
                files = len(list(lake_files(table).parent.glob("*.parquet")))
                print(f"  {table:<14}{files:>4} files  " + ", ".join(f"{n} {op}" for op, n in ops))
        case _:
            sys.exit(__doc__)


main()
