"""Files of one JSON object a line: a path in, rows out, and back. A file that is not there has none; one that is written is whole or as before."""
import json
import os


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as source:
        return [json.loads(line) for line in source if line.strip()]


def write_lines(path, rows):
    part = "%s.part" % path
    with open(part, "w") as target:
        target.writelines(json.dumps(row) + "\n" for row in rows)
    os.replace(part, path)
