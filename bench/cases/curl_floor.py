"""curl with every URL known beforehand and the bytes thrown away: the floor that nobody can beat."""

import subprocess

from bench.cases.contract import DEFAULT_CONNECTIONS, read_job, report_counts, report_done, report_start


def main() -> None:
    """Fetch every page of a full walk."""
    job = read_job()
    origin = job.base_url.removesuffix("/v1")
    config = job.out / "urls.curl"
    paths = job.paths_file.read_text().split()
    config.write_text("".join(f'url = "{origin}{path}"\noutput = /dev/null\n' for path in paths))
    connections = str(job.connections or DEFAULT_CONNECTIONS)
    command = ["curl", "--silent", "--parallel", "--parallel-immediate", "--parallel-max", connections]
    command += ["--write-out", "%{http_code} %{size_download}\n", "--config", str(config)]
    report_start()
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    report_done()
    sizes = [line.split()[1] for line in finished.stdout.splitlines() if line.startswith("200 ")]
    report_counts(requests=len(sizes), bytes=sum(map(int, sizes)))


if __name__ == "__main__":
    main()
