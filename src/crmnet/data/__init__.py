"""From files of measurements to batches: reading, ingestion, data sets on disk, splits, loading.

:mod:`crmnet.data.ingest` writes data sets; :mod:`crmnet.training` and :mod:`crmnet.evaluation` read
them.
"""
