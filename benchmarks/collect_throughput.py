"""How long 4,000 answers take at pace 0, and what memory they need: `python benchmarks/collect_throughput.py [ANSWERS]`.

A local site in a process of its own serves invented answers; the collector runs here. Printed: seconds, answers a second, and
the collector's peak memory after a tenth and after all of the pages (flat memory: the two are about the same).
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from ghostwriter.collecting.answers import snapshot_answers  # noqa: E402
from ghostwriter.collecting.collect import Tally, collect  # noqa: E402
from ghostwriter.collecting.export import export_rows  # noqa: E402
from ghostwriter.home import Home  # noqa: E402
from ghostwriter.snapshot import read_manifest  # noqa: E402
from ghostwriter.writer import load_writer  # noqa: E402

SERVE = """
import random, sys
sys.path.insert(0, sys.argv[1])
from demo.site import to_html
from tests.zhihu_site import FaultySite, answer
chance = random.Random(1)
words = [chr(chance.randint(0x4e00, 0x9fa5)) for _ in range(3000)]
def text():
    return "\\n\\n".join("".join(chance.choice(words) for _ in range(chance.randint(40, 260))) + "。" for _ in range(chance.randint(3, 12)))
items = [answer(number, content=to_html(text()), excerpt="") for number in range(int(sys.argv[2]), 0, -1)]
with FaultySite(items) as site:
    print(site.url, flush=True)
    sys.stdin.read()
"""


def main() -> None:
    """Collect, export and snapshot invented answers, and print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    command = [sys.executable, "-c", SERVE, str(ROOT), str(count)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as folder, server as site:
        assert site.stdout and site.stdin
        measure(site.stdout.readline().strip(), Home(Path(folder)), count)
        site.stdin.close()


def measure(url: str, home: Home, count: int) -> None:
    """One run against the site at `url`."""
    writer = load_writer("lamplight")
    writer = writer.model_copy(update={"source": writer.source.model_copy(update={"account": "lao-cheng"})})
    peaks: dict[int, float] = {}

    def note(tally: Tally) -> None:
        peaks[tally.pages] = peak_mib()

    began = time.perf_counter()
    report = collect(writer, home, cookie="z_c0=benchmark; d_c0=benchmark", site=url, pace=0, progress=note)
    seconds = time.perf_counter() - began
    tenth = max(1, report.pages // 10)
    print(f"{os.cpu_count()} CPUs, {count:,} answers, {report.pages} pages, {report.requests} requests")
    memory = f"peak memory {peaks[tenth]:.0f} MiB after {tenth} pages, {peaks[report.pages]:.0f} MiB at the end"
    print(f"collect   {seconds:6.1f} s  {report.known / seconds:6.0f} answers/s  {memory}")
    began = time.perf_counter()
    exported = sum(1 for _ in export_rows(home, "lamplight"))
    print(f"export    {time.perf_counter() - began:6.1f} s  {exported:,} rows")
    began = time.perf_counter()
    manifest = read_manifest(snapshot_answers(writer, home))
    rows = manifest.files["answers.jsonl"].rows
    print(f"snapshot  {time.perf_counter() - began:6.1f} s  {rows:,} rows, peak memory {peak_mib():.0f} MiB")


def peak_mib() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
