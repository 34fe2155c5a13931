"""From files of measurements to batches: reading, ingestion, data sets on disk, splits, loading."""
