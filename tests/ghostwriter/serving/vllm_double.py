"""What vLLM's server says to the calls that the engine makes, without a model: `vllm_double.py serve BASE --port N ...`.

Statuses and bodies are those of vLLM 0.33's sources: an adapter of a rank beyond --max-lora-rank is refused, one that is loaded twice
too, `/v1` wants the key and `/health` does not.
"""

import argparse
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Double(ThreadingHTTPServer):
    """A server with its adapters, by name."""

    daemon_threads = True

    def __init__(self, port: int, base: str, rank: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.base, self.rank, self.adapters = base, rank, dict[str, str]()

    def load(self, name: str, folder: str) -> tuple[int, str]:
        """POST /v1/load_lora_adapter."""
        rank = json.loads((Path(folder) / "adapter_config.json").read_bytes())["r"]
        if name in self.adapters:
            return 400, f"The lora adapter '{name}' has already been loaded."
        if rank > self.rank:
            return 500, f"LoRA rank {rank} is greater than max_lora_rank {self.rank}."
        self.adapters[name] = folder
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, name: str) -> tuple[int, str]:
        """POST /v1/unload_lora_adapter."""
        if self.adapters.pop(name, None) is None:
            return 404, f"The lora adapter '{name}' cannot be found."
        return 200, f"Success: LoRA adapter '{name}' removed successfully."


class Handler(BaseHTTPRequestHandler):
    """Routes."""

    server: Double

    def do_GET(self) -> None:
        """`/health`."""
        self._say(200, b"")

    def do_POST(self) -> None:
        """The routes of adapters, and chat completions, which name the model that answers."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            self._say(401, b'{"error": "Unauthorized"}')
        elif self.path == "/v1/load_lora_adapter":
            self._told(*self.server.load(body["lora_name"], body["lora_path"]))
        elif self.path == "/v1/unload_lora_adapter":
            self._told(*self.server.unload(body["lora_name"]))
        elif body["model"] in (self.server.base, *self.server.adapters):
            choice = {"index": 0, "message": {"role": "assistant", "content": f"{body['model']} speaking"}, "finish_reason": "stop"}
            self._say(200, json.dumps({"choices": [choice], "model": body["model"]}).encode())
        else:
            self._told(404, f"The model `{body['model']}` does not exist.")

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""

    def _told(self, status: int, message: str) -> None:
        body = message if status == 200 else json.dumps({"error": {"message": message, "type": "BadRequestError", "code": status}})
        self._say(status, body.encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed; what the real one would refuse at its start is refused here."""
    assert sys.argv[1] == "serve"
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    for name in ("--port", "--max-lora-rank", "--max-loras", "--max-cpu-loras", "--max-model-len"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--host", "--served-model-name", "--generation-config"):
        parser.add_argument(name, required=True)
    parser.add_argument("--enable-lora", action="store_true", required=True)
    asked = parser.parse_args(sys.argv[2:])
    assert os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert asked.max_lora_rank in (1, 8, 16, 32, 64, 128, 256, 320, 512)
    Double(asked.port, asked.served_model_name, asked.max_lora_rank).serve_forever()


if __name__ == "__main__":
    main()
