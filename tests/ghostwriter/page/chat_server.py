"""The plugin's app in a process of its own, with a logged-in user and without Airflow's database: `chat_server.py PORT`."""

import sys

import uvicorn
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user

from ghostwriter.page.access import writers_of_user
from ghostwriter.page.app import app
from ghostwriter.writer import readable_writers

if __name__ == "__main__":
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ann", role="viewer")
    app.dependency_overrides[writers_of_user] = readable_writers
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
