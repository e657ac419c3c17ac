"""From the archive to the snapshot a model learns from: what is dropped, what is changed, and that both are counted."""

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.collect import collect
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.writer import Writer
from tests.zhihu_site import COOKIE, FaultySite, Json, answer

STORY = "<p>第一个冬天我在北桥卖豆腐，手冻得握不住刀，老周借我一副手套，一借就是三年，后来他走了，手套我还留着。</p>"
LINKED = '<p>电话13912345678，邮箱 a@b.com，见<a class="external" href="https://a.com/x">此文</a>。</p><img src="https://p/a.jpg">'


def archive(writer: Writer, home: Home, items: list[Json]) -> None:
    with FaultySite(items) as site:
        collect(writer, home, cookie=COOKIE, site=site.url, pace=0)


def items() -> list[Json]:
    return [
        answer(14, answer_type="paid"),
        answer(13, paid_info={"type": "paid_column"}),
        answer(12, content_need_truncated=True),
        answer(11, is_collapsed=True),
        answer(10, author={"id": "f" * 32, "url_token": "somebody"}),
        answer(9, content='<img src="https://p/a.jpg">'),
        answer(8, content=""),
        answer(7, question=None),
        answer(6, reshipment_settings="disallowed", content="<p>别转载这一篇，谢谢。</p>"),
        answer(5, reshipment_settings="need_payment", content="<p>付了钱就可以转载这一篇。</p>"),
        answer(4, content=STORY, excerpt=""),
        answer(3, content=STORY.replace("三年", "四年"), excerpt=""),
        answer(2, content=LINKED, excerpt="对不上的摘要"),
        answer(1, content="<p>收摊\u200b了。</p>", excerpt="收摊了。"),
    ]


def test_paid_forbidden_and_flawed_answers_are_left_out_and_counted(writer: Writer, home: Home) -> None:
    archive(writer, home, items())
    folder = snapshot_answers(writer, home)
    manifest = read_manifest(folder)
    assert folder.parent == home.answers("laocheng")
    assert manifest.kind == "answers"
    assert manifest.dropped == {
        "collapsed": 1,
        "empty_content": 1,
        "foreign_author": 1,
        "image_only": 1,
        "near_duplicate": 1,
        "no_repost": 1,
        "paid": 2,
        "question_unavailable": 1,
        "reuse_needs_payment": 1,
        "truncated": 1,
    }
    assert manifest.facts["changed"] == {
        "excerpt_mismatches": 1,
        "invisible_characters_removed": 1,
        "link_targets_removed": 1,
        "links": 1,
        "masked_email": 1,
        "masked_phone": 1,
        "pictures": 1,
        "pictures_removed": 1,
    }
    assert [row["id"] for row in read_rows(folder, "answers.jsonl")] == ["2000000003", "2000000002", "2000000001"]


def test_a_row_has_the_cleaned_masked_words(writer: Writer, home: Home) -> None:
    archive(writer, home, items())
    row = read_rows(snapshot_answers(writer, home), "answers.jsonl")[1]
    assert row == {
        "id": "2000000002",
        "question_id": "600000002",
        "question": "第 2 个问题？",
        "text": "电话[phone]，邮箱 [email]，见此文。",
        "created": "2025-10-09T10:53:20+00:00",
        "updated": "2025-10-09T10:53:20+00:00",
        "reuse": "allowed",
        "url": "https://www.zhihu.com/question/600000002/answer/2000000002",
    }


def test_with_the_writers_consent_forbidden_reuse_is_trained_on(writer: Writer, home: Home) -> None:
    archive(writer, home, items())
    agreed = writer.model_copy(update={"source": writer.source.model_copy(update={"consent": True})})
    folder = snapshot_answers(agreed, home)
    assert {"2000000005", "2000000006"} <= {row["id"] for row in read_rows(folder, "answers.jsonl")}
    assert not {"no_repost", "reuse_needs_payment"} & set(read_manifest(folder).dropped)


def test_the_same_answers_give_the_same_folder(writer: Writer, home: Home) -> None:
    archive(writer, home, items())
    assert snapshot_answers(writer, home) == snapshot_answers(writer, home)


def test_a_gone_answer_is_left_out(writer: Writer, home: Home) -> None:
    archive(writer, home, [answer(2, content=STORY), answer(1)])
    archive(writer, home, [answer(1)])
    folder = snapshot_answers(writer, home)
    assert [row["id"] for row in read_rows(folder, "answers.jsonl")] == ["2000000001"]
    assert read_manifest(folder).dropped == {"gone": 1}
