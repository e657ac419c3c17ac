# ruff: noqa: E501 (tables of texts)
"""HTML to text, to the table of the site's markup; expected texts written out."""

import time
from pathlib import Path

import pytest

from ghostwriter.collecting.clean import clean, excerpt_matches, prose

FIXTURES = Path(__file__).parent / "zhihu"

MARKUP = [
    ("paragraphs", '<p data-pid="a">一。</p><p data-pid="b">二！</p>', "一。\n二！"),
    ("paid paragraphs", "<p>一</p>\n<p>二</p>\n", "一\n二"),
    ("blank lines", '<p>一</p><p class="ztext-empty-paragraph"><br/></p><p class="ztext-empty-paragraph"><br/></p><p>二</p>', "一\n\n二"),
    ("line breaks", "一<br>二<br/>\n三", "一\n二\n三"),
    ("raw breaks", "<p>中\n文，\n字 a\nb</p>", "中文，字 a b"),
    ("emphasis", "<p>一<b>二</b><i>三</i><u>四</u></p><h2>题</h2><hr><p>五</p>", "一二三四\n题\n---\n五"),
    ("quote", '<blockquote data-pid="a">一<br>二</blockquote><p>三</p>', "> 一\n> 二\n三"),
    ("lists", "<ul><li>一</li><ul><li>二</li></ul><li>三</li></ul><ol><li>甲</li><li>乙</li></ol>", "- 一\n  - 二\n- 三\n1. 甲\n2. 乙"),
    (
        "lazy picture, twice",
        '<figure data-size="normal"><noscript><img src="https://pic1.zhimg.com/v2-a_720w.jpg" data-original="https://pic1.zhimg.com/v2-a_r.jpg"></noscript>'
        '<img class="lazy" src="data:image/svg+xml;utf8,&lt;svg&gt;" data-original="https://pic1.zhimg.com/v2-a_r.jpg"></figure>',
        "![](https://pic1.zhimg.com/v2-a_r.jpg)",
    ),
    ("picture without noscript", '<figure><img src="https://p/a.jpg" data-actualsrc="https://p/b.jpg"></figure>', "![](https://p/b.jpg)"),
    ("picture in noscript alone", '<figure><noscript><img src="https://p/a.jpg"></noscript></figure>', "![](https://p/a.jpg)"),
    ("picture without an address", '<p>一</p><img src="data:image/gif;base64,AA">', "一\n[图片]"),
    ("caption", '<figure><img src="https://p/a.jpg" alt="图说"><figcaption>图说</figcaption></figure><p>二</p>', "![](https://p/a.jpg)\n图说\n二"),
    ("bare caption", '<figure><img src="https://p/a.jpg" alt="图说"></figure>图说\n<p>二</p>', "![](https://p/a.jpg)\n图说\n二"),
    ("caption twice", '<figure><img src="https://p/a.jpg"><figcaption>图说</figcaption></figure>图说\n<p>二</p>', "![](https://p/a.jpg)\n图说\n二"),
    ("equation", '<p>由<img eeimg="1" src="https://www.zhihu.com/equation?tex=x" alt="x^2">得</p>', "由$x^2$得"),
    ("equation block", '<p><img eeimg="2" src="https://www.zhihu.com/equation?tex=x" alt="a=b\\\\"></p>', "$a=b$"),
    ("equation of a page", '<span class="ztext-math" data-tex="y_1"><span>junk</span></span>', "$y_1$"),
    (
        "code",
        '<div class="highlight"><pre><code class="language-python"><span class="k">def</span> f():\n    return 1\n\n\n    # end\n</code></pre></div>',
        "```python\ndef f():\n    return 1\n\n\n    # end\n```",
    ),
    ("code with fences", '<pre lang="md">````\nx</pre>', "`````md\n````\nx\n`````"),
    ("inline code", "<p>用 <code>a`b</code> 写</p>", "用 `` a`b `` 写"),
    ("outbound link", '<a class=" wrap external" href="https://link.zhihu.com/?target=https%3A//a.com/x%3Fy%3D1">此文</a>', "[此文](https://a.com/x?y=1)"),
    ("outbound link, http", '<a href="http://link.zhihu.com/?target=http%3A//a.com">此文</a>', "[此文](http://a.com)"),
    (
        "shortened address",
        '<a class=" external" href="https://link.zhihu.com/?target=https%3A//a.com/b%3Fx"><span class="invisible">https://</span>'
        '<span class="visible">a.com/b?</span><span class="invisible">x</span><span class="ellipsis"></span></a>',
        "https://a.com/b?x",
    ),
    ("link with brackets", '<a href="https://a.com/x_(y)">看[1]</a>', "[看(1)](https://a.com/x_%28y%29)"),
    ("unsafe link", '<a href="javascript:alert(1)">点我</a>', "点我"),
    ("inner link", '<a class="internal" href="https://www.zhihu.com/question/1">问题</a>', "问题"),
    ("mention and search word", '<a class="member_mention" data-hash="ab">@某人</a><a class="RichContent-EntityWord">词<svg><path d=""/></svg></a>', "@某人词"),
    ("search word with its address", '<a class="RichContent-EntityWord" href="https://www.zhihu.com/search?q=x">词</a>', "词"),
    ("attachment with its address", '<a data-draft-type="file-link-card" href="https://x/f">表.pdf</a>', "表.pdf"),
    ("empty cell", "<table><tr><td>1</td><td>2</td></tr><tr><td></td><td>3</td></tr></table>", "1 | 2\n | 3"),
    ("leading noscript", "<noscript><img src='https://p/a.jpg'></noscript><img data-original='https://p/r.jpg'>", "![](https://p/r.jpg)"),
    ("link card", '<a data-draft-type="link-card" href="https://a.com">标题</a>', "标题"),
    ("link card without a title", '<a data-draft-type="link-card" data-text="文字" href="https://a.com"></a>', "文字"),
    (
        "link card of a page",
        '<div class="RichText-LinkCardContainer"><a class="LinkCard" href="https://a.com"><span class="LinkCard-title">题</span>'
        '<span class="LinkCard-desc">述</span></a></div>',
        "题",
    ),
    ("advert", '<p>一</p><a data-draft-type="mcn-link-card" data-mcn-id="1"></a>', "一"),
    ("attachment", '<a data-draft-type="file-link-card" data-file-id="1">表.xlsx</a>', "表.xlsx"),
    ("video", '<p>看</p><a class="video-box" data-lens-id="1"><img class="thumbnail" src="https://p/t.jpg"/><span class="url">https://v/1</span></a>', "看\n[视频]"),
    ("footnote", '<p>一<sup data-draft-type="reference" data-numero="1">[1]</sup>二 H<sub>2</sub>O m<sup>2</sup></p>', "一二 H2O m2"),
    ("table", '<table data-draft-type="table"><tbody><tr><th>甲</th><th>乙</th></tr><tr><td>1</td><td>2</td></tr></tbody></table>', "甲 | 乙\n1 | 2"),
    ("unclosed tags", "<p>一<p>二<b>三<div>四", "一\n二三\n四"),
    ("double escapes are decoded once", "<p>&amp;lt;b&amp;gt; &lt;i&gt;</p>", "&lt;b&gt; <i>"),
    ("stickers", "<p>[捂脸]好吧</p>", "[捂脸]好吧"),
    ("scripts", "<style>p{}</style><script>alert(1)</script><p>一</p><!-- 注 -->", "一"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "text"), [(html, text) for _, html, text in MARKUP], ids=[name for name, _, _ in MARKUP])
def test_markup(html: str, text: str) -> None:
    assert clean(html).text == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("ＡＢＣ！①㎡，。", "ＡＢＣ！①㎡，。"),
        ("a\u200bb\u2060c\ufeffd\u00ade\u202ef\x07", "abcdef"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f 中\u200d文", "👨\u200d👩\u200d👧 ❤\ufe0f 中文"),
        ("a\u00a0b\u2009c", "a b c"),
        ("\u3000\u3000段首，中\u3000间\u3000\u3000", "段首，中\u3000间"),
        ("a\u2028b\u2029c\r\nd", "a\nb\nc\nd"),
        ("半\ud83d个\x00", "半\ufffd个"),
    ],
)
def test_characters(raw: str, text: str) -> None:
    assert clean(raw, "text").text == text


def test_plain_text_keeps_its_lines() -> None:
    assert clean("一\n\n\n\n二 <b>\n", "text").text == "一\n\n二 <b>"


def test_real_answers_become_text() -> None:
    cleaned = clean((FIXTURES / "answer_with_pic_and_card.redacted.html").read_text(encoding="utf-8"))
    assert cleaned.counts == {"pictures": 2, "noscript_dropped": 2, "adverts_dropped": 2, "links": 1}
    assert "data:" not in cleaned.text
    assert cleaned.text.count("v2-ed4bc18d6c5471f8571085266717b582") == 1
    assert "《是刎颈之交》" in cleaned.text
    assert "[梦忆愁恨衣服之裙](https://example.com/a2c153)" in cleaned.text
    assert "link.zhihu.com" not in cleaned.text
    assert len(clean((FIXTURES / "answer_basic.redacted.html").read_text(encoding="utf-8")).text.splitlines()) == 21


@pytest.mark.parametrize(
    ("html", "flag"),
    [
        ("<p>字</p><img src='https://p/a.jpg'>", None),
        ("<img src='https://p/a.jpg'><p> </p>", "image_only"),
        ("<video data-zvideo-id='1'></video>", "video_only"),
        ("<p><br></p>", "empty_content"),
        ("", "empty_content"),
    ],
)
def test_texts_without_words_are_flagged(html: str, flag: str | None) -> None:
    assert clean(html).media_only == flag


def test_prose_leaves_words_only_and_counts() -> None:
    words = prose("看图：\n![](https://p/a.jpg)\n[此文](https://a.com/x)不错\n[视频]")
    assert words.text == "看图：\n\n此文不错"
    assert words.counts == {"pictures_removed": 1, "link_targets_removed": 1, "videos_removed": 1}


@pytest.mark.parametrize(
    ("html", "excerpt", "matches"),
    [
        ("<p>第一段。</p><p>第二段。</p>", "第一段。 第二…", True),
        ("<ol><li>甲</li><li>乙</li></ol>", "甲 乙", True),
        ("<p>见<a href='https://a.com'>此文</a></p><img src='https://p/a.jpg'><p>完</p>", "见此文 [图片] 完", True),
        ("<p>由<img eeimg='1' alt='x'>得</p>", "由[公式]得", True),
        ("<p>别的</p>", "第一段。", False),
        ("<p>别的</p>", "", None),
        ("<p>别的</p>", "[图片]", None),
    ],
)
def test_the_excerpt_checks_the_cleaner(html: str, excerpt: str, matches: bool | None) -> None:
    assert excerpt_matches(clean(html).text, excerpt) is matches


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 200_000 + "底",
        "<ul><li>" * 50_000 + "底",
        "<blockquote>" * 900 + "底" + "<p>底</p>" * 20_000,
        "<ol>" + "<li>底" * 50_000,
        "<figure>" + "<noscript></noscript>底" * 20_000,
        "".join(f"<b a={number}>" for number in range(3_000)) + "<p>底</p>" * 3_000,
        "<a href=x>" * 20_000 + "底",
        "<" * 200_000 + "底",
        "底" + "&" * 200_000,
        "<table><tr><td>" * 900 + "底",
        "<code>" * 900 + "底\n" * 10_000,
        "<p " + " ".join(f"a{number}=1" for number in range(100_000)) + ">底</p>",
    ],
)
def test_html_bombs_are_read(html: str) -> None:
    began = time.process_time()
    assert "底" in clean(html).text
    assert time.process_time() - began < 60, "not a speed limit: a bomb would take hours"
