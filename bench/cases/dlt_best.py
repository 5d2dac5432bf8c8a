"""dlt tuned by its own performance guide: parallel resources, more workers, Parquet to the loader."""

# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore,misc"
import os

from bench.cases.contract import DEFAULT_CONNECTIONS, read_job, report_counts, report_done

CORES = str(os.cpu_count() or 1)


def main() -> None:
    job = read_job()
    connections = str(job.connections or DEFAULT_CONNECTIONS)
    os.environ |= {
        "EXTRACT__WORKERS": connections,
        "EXTRACT__MAX_PARALLEL_ITEMS": connections,
        "NORMALIZE__WORKERS": CORES,
        # several files are what lets several processes normalize
        "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "10000",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "EXTRACT__DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    from bench.cases.dlt_default import count_rows, run_pipeline

    run_pipeline(job, parallelized=True, loader_file_format="parquet")
    report_done()
    report_counts(threads=len(job.thread_ids), **count_rows(job))


if __name__ == "__main__":
    main()
