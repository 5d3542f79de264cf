"""DuckDB behind a pipe: each line of standard input is one statement as a JSON string, each answer is one line of JSON:
{"rows": [["name=value", …], …]} with a row's columns by name and values as DuckDB prints them, or {"error": "…"}."""

import json
import sys

import duckdb

connection = duckdb.connect()
for line in sys.stdin:
    try:
        relation = connection.sql(json.loads(line))
        names = relation.columns
        rows = [
            sorted(f"{name}={'NULL' if value is None else value}" for name, value in zip(names, row))
            for row in relation.fetchall()
        ]
        answer = {"rows": rows}
    except duckdb.Error as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
