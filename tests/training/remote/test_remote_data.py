"""What travels to an S3 server and back: only what is needed, only what is whole, or an error that says what to do."""

import shutil
from pathlib import Path

import pytest

from tests.training.conftest import write_dataset
from tests.training.remote.conftest import BASE, DATASET, RUN, ask_training, start
from tests.training.remote.s3_server import Bucket
from training.contract import REQUEST_FILE, RESULT_FILE
from training.remote.remote_data import RemoteDataError, download_results, fetch_inputs, upload_inputs


def test_what_is_there_already_is_not_sent_again_and_what_changed_is(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    upload_inputs("train", request, home, bucket.url)
    assert bucket.names() >= {
        f"{DATASET}.complete",
        f"{DATASET}/direct.jsonl",
        f"{BASE}.complete",
        f"{BASE}/config.json",
        f"{RUN}/{REQUEST_FILE}",
    }
    upload_inputs("train", request, home, bucket.url)
    assert {name for name, count in bucket.versions().items() if count > 1} == {f"{RUN}/{REQUEST_FILE}"}
    write_dataset(home / DATASET, direct=21)
    upload_inputs("train", request, home, bucket.url)
    assert bucket.versions()[f"{DATASET}/direct.jsonl"] == 2
    shutil.rmtree(home)
    fetch_inputs("train", request, home, bucket.url)
    assert len((home / DATASET / "direct.jsonl").read_text().splitlines()) == 21


def test_a_dataset_that_is_not_whole_is_refused(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    upload_inputs("train", request, home, bucket.url)
    bucket.delete(f"{DATASET}.complete")
    with pytest.raises(RemoteDataError, match=f"{DATASET} is not there, or not whole"):
        fetch_inputs("train", request, home, bucket.url)


def test_a_list_that_leads_out_of_its_folder_is_refused(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    upload_inputs("train", request, home, bucket.url)
    bucket.write(f"{DATASET}.complete", b'{"../../../../escaped": [1, 1]}')
    with pytest.raises(RemoteDataError, match="lies outside its folder"):
        fetch_inputs("train", request, home, bucket.url)


def test_a_folder_called_by_dots_is_not_fetched(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    upload_inputs("train", request, home, bucket.url)
    bucket.write(f"{RUN}/...complete", b'{"escaped": [2, 1]}')
    bucket.write("runs/writer/escaped", b"{}")
    bucket.write(f"{RUN}/{RESULT_FILE}", b"{}")
    download_results("train", request, home, bucket.url)
    assert (home / RUN / RESULT_FILE).exists()
    assert not (home / "runs/writer/escaped").exists()


def test_without_a_result_nothing_is_downloaded(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    upload_inputs("train", request, home, bucket.url)
    with pytest.raises(RemoteDataError, match=r"holds no result\.json: the stage has not ended well"):
        download_results("train", request, home, bucket.url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://no-such-bucket/home", "bucket does not exist. Make the bucket, or correct the URL."),
        ("gs://ghostwriter/home", "the package that speaks gs:// is not installed: pip install gcsfs."),
        ("ftq://ghostwriter/home", "no protocol ftq:// is known"),
        ("ghostwriter/home", "is no URL of a data store"),
        ("sftp://me:secret@host/home", "The sftp URL of the data holds a password"),
    ],
)
def test_a_wrong_url_is_explained(bucket: Bucket, home: Path, url: str, said: str) -> None:
    request = ask_training(home)
    with pytest.raises(RemoteDataError) as raised:
        upload_inputs("train", request, home, url)
    assert said in str(raised.value) and "secret" not in str(raised.value)


def test_missing_credentials_are_explained(bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "none"))
    with pytest.raises(RemoteDataError, match=r"Name a file of credentials in AWS_SHARED_CREDENTIALS_FILE"):
        upload_inputs("train", ask_training(home), home, bucket.url)


def test_a_store_that_does_not_answer_is_explained(bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(RemoteDataError, match="Check AWS_ENDPOINT_URL"):
        upload_inputs("train", ask_training(home), home, bucket.url)


def test_a_request_outside_home_is_explained(bucket: Bucket, home: Path, tmp_path: Path) -> None:
    with pytest.raises(RemoteDataError, match="so it cannot travel"):
        upload_inputs("train", ask_training(home), tmp_path / "another", bucket.url)


def test_the_command_explains_a_missing_request_in_one_line(bucket: Bucket, home: Path) -> None:
    request = ask_training(home)
    child = start("train", request, home, bucket)
    assert child.wait() == 1
    assert child.said.read_text() == f"There is no {bucket.url}/{RUN}/request.json. Is the URL the one that Airflow sends to?\n"
