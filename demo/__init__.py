"""The demo: an invented writer on a local site, a small local teacher, and the whole loop through Airflow. Run with `make demo`."""
