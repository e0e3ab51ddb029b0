"""Wire formats that kafka-python lacks, as data."""
