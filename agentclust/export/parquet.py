"""The result as one Parquet file, through pyarrow."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agentclust.types import Clustering

CHUNK = 10_000  # rows that are in memory twice
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "path": pa.string(),
        "cluster": pa.int64(),
        "name": pa.string(),
        "confidence": pa.float64(),
    }
)


def write(clustering: Clustering, folder: Path) -> None:
    """Write assignments.parquet: the columns of assignments.csv, criterion and method beside."""
    about = {"criterion": clustering.criterion, "method": clustering.method}
    schema = SCHEMA.with_metadata(about)
    with pq.ParquetWriter(folder / "assignments.parquet", schema) as writer:
        for start in range(0, len(clustering), CHUNK):
            rows = list(clustering.rows(start, start + CHUNK))
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
