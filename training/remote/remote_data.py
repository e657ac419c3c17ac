"""Data by fsspec URL, for stages on a machine that shares no file system with Airflow; below the URL all lies as below the home folder.

    Airflow side   upload_inputs      request.json, and the dataset, adapters and base model it names
    training side  fetch_inputs       the same, and what an earlier attempt has sent       } python -m training STAGE REQUEST
                   sending            checkpoints while it works, the last file last       }            --data-url URL
    Airflow side   download_results   the run folder without checkpoints, the last file last

What is there already, the same, is neither sent nor fetched again. What lies outside the home folder does not travel, nor does a
base model named by its hub id, nor, for a stage that needs none, any model. Importable without torch, Airflow or MLflow.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from training.contract import ANSWERED_FILE, RESULT_FILE, WITHOUT_MODEL, EvaluateRequest, ExamineRequest, TrainRequest, last_files
from training.errors import RemoteDataError as RemoteDataError
from training.models.base_models import folders_of
from training.remote.object_store import Store

Request = TrainRequest | EvaluateRequest | ExamineRequest
CHECKPOINTS = "checkpoints"
LAST = (ANSWERED_FILE, RESULT_FILE)


def upload_inputs(stage: str, request: Path, home: Path, url: str) -> None:
    """Send the request and the folders it names, unless they are there. Raises RemoteDataError."""
    asked, store = read_request(request), Store(url)
    for folder in _needed(stage, asked, home):
        if not folder.is_dir():
            raise RemoteDataError(f"The request names {folder}, which does not exist. Run the stage that writes it again.")
        store.send_folder(folder, name_of(folder, home))
    for folder in _bases(stage, asked, home):
        if (folder / "config.json").exists():
            store.send_folder(folder, name_of(folder, home))
    store.send_file(request, name_of(request, home))


def fetch_inputs(stage: str, request: Path, home: Path, url: str) -> Request:
    """Fetch the request, the folders it names, and what an earlier attempt left in its run folder. Raises RemoteDataError."""
    store = Store(url)
    if not store.fetch_file(name_of(request, home), request):
        raise RemoteDataError(f"There is no {url}/{name_of(request, home)}. Is the URL the one that Airflow sends to?")
    asked = read_request(request)
    for folder in _needed(stage, asked, home):
        if not store.fetch_folder(name_of(folder, home), folder):
            raise RemoteDataError(f"{url}/{name_of(folder, home)} is not there, or not whole. Run the task again: it is sent then.")
    for folder in _bases(stage, asked, home):
        store.fetch_folder(name_of(folder, home), folder)
    _fetch_run(store, asked.run_folder, home)
    checkpoints = asked.run_folder / CHECKPOINTS
    for name in store.folders(name_of(checkpoints, home)):
        store.fetch_folder(name_of(checkpoints / name, home), checkpoints / name)
    return asked


def download_results(stage: str, request: Path, home: Path, url: str) -> None:
    """Fetch a finished stage's run folder without its checkpoints. Raises RemoteDataError, also when there is no result."""
    store = Store(url)
    run, wanted = name_of(request.parent, home), last_files(stage)
    if not set(wanted) & set(store.files(run)):
        raise RemoteDataError(f"{url}/{run} holds no {wanted[0]}: the stage has not ended well. Run it again.")
    _fetch_run(store, request.parent, home)


def read_request(path: Path) -> Request:
    """The request of whichever stage. Raises RemoteDataError."""
    try:
        request: Request = TypeAdapter[Request](Request).validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "is no request of train, evaluate or examine"
        raise RemoteDataError(f"{path} {reason}.") from error
    return request


def name_of(path: Path, home: Path) -> str:
    """Where a path of the home folder lies below the URL. Raises RemoteDataError for any other."""
    if not path.is_relative_to(home):
        raise RemoteDataError(f"{path} lies outside {home}, so it cannot travel. GHOSTWRITER_HOME must be the same folder on both sides.")
    return path.relative_to(home).as_posix()


def _needed(stage: str, request: Request, home: Path) -> list[Path]:
    """The dataset, and for a stage with models the adapters, where they lie below home."""
    used = [request.start] if isinstance(request, TrainRequest) else [arm.adapter for arm in request.arms]
    adapters = [adapter for adapter in used if adapter and stage not in WITHOUT_MODEL]
    return [path for path in (request.dataset, *adapters) if path.is_relative_to(home)]


def _bases(stage: str, request: Request, home: Path) -> list[Path]:
    """Where the base model lies below home, if it does."""
    base = request.recipe.base if isinstance(request, TrainRequest) else request.base
    folders = [] if stage in WITHOUT_MODEL else folders_of(base, request.models)
    return [path for path in folders if path.is_relative_to(home)]


def _fetch_run(store: Store, run_folder: Path, home: Path) -> None:
    """What stands in a run folder, checkpoints left out; what a stage writes last comes last, so that its being there says that all is."""
    run = name_of(run_folder, home)
    for name in store.folders(run):
        store.fetch_folder(f"{run}/{name}", run_folder / name)
    for name in sorted(store.files(run), key=lambda each: LAST.index(each) if each in LAST else -1):
        store.fetch_file(f"{run}/{name}", run_folder / name)
