"""What a person does in the two screens, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.follow import Loop
from ghostwriter.embedded.services import wait_until
from ghostwriter.judging.promote import promote
from tests.e2e.browser import choose, log_in, open_browser, open_form, submit
from tests.e2e.nights import Night
from tests.e2e.world import NEIGHBOUR, STEM, World
from tests.teacher_server import KEY

TRAINING_MS = 480_000
WRONG_KEY = "sk-wrong-0000000"


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    with open_browser() as page:
        log_in(page, world.api.url, world.stack.password())
        yield page


@pytest.fixture(scope="module")
def trained(world: World, first: Loop, page: Page) -> str:
    """The id of a run that was triggered from the form, and watched until it was green."""
    form = open_form(page, world.api.url, f"{STEM}_train")
    choose(form, "arm", "direct")
    form.get_by_role("button", name="Which data").click()
    expect(form.locator("[name=element_dataset]")).to_have_value("")
    submit(form)
    expect(form).to_be_hidden()
    run = world.api.runs(f"{STEM}_train")[0]
    page.goto(f"{world.api.url}/dags/{STEM}_train/runs/{run['dag_run_id']}")
    title = page.get_by_role("heading", name=run["dag_run_id"]).locator("xpath=..")
    title.get_by_text("Success", exact=True).wait_for(timeout=TRAINING_MS)
    return str(run["dag_run_id"])


def test_the_form_trains_what_was_chosen_in_it(world: World, trained: str) -> None:
    run = world.api.run(f"{STEM}_train", trained)
    assert (run["conf"]["arm"], run["conf"]["dataset"], run["triggering_user_name"]) == ("direct", None, "admin")
    candidate = world.client.get_run(world.api.xcom(f"{STEM}_train", trained, "plan")["run_id"])
    assert re.fullmatch(r"candidate 20\d\d-\d\d-\d\d \d\d:\d\d \(direct, tiny\)", candidate.info.run_name or "")


def test_the_button_leads_to_the_mlflow_run_and_it_leads_back(world: World, page: Page, trained: str) -> None:
    page.goto(_button(world, page, trained, "train", "MLflow run"))
    expect(page.get_by_role("heading", name="train direct")).to_be_visible()
    experiment = world.client.get_experiment_by_name(STEM)
    assert experiment
    parent = world.api.xcom(f"{STEM}_train", trained, "plan")["run_id"]
    page.goto(f"{world.stack.mlflow_url}/#/experiments/{experiment.experiment_id}/runs/{parent}")
    back = page.get_by_role("link", name=f"{STEM}_train/{trained}")
    assert back.get_attribute("href") == f"{world.api.url}/dags/{STEM}_train/runs/{trained}"


def test_the_report_is_one_click_away(world: World, page: Page, trained: str) -> None:
    page.goto(_button(world, page, trained, "measure", "Report"))
    report = page.frame_locator("iframe").first
    expect(report.locator("body")).to_contain_text("candidate: direct")


def test_the_tabs_of_a_dag_and_a_run_show_the_writer_and_the_report(world: World, page: Page, trained: str) -> None:
    page.goto(f"{world.api.url}/dags/{STEM}_train")
    page.get_by_role("link", name="Writer", exact=True).click()
    shown = page.frame_locator("iframe[title=Writer]")
    expect(shown.locator(f"section#{STEM}").get_by_role("heading", name="Odessa Lamplight")).to_be_visible()
    expect(shown.locator("section")).to_have_count(1)
    page.goto(f"{world.api.url}/dags/{STEM}_train/runs/{trained}")
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.frame_locator("iframe[title=Report]").locator("body")).to_contain_text("candidate: direct")


def test_the_saved_view_shows_the_arms_beside_each_other(world: World, page: Page, trained: str) -> None:
    experiment = world.client.get_experiment_by_name(STEM)
    assert experiment
    page.goto(f"{world.stack.mlflow_url}/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=arms")
    for arm in ("base", "direct", "distilled", "writer"):
        expect(page.get_by_role("gridcell").get_by_text(arm, exact=True).first).to_be_visible()
    for column in ("ability", "heldout_loss_nats_per_token"):
        expect(page.get_by_role("columnheader", name=column).first).to_be_visible()


def test_the_page_in_the_navigation_shows_the_champion(world: World, page: Page, trained: str) -> None:
    page.goto(world.api.url)
    page.get_by_role("button", name="Browse").click()
    with page.expect_popup() as opened:
        page.get_by_role("menuitem", name="Ghostwriter").click()
    card = opened.value.locator(f"section#{STEM}")
    expect(card.get_by_role("heading", name="Odessa Lamplight")).to_be_visible()
    expect(card).to_contain_text("206")
    opened.value.close()
    champion = world.client.get_model_version_by_alias(f"ghostwriter-{STEM}", "champion").version
    _see(world, page, STEM, f"version {champion} since")


def test_an_earlier_dataset_is_picked_on_the_page_and_trained_on(world: World, page: Page, trained: str) -> None:
    page.goto(f"{world.api.url}/ghostwriter/")
    picked = page.locator(f"section#{STEM}").get_by_label("The newest first").first.input_value()
    page.locator(f"section#{STEM}").get_by_role("button", name="Train on it").click()
    page.get_by_role("heading", name="manual__").wait_for()
    run = world.api.runs(f"{STEM}_train")[0]
    assert run["dag_run_id"] in page.url
    assert (run["conf"], run["triggering_user_name"]) == ({"dataset": picked}, "admin")
    assert world.api.wait_finished(f"{STEM}_train", str(run["dag_run_id"]), 300) == "success"


def test_a_bad_value_is_refused_in_the_form_with_a_sentence(world: World, page: Page, first: Loop) -> None:
    before = len(world.api.runs(f"{STEM}_rollback"))
    form = open_form(page, world.api.url, f"{STEM}_rollback")
    form.locator("input[name=element_why]").fill("no")
    submit(form)
    expect(form).to_contain_text("'no' is too short")
    assert len(world.api.runs(f"{STEM}_rollback")) == before


def test_the_form_lets_no_number_out_of_its_bounds(world: World, page: Page) -> None:
    form = open_form(page, world.api.url, "multiplication")
    digits = form.locator("input[name=element_digits]")
    digits.fill("40")
    digits.blur()
    expect(digits).to_have_value("6")


def test_what_a_failing_teacher_said_stands_on_the_page_and_is_told(world: World, page: Page, night: Night) -> None:
    world.api.put_connection("teacher", "http", world.teacher.base_url, WRONG_KEY)
    form = open_form(page, world.api.url, f"{NEIGHBOUR}_distill")
    form.locator("input[name=element_wanted]").fill("30")
    submit(form)
    wait_until(lambda: world.api.runs(f"{NEIGHBOUR}_distill")[0]["state"] == "failed", 240, "The refusal")
    world.api.put_connection("teacher", "http", world.teacher.base_url, KEY)
    page.goto(f"{world.api.url}/ghostwriter/")
    outcome = page.locator(f"section#{NEIGHBOUR} .outcome")
    expect(outcome).to_contain_text("401: Incorrect API key provided.")
    expect(outcome).to_contain_text("Put a key that may use this model into the teacher's connection")
    run_id = world.api.runs(f"{NEIGHBOUR}_distill")[0]["dag_run_id"]
    asked = next(task for task in world.api.tasks(f"{NEIGHBOUR}_distill", run_id) if task["task_id"] == "ask_teacher")
    assert asked["try_number"] == 1
    log = world.api.log_lines(f"{NEIGHBOUR}_distill", run_id, "ask_teacher", 1)
    told = [post["text"] for _, post in world.inboxes.posts if "failed" in post["text"]]
    assert [text.splitlines()[0] for text in told] == ["Dusk & Dawn: 2 distil: the task ask_teacher failed."]
    assert "Put a key that may use this model" in told[0]
    assert [mail["Subject"] for mail in world.inboxes.mails if "failed" in mail["Subject"]] == [told[0].splitlines()[0]]
    assert WRONG_KEY not in page.content() + "".join(log) + "".join(told) + "".join(mail.as_string() for mail in world.inboxes.mails)


def test_the_champion_is_rolled_back_from_its_form(world: World, page: Page, trained: str) -> None:
    _make_second_version(world, trained)
    form = open_form(page, world.api.url, f"{STEM}_rollback")
    form.locator("input[name=element_why]").fill("it loops")
    submit(form)
    wait_until(lambda: [run["state"] for run in world.api.runs(f"{STEM}_rollback")][:1] == ["success"], 240, "The roll back")
    _see(world, page, STEM, "version 1 since")
    _see(world, page, STEM, "it loops (admin)")


def _see(world: World, page: Page, stem: str, words: str) -> None:
    """Look at the page until a writer's card says so: an MLflow that is busy for more than a second is left out of it."""

    def shown() -> bool:
        page.goto(f"{world.api.url}/ghostwriter/")
        return words in page.locator(f"section#{stem}").inner_text()

    wait_until(shown, 60, f"{words!r} on the page")


def _button(world: World, page: Page, run_id: str, task: str, name: str) -> str:
    """Where a button on the task's Details tab leads."""
    page.goto(f"{world.api.url}/dags/{STEM}_train/runs/{run_id}/tasks/{task}/details")
    address = page.get_by_role("link", name=name).first.get_attribute("href")
    assert address
    return address


def _make_second_version(world: World, trained: str) -> None:
    """The gate of a tiny model may have refused the run's adapter: it becomes the champion all the same, as by a person's hand."""
    run = world.api.xcom(f"{STEM}_train", trained, "train")
    adapter = Path(run["run_folder"]) / "adapter"
    promote(
        world.client, world.home, world.writer, run["run_id"], adapter, {}, champion="1", who="a test", why="to be rolled back", numbers={}
    )
