"""The page "Ghostwriter" in Airflow's navigation: how each writer stands, rendered on the server, for people who are logged in.

Airflow's own database says how the last night ended, MLflow which version is the champion, archive and ledger what there is and
what it cost. Whatever does not answer is said on the page, in the others' company.

`chat` is where people talk to a writer's versions and vote, blindly, on two of them; it asks the serving gateway over HTTP.
"""
