"""Reading and writing tables: CSV, gzipped CSV and Parquet, whole or streamed.

A CSV is read as text, every column, and only the empty string is missing: nothing is guessed from a
chunk, so a streamed table and a whole one hold the same values. What a value means is decided later,
once, in `chs_ml.inputs`.
"""

from chs_ml.table.reading import iter_table, read_table
from chs_ml.table.writing import TableWriter, write_table

__all__ = ["TableWriter", "iter_table", "read_table", "write_table"]
