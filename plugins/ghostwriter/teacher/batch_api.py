"""The vendor's API for batches and their files, by the official client: its errors are ours, without the key in them."""

from collections.abc import Iterator
from contextlib import contextmanager

from openai import APIConnectionError, APIStatusError, OpenAI

from ghostwriter.errors import TeacherError
from ghostwriter.teacher.advice import ADVICE
from ghostwriter.teacher.client import CallFault, Endpoint, TeacherDown, connection_fault, status_fault

FINISHED = frozenset({"completed", "failed", "expired", "cancelled"})
API_SECONDS = 120.0
BATCH_ADVICE = ADVICE | {
    "not_found": "This address has no Batch API (then set teacher.batch = false), or does not know the batch: name the one it was "
    "submitted to, or give it up with `python -m ghostwriter distill WRITER --forget-batch`.",
    "bad_request": "Nothing was submitted.",
}


@contextmanager
def batch_api(endpoint: Endpoint) -> Iterator[OpenAI]:
    """The client. What is not caught inside the block leaves it as TeacherError and its kinds."""
    with OpenAI(base_url=endpoint.base_url, api_key=endpoint.key.get_secret_value(), timeout=API_SECONDS, max_retries=2) as client:
        try:
            yield client
            return
        except APIStatusError as error:
            fault = CallFault("not_found", endpoint.without_key(str(error))) if error.status_code == 404 else status_fault(error, endpoint)
        except APIConnectionError as error:
            fault = connection_fault(error, endpoint)
    kind = fault.ends_run or (TeacherDown if fault.again else TeacherError)
    raise kind(f"{fault.message}. {BATCH_ADVICE.get(fault.code, 'The batch is kept: run again to go on with it.')}") from None
