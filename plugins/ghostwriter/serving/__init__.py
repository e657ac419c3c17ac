"""Serving: a writer's versions in MLflow into answers, over HTTP in OpenAI's words. Whoever asks needs its address alone.

`python -m ghostwriter serve` runs a gateway (http://127.0.0.1:8910/v1; GHOSTWRITER_SERVING_URL names another one to those who ask). It
follows the aliases `champion` and `previous` of every writer, keeps both loaded, and gives each request to one version for good.

Names of models:

    WRITER              the champion, whichever it is when the request is admitted (`WRITER@champion` is the same)
    WRITER@previous     the champion before it
    WRITER@v7           version 7 of the registered model
    WRITER@base         the base of the champion, without an adapter

Routes:

    GET  /v1/models             {"object": "list", "data": [{"id": "lamplight@v7", "object": "model", "created": 1780000000,
                                "owned_by": "ghostwriter", "ghostwriter": {"writer", "version", "digest", "is_loaded"}}, ...]}
    POST /v1/chat/completions   as OpenAI's: `model`, `messages`, `stream`, `stream_options.include_usage`, `max_tokens` or
                                `max_completion_tokens`, `temperature`, `top_p`, `min_p`, `top_k`, `seed`, `stop`,
                                `presence_penalty`, `frequency_penalty`, `logprobs`, `top_logprobs`. What is left out is as in the
                                writer file's [answering], so as the version was judged; without `seed` one is drawn.
    GET  /healthz               200 while it can answer, 503 before. {"status": "ok" | "starting", "registry": {"is_stale",
                                "seconds", "why"}, "writers": {WRITER: {"version", "digest", "is_ready", "previous", "loaded": [...],
                                "is_moving", "failed": {"version", "why", "when"} | null}}}

    POST /v1/ghostwriter/candidates   what the gate asks before a promotion (judging/serving.py)

Headers of an answer: `X-Ghostwriter-Version` (`7`, or `base`), `X-Ghostwriter-Digest` (SHA-256 of the adapter's weights; of a base its
name), `X-Ghostwriter-Seed`. The body's `model` is the version's own name, `lamplight@v7`. So is every chunk's: whoever compares versions
blindly drops both.

Errors have OpenAI's form, {"error": {"message", "type", "param", "code"}}:

    400 context_length_exceeded, unsupported_value, invalid_request    401 invalid_api_key    404 model_not_found
    413 request_too_large    429 too_many_requests, with Retry-After
    503 model_loading        the version is being fetched and loaded because it was asked for; with Retry-After: ask again
    503 model_unavailable    it cannot be loaded, `message` says why; or its engine is being started again, with Retry-After
    502 engine_failed        the engine ended while it answered. In a stream, where the status is sent already, the last event is
                             `data: {"error": ...}`, and no `data: [DONE]` follows

Beyond loopback a key is wanted, `Authorization: Bearer KEY`: the content of `serving_key` (0600) in the home folder, which is made when
there is none. Where that file stands, it is wanted on loopback too. `/healthz` without it says the status alone.

Imports launchers, page (how a version was examined) and what is below.
"""
