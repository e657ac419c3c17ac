"""What Airflow shows of a connection's form, and which class its Test button calls. Read by every Airflow process: nothing is imported."""

from typing import Any

HOOKS = "ghostwriter.provider.hooks"
FIELDS = ("schema", "extra", "login", "password", "host")
"""Of a connection's form, as Airflow names them; the port beside them."""
PORT = "0: without it the Test button of Airflow 3.3.2 answers Bad Request"
"""Its page sends a stored connection's missing port as 0, and its API takes that for another server. What is written there is not used."""
OPTIONAL = {"type": ["string", "null"]}
Texts = dict[str, str]


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
    placeholders = {
        "password": "z_c0=...; d_c0=...  the whole Cookie header of your browser",
        "login": "Mozilla/5.0 ...  the User-Agent of the same browser",
        "host": "leave it empty; only the demo has another site",
    }
    labels = {"password": "Cookie", "login": "User-Agent", "host": "Site"}
    return _type("zhihu", "Zhihu 知乎", "ZhihuHook", labels, placeholders, {"account": account})


def _teacher() -> dict[str, Any]:
    fields = {
        "model": "For Test only: with a model it makes one call of a few tokens, without one it asks what is served.",
        "preset": "For Test only: a name in teacher/presets.toml (deepseek, dashscope, ...), for the parameters a call has.",
    }
    placeholders = {"password": "sk-...", "host": "https://api.example.org/v1"}
    return _type("teacher", "Teacher (OpenAI-compatible)", "TeacherHook", {"password": "Key", "host": "Base URL"}, placeholders, fields)


def _stackexchange() -> dict[str, Any]:
    placeholders = {"password": "optional: raises 300 requests a day to 10,000", "host": "leave it empty"}
    fields = {"account": "For Test only: site and user id, like cooking/12345."}
    return _type("stackexchange", "Stack Exchange", "StackExchangeHook", {"password": "API key", "host": "Site"}, placeholders, fields)


def _type(kind: str, title: str, hook: str, labels: Texts, placeholders: Texts, fields: Texts) -> dict[str, Any]:
    """A connection type: labels and placeholders of Airflow's own fields, and a description of each field that is ours alone.

    Of Airflow's fields the ones without a label are hidden, but the port.
    """
    return {
        "connection-type": kind,
        "hook-name": title,
        "hook-class-name": f"{HOOKS}.{hook}",
        "ui-field-behaviour": {
            "hidden-fields": [field for field in FIELDS if field not in labels],
            "relabeling": labels,
            "placeholders": {**placeholders, "port": PORT},
        },
        "conn-fields": {
            field: {"label": field.capitalize(), "description": text, "schema": {"type": ["string", "null"]}}
            for field, text in fields.items()
        },
    }
