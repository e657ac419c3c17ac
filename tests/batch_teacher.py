"""The test teacher with OpenAI's /v1/files and /v1/batches."""

import email.parser
import email.policy
import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.teacher_server import TeacherServer


@dataclass
class BatchTeacher(TeacherServer):
    """Finishes a batch `script.batch_seconds` after it was created; its first `script.batch_drops` requests end in the error file."""

    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    cut_output: bool = False
    """Serve half of each output file only."""
    refuse: str = ""
    """Why every batch ends as failed, without any work."""
    lose_created: bool = False
    """Take the next batch, but answer 500: the client never learns its id."""

    unlisted_looks: int = 0
    """How often the list is empty before it shows the batches there are."""
    lose_output: bool = False
    """Answer 404 to whoever asks for an output file."""
    deletion: int = 200
    """What it answers to who deletes a file; 405 and 404 are of an API that cannot."""
    uploads: int = 0

    def _files_and_batches(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        path, _, _ = path.partition("?")
        parts = path.removeprefix("/v1/").split("/")
        if method == "POST" and path == "/v1/files":
            return 200, self._upload(headers, body), {}
        if method == "GET" and parts[0] == "files" and parts[-1] == "content" and not self.lose_output and parts[1] in self.files:
            return 200, self.files[parts[1]], {}
        if method == "DELETE" and parts[0] == "files" and (self.deletion != 200 or parts[1] in self.files):
            return self._delete(parts[1], headers)
        if method == "POST" and path == "/v1/batches":
            created = self._create(json.loads(body))
            lost, self.lose_created = self.lose_created, False
            return (500, self._error("lost", None, headers), {}) if lost else (200, created, {})
        if method == "GET" and path == "/v1/batches":
            self.unlisted_looks -= 1
            listed = [] if self.unlisted_looks >= 0 else list(self.batches.values())
            return 200, {"object": "list", "data": listed, "has_more": False}, {}
        if method == "GET" and parts[0] == "batches" and parts[1] in self.batches:
            return 200, self._advanced(self.batches[parts[1]]), {}
        return 404, self._error(f"{method} {path} is not served.", None, headers), {}

    def _upload(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        content = next(part.get_payload(decode=True) for part in form.iter_parts() if part.get_filename())
        assert isinstance(content, bytes)
        return self._keep(content, "batch")

    def _keep(self, content: bytes, purpose: str) -> dict[str, Any]:
        self.uploads += 1
        name = f"file-{self.uploads}"
        self.files[name] = content
        kept = {"id": name, "object": "file", "bytes": len(content), "created_at": int(time.time()), "filename": name}
        return {**kept, "purpose": purpose, "status": "processed"}

    def _delete(self, name: str, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        if self.deletion != 200:
            return self.deletion, self._error(f"DELETE /v1/files/{name} is not served.", None, headers), {}
        del self.files[name]
        return 200, {"id": name, "object": "file", "deleted": True}, {}

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = f"batch_{len(self.batches) + 1}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": request["endpoint"],
            "input_file_id": request["input_file_id"],
            "completion_window": request["completion_window"],
            "metadata": request.get("metadata"),
            "status": "in_progress",
            "created_at": time.time(),
            "output_file_id": None,
            "error_file_id": None,
        }
        return self.batches[name]

    def _advanced(self, batch: dict[str, Any]) -> dict[str, Any]:
        if batch["status"] == "in_progress" and time.time() - batch["created_at"] >= self.script.batch_seconds:
            self._finish(batch)
        return batch

    def _finish(self, batch: dict[str, Any]) -> None:
        if self.refuse:
            batch.update(status="failed", errors={"object": "list", "data": [{"code": "refused", "message": self.refuse}]})
            return
        requests = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        drops = self.script.batch_drops
        failed = [{"custom_id": it["custom_id"], "response": None, "error": {"code": "server_error"}} for it in requests[:drops]]
        answered = []
        for request in requests[drops:]:
            status, body = self.completion(request["body"])
            self.completions += status == 200
            answered.append({"custom_id": request["custom_id"], "response": {"status_code": status, "body": body}, "error": None})
        lines = _lines(answered)
        batch["output_file_id"] = self._keep(lines[: len(lines) // 2] + b"\n" if self.cut_output else lines, "batch_output")["id"]
        batch["error_file_id"] = self._keep(_lines(failed), "batch_output")["id"] if failed else None
        batch["status"] = "completed"


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
