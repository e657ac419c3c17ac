"""What a task ends on when something goes wrong: what the person should do, and whether it is tried again."""

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from mlflow.exceptions import MlflowException

from ghostwriter.errors import PromotionError, WriterFileError
from ghostwriter.tasks.body import actionable


def failing(error: Exception) -> None:
    @actionable
    def body() -> None:
        raise error

    body()


def test_what_a_person_must_act_on_is_not_tried_again() -> None:
    with pytest.raises(AirflowFailException, match=r"^promotion: There is no version 9\."):
        failing(PromotionError("There is no version 9."))


def test_an_mlflow_that_is_away_is_tried_again_and_says_what_to_do() -> None:
    words = r"^mlflow: MLflow did not do what was asked of it: connection refused See that it runs, then clear this task"
    with pytest.raises(AirflowException, match=words) as raised:
        failing(MlflowException("connection refused\nand a long trace"))
    assert not isinstance(raised.value, AirflowFailException)


def test_the_password_in_mlflows_address_is_not_told() -> None:
    with pytest.raises(AirflowException, match=r"request to http://mlflow:5000/api failed") as raised:
        failing(MlflowException("request to http://me:sk-secret@mlflow:5000/api failed"))
    assert "sk-secret" not in str(raised.value)


def test_any_other_error_is_left_as_it_is() -> None:
    with pytest.raises(KeyError):
        failing(KeyError("x"))
    with pytest.raises(AirflowFailException):
        failing(WriterFileError("x"))
