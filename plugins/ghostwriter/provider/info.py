"""What Airflow shows of a connection's form, and which class its Test button calls. Read by every Airflow process: nothing is imported."""

from typing import Any

HOOKS = "ghostwriter.provider.hooks"
HIDDEN = ["schema", "extra"]
PORT = "0: without it the Test button of Airflow 3.3.2 answers Bad Request"
"""Its page sends a stored connection's missing port as 0, and its API takes that for another server. What is written there is not used."""
TEXT: dict[str, Any] = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """In the form of Airflow's provider_info.schema.json."""
    return {
        "package-name": "ghostwriter",
        "name": "Ghostwriter",
        "description": "Where a writer's answers are collected, and the teacher that answers in the writer's voice.",
        "connection-types": [_zhihu(), _teacher(), _stackexchange()],
    }


def _zhihu() -> dict[str, Any]:
    account = "For Test only: whose answers to ask for, the part of the page's address behind /people/. Your own will do."
    return {
        "connection-type": "zhihu",
        "hook-name": "Zhihu 知乎",
        "hook-class-name": f"{HOOKS}.ZhihuHook",
        "ui-field-behaviour": {
            "hidden-fields": HIDDEN,
            "relabeling": {"password": "Cookie", "login": "User-Agent", "host": "Site"},
            "placeholders": {
                "password": "z_c0=...; d_c0=...  the whole Cookie header of your browser",
                "login": "Mozilla/5.0 ...  the User-Agent of the same browser",
                "host": "leave it empty; only the demo has another site",
                "port": PORT,
            },
        },
        "conn-fields": {"account": {"label": "Account", "description": account, "schema": TEXT}},
    }


def _teacher() -> dict[str, Any]:
    model = "For Test only: with a model it makes one call of a few tokens, without one it asks what is served."
    return {
        "connection-type": "teacher",
        "hook-name": "Teacher (OpenAI-compatible)",
        "hook-class-name": f"{HOOKS}.TeacherHook",
        "ui-field-behaviour": {
            "hidden-fields": [*HIDDEN, "login"],
            "relabeling": {"password": "Key", "host": "Base URL"},
            "placeholders": {"password": "sk-...", "host": "https://api.example.org/v1", "port": PORT},
        },
        "conn-fields": {
            "model": {"label": "Model", "description": model, "schema": TEXT},
            "preset": {
                "label": "Preset",
                "description": "For Test only: a name in teacher/presets.toml (deepseek, dashscope, ...), for the parameters a call has.",
                "schema": TEXT,
            },
        },
    }


def _stackexchange() -> dict[str, Any]:
    return {
        "connection-type": "stackexchange",
        "hook-name": "Stack Exchange",
        "hook-class-name": f"{HOOKS}.StackExchangeHook",
        "ui-field-behaviour": {
            "hidden-fields": [*HIDDEN, "login"],
            "relabeling": {"password": "API key", "host": "Site"},
            "placeholders": {"password": "optional: raises 300 requests a day to 10,000", "host": "leave it empty", "port": PORT},
        },
        "conn-fields": {
            "account": {"label": "Account", "description": "For Test only: site and user id, like cooking/12345.", "schema": TEXT}
        },
    }
