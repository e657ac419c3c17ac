"""The page's words in Chinese, by the English ones in its templates; which language a browser asks for; the templates of each."""

from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader

from ghostwriter.judging.measure_names import measure_name

Tongue = Literal["en", "zh"]
ZH = {
    "Nothing has run yet. Switch %(dag)s on and trigger it, or wait for the night.": ("还没有运行过。请打开并触发 %(dag)s，或等到夜里。"),
    "Champion": "冠军（正在使用的模型）",
    "version %(number)s": "版本 %(number)s",
    "since %(time)s": "自 %(time)s 起",
    "moved by hand in MLflow": "在 MLflow 中手动更改",
    "not known now": "暂时未知",
    "none yet": "还没有",
    "Answers in the archive": "存档的回答",
    ", %(number)s of them gone from the site": "，其中 %(number)s 个已从网站消失",
    "Spent on the teacher this month": "本月教师花费",
    "of %(month)s": "，每月上限 %(month)s",
    "(cap of a run: %(cap)s)": "（每次运行上限：%(cap)s）",
    "The last night cost": "昨夜花费",
    "Next run": "下次运行",
    "late: an earlier run is in its way, or Airflow's scheduler is away": "已迟：前一次运行未结束，或 Airflow 调度器不在",
    "Late: it was to be done by %(time)s.": "已迟：应在 %(time)s 前完成。",
    "switched off": "已关闭",
    "only by hand": "仅手动",
    "Night by night": "逐夜变化",
    "a candidate that became the champion": "成为冠军的候选",
    "one that did not; the bar is its 95 %% interval. The line is the champion, as it was scored when it became that.": (
        "未成为冠军的候选；竖线为 95%% 置信区间。折线是冠军，取其成为冠军时的分数。"
    ),
    "How the champion answers": "冠军这样回答",
    "Last runs": "最近的运行",
    "Collect": "收集",
    "Distil": "蒸馏",
    "Train and judge": "训练与裁决",
    "Version %(one)s against version %(other)s": "版本 %(one)s 与版本 %(other)s",
    "Version %(one)s against the base": "版本 %(one)s 与原模型",
    "On the same held-out questions": "同一批留出问题",
    "base": "原模型",
    "All measures, versions and moves in MLflow": "MLflow 中的全部指标、版本与变动",
    "Compare two versions": "比较两个版本",
    "Datasets": "数据集",
    "Train on it": "用它训练",
    "Compare arms on it": "用它比较各组",
    "Snapshots of answers": "回答快照",
    "Distil it": "用它蒸馏",
    "The newest first; any can be started on again": "最新的在前；每一个都可以再次使用",
    "%(number)s rows": "%(number)s 行",
    "the newest": "最新",
    "trained on": "已训练",
    "Version": "版本",
    "beside": "对照",
    "Show their answers": "显示回答",
    "There is no writer you may see. Write a file in writers/ (the README shows how); Airflow reads it within a minute.": (
        "没有你可以查看的作者。请在 writers/ 中写一个文件（见 README），Airflow 会在一分钟内读到。"
    ),
    "Versions %(one)s and %(other)s of %(writer)s": "%(writer)s：版本 %(one)s 与 %(other)s",
    "All writers": "全部作者",
    "%(writer)s: versions %(one)s and %(other)s": "%(writer)s：版本 %(one)s 与 %(other)s",
    "Questions %(first)s to %(last)s of %(total)s that both versions were examined on. Nobody was trained on them.": (
        "两个版本都回答过的 %(total)s 个问题中的第 %(first)s 至 %(last)s 个；没有用它们训练。"
    ),
    "MLflow has no questions that both versions answered: their samples were deleted, or no held-out question is in both.": (
        "MLflow 中没有两个版本都回答过的问题：样本已删除，或没有共同的留出问题。"
    ),
    "The same answer.": "回答相同。",
    "Earlier questions": "前面的问题",
    "Further questions": "后面的问题",
    "Talk to it": "与它对话",
    "Talk to %(writer)s's model": "与%(writer)s的模型对话",
    "A model that imitates a person's voice answers here, not %(writer)s. What it says may be wrong, and the person never said it: "
    "do not pass it on as theirs.": (
        "在这里回答的是模仿一个人口吻的模型，不是%(writer)s本人。它说的可能有误，本人也从未说过：请勿当作本人的话转述。"
    ),
    "Chats are kept for %(days)s days: the writer file says so. So are votes, with both answers.": (
        "对话保存 %(days)s 天（作者文件如此设置），投票连同两个回答也一样。"
    ),
    "Chats are not kept. A vote is: with both answers, what was asked and your name, for %(days)s days.": (
        "对话不保存。投票会保存 %(days)s 天：包括两个回答、所问内容和你的名字。"
    ),
    "Nothing answers at %(url)s, so nobody answers here. Start the gateway with .venv/bin/python -m ghostwriter serve (make serve), "
    "then load this page again.": (
        "%(url)s 没有响应，所以这里无法回答。请用 .venv/bin/python -m ghostwriter serve（make serve）启动网关，然后刷新本页。"
    ),
    "This page needs JavaScript: answers are shown as they are written.": "本页需要 JavaScript：回答边生成边显示。",
    "You": "你",
    "champion": "冠军",
    "previous champion": "前任冠军",
    "Answer %(letter)s": "回答 %(letter)s",
    "Stopped.": "已停止。",
    "Cut off at the longest answer allowed.": "已达回答长度上限，被截断。",
    "Waiting for the first words ...": "等待开头……",
    "You are no longer logged in. Load this page again.": "登录已失效，请刷新本页。",
    "The connection broke. Ask again.": "连接中断，请再问一次。",
    "Choose two different versions.": "请选择两个不同的版本。",
    "Your vote is kept.": "投票已保存。",
    "Talk to one": "与一个对话",
    "Compare two blindly": "盲比两个",
    "Questions nobody was trained on": "没有用于训练的问题",
    "Votes on these count below, and are never trained on.": "对这些问题的投票计入下面的统计，但绝不用于训练。",
    "Your question": "你的问题",
    "Send": "发送",
    "Stop": "停止",
    "Another answer": "换一个回答",
    "New chat": "新对话",
    "A is better": "A 更好",
    "B is better": "B 更好",
    "Equally good": "一样好",
    "Both bad": "都不好",
    "Champion against the previous one": "冠军与前任",
    "In %(votes)s blind votes the champion was preferred %(share)s %% of the time, undecided votes counting half "
    "(95 %% interval: %(low)s to %(high)s %%).": (
        "在 %(votes)s 次盲投中，冠军获选 %(share)s%%，未分高下各计一半（95%% 置信区间：%(low)s 至 %(high)s%%）。"
    ),
    "Won %(wins)s, undecided %(undecided)s, lost %(losses)s.": "胜 %(wins)s，未分高下 %(undecided)s，负 %(losses)s。",
    "A share is given from %(least)s votes on.": "满 %(least)s 票后给出比例。",
    "What it would tell is missing below; the rest is current.": "下面缺少相应内容，其余是最新的。",
}
ZH_MEASURES = {
    "heldout_loss": "对作者真实回答的意外程度（损失，nats/词元，越低越好）",
    "style": "像不像作者（0：像别人，1：像作者）",
    "rep4": "重复（四词片段的比例）",
    "length_ratio": "长度与作者之比",
    "ability": "其他任务答对",
    "verbatim_share": "照抄训练文本",
    "turing_share": "被读者当作作者（0.5：分不出来）",
}


def tongue_of(accepted: str) -> Tongue:
    """Chinese for a browser whose first language that is, by its Accept-Language header; else English."""
    return "zh" if accepted.strip().lower().startswith("zh") else "en"


def measure_in(tongue: Tongue, measure: str) -> str:
    """A measure in words of the language."""
    words = measure_name(measure)
    return ZH_MEASURES.get(measure.removesuffix("_nats_per_token"), words) if tongue == "zh" else words


def make_templates(tongue: Tongue) -> Environment:
    """The templates in one language. Everything that is filled in is escaped."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"]
    )
    known = ZH if tongue == "zh" else {}

    def gettext(text: str) -> str:
        return known.get(text, text)

    def ngettext(one: str, several: str, number: int) -> str:
        return gettext(one if number == 1 else several)

    environment.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["words"] = lambda measure: measure_in(tongue, measure)
    environment.globals["language"] = {"en": "en", "zh": "zh-CN"}[tongue]
    return environment
