"""Dump files fetched over a bad line: nothing fetched twice, nothing believed unchecked. The server is a real one."""

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from threading import Thread

import pytest
import stamina

from resources import downloads
from resources.dumps import DumpFile, Dumps
from resources.errors import UserError
from resources.source_errors import SourceError
from tests.dump_server import FILE, MONTH, NAME, PATH, Answer, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _retries_at_once() -> Iterator[None]:
    stamina.set_testing(True, attempts=6)
    yield
    stamina.set_testing(False)


@pytest.fixture
def dumps(server: Server, tmp_path: Path) -> Dumps:
    return Dumps(url=server.url, cache=str(tmp_path / "cache"), user_agent="KnightShift/test", timeout_seconds=5)


def left_in(dumps: Dumps) -> set[str]:
    return {path.name for path in Path(dumps.cache).iterdir()} - {f"{NAME}.lock"}


def check_download(file: DumpFile, dumps: Dumps) -> None:
    assert file.path.read_bytes() == FILE
    assert (file.name, file.sha256, file.n_bytes) == (NAME, hashlib.sha256(FILE).hexdigest(), len(FILE))
    assert left_in(dumps) == {NAME, f"{NAME}.sha256"}


def test_a_month_is_downloaded_once_and_kept(server: Server, dumps: Dumps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "STEP_BYTES", 1 << 20)
    seen: list[tuple[str, int, int | None]] = []
    (file,) = dumps.find(MONTH, lambda *progress: seen.append(progress))
    check_download(file, dumps)
    assert file.source == server.url + PATH
    assert (seen[0], seen[-1]) == ((NAME, 0, len(FILE)), (NAME, len(FILE), len(FILE)))
    assert all(0 < here - before <= 2 << 20 for (_, before, _), (_, here, _) in pairwise(seen))
    assert dumps.find(MONTH) == [file]
    assert server.asked == [(None, None)]
    assert server.agents == {"KnightShift/test"}


@pytest.mark.parametrize(
    "broken",
    [
        [Answer(n_sent=100_000), Answer(n_sent=1_000_000), Answer(n_sent=1)],
        [Answer(n_sent=0)],
        [Answer(status=503), Answer(status=500), Answer(status=429), Answer(status=408)],
        [Answer(n_sent=100_000)] * 12,  # more often than anything is tried without success
    ],
    ids=["broken off three times", "nothing came", "not now", "broken off twelve times"],
)
def test_a_download_goes_on_where_it_broke_off(server: Server, dumps: Dumps, broken: list[Answer]) -> None:
    server.script = list(broken)
    here, wanted = 0, []
    for answer in [*broken, Answer()]:
        wanted.append((f"bytes={here}-", '"one"') if here else (None, None))
        here += answer.n_sent or 0
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == wanted


def test_the_next_run_goes_on_where_one_gave_up(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(n_sent=100_000), *[Answer(status=502)] * 11]
    with pytest.raises(SourceError, match="answered 502; run again, it goes on from there"):
        dumps.find(MONTH)
    assert (Path(dumps.cache) / f"{NAME}.part").read_bytes() == FILE[:100_000]
    asked = len(server.asked)
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked[asked:] == [("bytes=100000-", '"one"')]


def test_a_killed_download_goes_on(server: Server, dumps: Dumps) -> None:
    code = dedent(f"""
        import os
        from resources import downloads
        from resources.dumps import Dumps
        downloads.STEP_BYTES = 1 << 20
        dumps = Dumps(url={server.url!r}, cache={dumps.cache!r})
        dumps.find({MONTH!r}, lambda name, here, total: here and os.kill(os.getpid(), {signal.SIGKILL:d}))
    """)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    here = (Path(dumps.cache) / f"{NAME}.part").stat().st_size
    assert 0 < here < len(FILE)
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == [(None, None), (f"bytes={here}-", '"one"')]


def test_a_response_that_ends_cleanly_is_not_taken_for_whole(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(body=FILE[:500_000], length=False)]
    with pytest.raises(SourceError, match=r"checksum .* was thrown away"):
        dumps.find(MONTH)
    assert left_in(dumps) == set()
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)


def test_a_server_that_sends_less_than_was_asked_for_is_asked_again(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(n_sent=100_000)]
    server.default = Answer(most=400_000)
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert len(server.asked) == 1 + -(-(len(FILE) - 100_000) // 400_000)


def test_a_server_without_ranges_begins_anew(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(n_sent=100_000), Answer(ranges=False)]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_server_without_a_version_is_resumed_because_the_checksum_decides(
    server: Server, dumps: Dumps, etag: str | None
) -> None:
    server.script = [Answer(n_sent=100_000, etag=etag)]
    server.default = Answer(etag=etag)
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == [(None, None), ("bytes=100000-", None)]


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_begins_anew(server: Server, dumps: Dumps, *, heeds_if_range: bool) -> None:
    server.script = [Answer(body=bytes(len(FILE)), etag='"old"', n_sent=100_000), Answer(heeds_if_range=heeds_if_range)]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked[:2] == [(None, None), ("bytes=100000-", '"old"')]


@pytest.mark.parametrize("content_range", ["bytes 5-9/10", "bytes 100000-5/77", "garbage"])
def test_a_wrong_range_begins_anew(server: Server, dumps: Dumps, content_range: str) -> None:
    server.script = [Answer(n_sent=100_000), Answer(status=206, headers={"Content-Range": content_range})]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked[2] == (None, None)


def test_a_file_that_shrank_begins_anew(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(n_sent=100_000), Answer(status=416)]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, dumps: Dumps) -> None:
    cache = Path(dumps.cache)
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(FILE)
    (cache / f"{NAME}.part.json").write_text(json.dumps({"tag": '"one"', "n_bytes": len(FILE)}))
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == []


@pytest.mark.parametrize("note", [None, "", "{}", '{"tag": "x"', "[]"])
def test_a_part_of_unknown_origin_is_not_trusted(server: Server, dumps: Dumps, note: str | None) -> None:
    cache = Path(dumps.cache)
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(b"something else")
    if note is not None:
        (cache / f"{NAME}.part.json").write_text(note)
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == [(None, None)]


def test_a_wrong_checksum_throws_the_file_away(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(body=FILE[:-1] + b"!")]
    with pytest.raises(SourceError, match=r"arrived with the checksum .* was thrown away: run again"):
        dumps.find(MONTH)
    assert left_in(dumps) == set()


def test_a_file_that_the_disk_changed_is_set_aside_and_fetched_again(server: Server, dumps: Dumps) -> None:
    (file,) = dumps.find(MONTH)
    file.path.write_bytes(FILE[:-1] + b"!")
    (again,) = dumps.find(MONTH)
    assert again.path.read_bytes() == FILE
    assert (file.path.with_name(f"{NAME}.damaged")).exists()
    assert len(server.asked) == 2


def test_a_file_without_its_proof_is_held_against_the_server_list(server: Server, dumps: Dumps) -> None:
    (file,) = dumps.find(MONTH)
    file.path.with_name(f"{NAME}.sha256").unlink()
    assert dumps.find(MONTH) == [file]
    assert len(server.asked) == 1


@pytest.mark.parametrize("sums", [None, b"<html>nothing</html>"])
def test_without_a_checksum_the_size_decides(
    server: Server, dumps: Dumps, sums: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    server.sums = sums
    server.script = [Answer(n_sent=1_000_000)]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert "has no checksum on its server: only its size was checked" in caplog.text


def test_without_a_checksum_and_a_size_nothing_is_believed(server: Server, dumps: Dumps) -> None:
    server.sums = None
    server.default = Answer(length=False)
    with pytest.raises(SourceError, match="states neither its size nor a checksum"):
        dumps.find(MONTH)
    assert left_in(dumps) == set()


def test_the_list_of_checksums_is_asked_for_again(server: Server, dumps: Dumps) -> None:
    server.sums_script = [503, 500]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)


def test_a_month_that_the_server_does_not_have_is_told(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(status=404)]
    with pytest.raises(UserError, match=f"{NAME} is not there: a month's dump appears in the first days"):
        dumps.find(MONTH)


def test_a_server_that_refuses_is_told_at_once(server: Server, dumps: Dumps) -> None:
    server.script = [Answer(status=403)]
    with pytest.raises(SourceError, match="answered 403"):
        dumps.find(MONTH)
    assert len(server.asked) == 1


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with Server() as closed:
        url = closed.url
    with pytest.raises(SourceError, match="broke off"):
        Dumps(url=url, cache=str(tmp_path)).find(MONTH)


def test_a_stalled_download_goes_on(server: Server, tmp_path: Path) -> None:
    dumps = Dumps(url=server.url, cache=str(tmp_path / "cache"), timeout_seconds=0.3)
    server.script = [Answer(n_sent=100_000, stalls=True)]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked == [(None, None), ("bytes=100000-", '"one"')]


LIMITED = """
import resource, sys
import stamina
from resources.dumps import Dumps
stamina.set_testing(True, attempts=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
try:
    Dumps(url={url!r}, cache={cache!r}).find({month!r})
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_is_told_and_the_part_stays_usable(server: Server, dumps: Dumps) -> None:
    # A limit on file size stands in for the full disk: a write comes back short, the next one fails.
    code = LIMITED.format(url=server.url, cache=dumps.cache, month=MONTH)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "DownloadFailed" in done.stdout
    assert "could not be written (File too large): make room or choose another folder" in done.stdout
    assert (Path(dumps.cache) / f"{NAME}.part").read_bytes() == FILE[:1_500_000]
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
    assert server.asked[-1] == ("bytes=1500000-", '"one"')


def test_a_file_that_does_not_fit_is_not_begun(server: Server, dumps: Dumps) -> None:
    server.default = Answer(length=1 << 60)
    with pytest.raises(
        SourceError, match=r"needs 1,152,921,504,606,846,976 more bytes, and .*cache has [\d,]+: make room"
    ):
        dumps.find(MONTH)
    assert not (Path(dumps.cache) / f"{NAME}.part").exists()


def test_two_processes_fetch_a_file_once(server: Server, dumps: Dumps) -> None:
    code = f"from resources.dumps import Dumps; Dumps(url={server.url!r}, cache={dumps.cache!r}).find({MONTH!r})"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert len(server.asked) == 1
    (file,) = dumps.find(MONTH)
    check_download(file, dumps)
