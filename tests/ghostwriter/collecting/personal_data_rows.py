# ruff: noqa: E501 (tables of texts)
"""Seeded rows with and without personal data, in Chinese and English, each with the exact pieces that are personal."""

import random
from collections.abc import Callable
from dataclasses import dataclass

WEIGHTS, CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"


@dataclass(frozen=True)
class Row:
    """A text, and the personal pieces in it in order."""

    text: str
    personal: tuple[str, ...] = ()


def rows(seed: int, count: int) -> list[Row]:
    """About two thirds of the rows hold personal data; the others hold numbers and names that only look like it."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        if chance.random() < 0.36:
            made.append(Row(_fill(chance, chance.choice(HARMLESS))))
            continue
        piece = chance.choice(list(PERSONAL))
        value = PERSONAL[piece](chance)
        text = _fill(chance, chance.choice(SENTENCES[piece])).replace("@@", value)
        made.append(Row(text, (value,)))
    return made


def _fill(chance: random.Random, template: str) -> str:
    """Digits for each `#`."""
    return "".join(str(chance.randint(1, 9)) if letter == "#" else letter for letter in template)


def _mobile(chance: random.Random) -> str:
    prefix = chance.choice(["130", "135", "138", "139", "147", "150", "157", "166", "177", "186", "188", "191", "198"])
    rest = f"{chance.randint(0, 99_999_999):08d}"
    whole = f"{prefix}{rest}"
    return chance.choice([
        whole, whole, f"+86 {whole}", f"86-{whole}", f"{prefix}-{rest[:4]}-{rest[4:]}", f"{prefix} {rest[:4]} {rest[4:]}", f"{whole[:4]} {whole[4:7]} {whole[7:]}", f"+86{whole}", " ".join(whole),
        whole.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    ])  # fmt: skip


def _phone(chance: random.Random) -> str:
    area, local = chance.choice(["010", "021", "0571", "0755"]), f"{chance.randint(20_000_000, 89_999_999)}"
    us = f"{chance.randint(201, 989)}", f"{chance.randint(200, 999)}", f"{chance.randint(0, 9999):04d}"
    return chance.choice([
        f"{area}-{local}", f"({area}){local}", f"{area} {local[:4]} {local[4:]}", f"400-{local[:3]}-{local[3:7]}",
        f"({us[0]}) {us[1]}-{us[2]}", "-".join(us), f"+1 {us[0]} {us[1]} {us[2]}", f"+44 20 {local[:4]} {local[4:]}", " ".join(us), f"0{local[:2]} {local[2:5]} {local[5:]}", ".".join(us),
    ])  # fmt: skip


def _email(chance: random.Random) -> str:
    name = chance.choice(["zhang.san", "lihua1990", "w_wang", "old-cheng", "j.smith+books", "8848", "mary"])
    host = chance.choice(["qq.com", "163.com", "gmail.com", "mail.tsinghua.edu.cn", "example.co.uk", "outlook.com"])
    return chance.choice(
        [f"{name}@{host}", f"{name}@{host}", f"{name.upper()}@{host}", f"{name}＠{host}", f"{name} (at) {host.split('.')[0]}.com"]
    )


def _id_number(chance: random.Random) -> str:
    region = chance.choice(["110101", "310104", "440305", "330106", "510107", "650102"])
    body = f"{region}{chance.randint(1940, 2015)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{chance.randint(0, 999):03d}"
    body = f"{body[:6]} {body[6:14]} {body[14:]}" if chance.random() < 0.15 else body
    digits = body.replace(" ", "")
    return body + CHECKS[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, digits, strict=True)) % 11]


def _wechat(chance: random.Random) -> str:
    return (
        chance.choice(["laocheng", "zs", "abc", "Bookworm", "lantern"]) + chance.choice(["_", "-", ""]) + f"{chance.randint(1000, 999_999)}"
    )


def _qq(chance: random.Random) -> str:
    return str(chance.randint(10_000, 3_999_999_999))


PERSONAL: dict[str, Callable[[random.Random], str]] = {
    "mobile": _mobile, "phone": _phone, "email": _email, "id": _id_number, "wechat": _wechat, "qq": _qq,
}  # fmt: skip
SENTENCES = {
    "mobile": [
        "有事打我手机@@，晚上别打。",
        "联系人老程，@@",
        "（@@）这是客服，不是我。",
        "Call me at @@ after lunch.",
        "他留了个号码：@@。",
        "电话@@微信同号",
        "my number is @@, ask for Li",
    ],
    "phone": [
        "店里座机 @@，周一休息。",
        "The office is at @@ (ask for Mary).",
        "报名热线：@@",
        "Tel: @@",
        "投诉请拨打@@。",
        "You can reach the keeper on @@, weather permitting.",
    ],
    "email": ["稿子发到@@就行。", "Write to @@, please.", "邮箱：@@", "邮箱@@，三天内回。", "Mail <@@> for the list.", "contact: @@;"],
    "id": ["身份证号@@，别外传。", "He copied 身份证：@@ into the form.", "表上写着 @@ 这一串。", "证件号码：@@。"],
    "wechat": [
        "加我微信：@@",
        "微信号@@，备注来意。",
        "有兴趣的加vx @@ 聊。",
        "My WeChat ID: @@.",
        "VX：@@（非诚勿扰）",
        "wechat is @@ , say hi",
        "私我 微信 @@",
    ],
    "qq": ["QQ：@@，常年在线。", "加QQ群@@讨论。", "我的QQ号是@@。", "qq @@", "扣扣@@，随时。"],
}
HARMLESS = [
    "2019-2023 年我换了 # 份工作。", "订单号 2023######## 早就发货了。", "这本书 ISBN 978-7-###-#####-# 绝版了。", "一斤 #.## 元，#### 斤就是好价钱。",
    "版本 1.2.3.### 修了这个问题。", "房价从 ##### 涨到 #####。", "It costs $#,###.## in 20## money.", "In 19##-19## the lamp burned oil.",
    "他跑了 ##.## 公里，用时 1:0#:##。", "微信支付比现金方便。", "微信 Windows 版又更新了。", "QQ 音乐听了 #### 首。", "QQ 从 1999 年活到现在。",
    "人口 14#### 万，占 ##.#%。", "圆周率 3.14159265358979。", "WeChat is popular in China, WeChat Pay too.", "Meet me at noon, not at 12:##:##.", "坐标 39.9##, 116.3##。",
    "他 @老张 说了一句就走了。", "型号 RTX-4090 和 A100-80G 都试过。", "第 #### 楼的网友说得对。", "身份证要随身带。", "电话打了 3 次都没人接。", "see page ###-### of vol. ##",
    "Keep 1,0##,###,### grains of sand.", "流水号 ####################。", "https://www.zhihu.com/question/#########/answer/##########", "2024年1#月1#日下雨。", "手机 6000 块买的，用了 5 年。",
    "IP 是 192.168.#.###，端口 ####。", "2023-1#-1# 13:4#:1# 记录", "400-800 字就够了，写 ####-#### 字太长。", "时间戳 17########，别当成电话。", "中奖号码 0# 1# 2# 2# 3# 0#。",
    "他的号是 139****####，看不全。", "ISBN 9787#########。", "一年 13800 公里，两年 27600 公里。", "7-11 便利店，24/7 营业。", "Flight CA 1#3# leaves gate ##.", "QQ 群里 500 人，微信群 300 人。",
    "commit 3f2a9b1c4d5e6f70 broke it.", "The 1976 fire cost 12#####  pounds.", "ratio ###:### at 20##-0#-1#",
]  # fmt: skip
