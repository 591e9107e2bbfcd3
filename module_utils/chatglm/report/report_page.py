"""The report as one HTML file that opens anywhere: pure functions from what the callback gathered to text.

Nothing in it loads or runs: the policy in its head allows the one style sheet by its digest and nothing else. All that
comes from outside is escaped by ``esc``, and has been cleaned of secrets by ``clean`` before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from typing import Any, Callable, Iterable  # noqa: UP035

from ansible.module_utils.chatglm.core.version import VERSION
from ansible.module_utils.chatglm.language import translations
from ansible.module_utils.chatglm.language.messages import say
from ansible.module_utils.chatglm.preflight import capacity

Words = Callable[..., str]

GIB = 1024**3
DATA = '<script type="application/json" id="data">'
STYLE = """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1b1f24;--soft:#565e69;--line:#d9dde3;--accent:#1668c1;
--good:#1a7f37;--warn:#8a5a00;--bad:#b42318;--a:#1668c1;--b:#0f8a7e;--c:#a35c00;--d:#7a828d;--free:#e4e8ed}
@media (prefers-color-scheme:dark){:root{--bg:#111418;--card:#1a1e24;--ink:#e7eaee;--soft:#a5adb8;--line:#343b45;
--accent:#74b4ff;--good:#5ac878;--warn:#e3b04b;--bad:#ff8f85;--a:#5aa4f5;--b:#3fbfae;--c:#e0a04c;--d:#8b94a0;--free:#2b323b}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI","Microsoft YaHei",
"PingFang SC","Noto Sans CJK SC",sans-serif}
main,header,footer{max-width:60rem;margin:auto;padding:0 1rem}
header{padding-top:2rem}footer{padding-bottom:2rem}h1{font-size:1.7rem;line-height:1.2;margin:0}
h2{font-size:1.3rem;margin:1.2rem 0 .8rem;overflow-wrap:anywhere}h3{font-size:1.05rem;margin:0 0 .7rem}
p{margin:.4rem 0}.soft,caption,footer{color:var(--soft);font-size:.9rem}
section{background:var(--card);border:1px solid var(--line);border-radius:.7rem;padding:1rem 1.1rem;margin:0 0 1rem}
table{border-collapse:collapse;width:100%}caption{text-align:left;padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-top:1px solid var(--line);
overflow-wrap:anywhere;min-width:4rem}tbody th{min-width:9rem}.facts th,.facts td{min-width:0}
tr:first-child>*{border-top:0}thead th{color:var(--soft);font-size:.85rem;font-weight:600}tbody th{font-weight:500}
thead+tbody tr:first-child>*{border-top:1px solid var(--line)}
.facts th{width:11rem;color:var(--soft);font-weight:400}td.n,th.n{text-align:right;white-space:nowrap;
font-variant-numeric:tabular-nums}td.bar{width:42%;min-width:0;padding-right:0;vertical-align:middle}
code,.mono{font-family:ui-monospace,Consolas,"DejaVu Sans Mono",monospace;font-size:.85em}
.badge{display:inline-block;border:1.5px solid currentColor;border-radius:1rem;padding:0 .6rem;font-size:.85rem;
font-weight:600;white-space:nowrap;vertical-align:middle}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.changed{color:var(--accent)}
a{color:var(--accent)}svg{display:block;width:100%}svg.bar{height:.7rem}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}figure{margin:0 0 1rem;max-width:44rem}
figcaption{color:var(--soft);font-size:.9rem}.rail,.f-free{fill:var(--free)}
.fa,.f-weights{fill:var(--a)}.f-cache{fill:var(--b)}.f-runtime{fill:var(--c)}.f-other{fill:var(--d)}
.curve{fill:none;stroke:var(--a);stroke-width:2.5}.grid{stroke:var(--line)}.limit{stroke:var(--c);stroke-width:1.5;
stroke-dasharray:5 4}.limit.free{stroke:var(--good)}
ul.key{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;margin:.7rem 0 0;font-size:.9rem}
ul.key svg{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.7rem;margin:0 0 1rem;padding:0}
.tiles div{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .8rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums}
blockquote{margin:0 0 1rem;padding:.5rem .9rem;border-left:3px solid var(--accent);overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}
@media (max-width:34rem){body{font-size:15px}.facts th{width:7rem}td.bar{width:26%}th,td{padding-right:.5rem}
.wide thead{display:none}.wide tr{display:block;border-top:1px solid var(--line);padding:.4rem 0}
.wide td,.wide th{display:block;border:0;padding:.1rem 0}.wide tbody tr:first-child>*{border:0}
.wide td[data-label]::before{content:attr(data-label) ": ";color:var(--soft)}.wide tbody th{font-weight:600}
svg text{font-size:17px}}
@media print{body{background:#fff}section{break-inside:avoid}}
"""
POLICY = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
TONE = {
    "ok": "good",
    "same": "good",
    "changed": "changed",
    "would": "changed",
    "failed": "bad",
    "unreachable": "bad",
    "repairable": "warn",
    "yours": "bad",
    "unknown": "soft",
}


def clean(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return ``value`` without credentials in addresses and without ``secrets``, whatever it is made of."""
    if isinstance(value, dict):
        return {clean(str(name), secrets): clean(item, secrets) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item, secrets) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = re.sub(r"(?<=//)[^/@\s]+@", "***@", str(value))
    text = re.sub(r"\bhf_[A-Za-z0-9]{8,}", "***", text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def esc(value: Any) -> str:
    """Return text that is nothing but text in HTML; characters that turn the reading direction are shown as such."""
    text = "-" if value in (None, "") else str(value)
    return escape(re.sub("[\u202a-\u202e\u2066-\u2069\\x00-\\x08\\x0b-\\x1f]", "\ufffd", text), quote=True)


def number(value: Any) -> float:
    """Return ``value`` as a number; 0 if it is none."""
    return (
        float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e18 else 0.0
    )


def seconds(value: Any) -> str:
    """Return a time to read."""
    told = number(value)
    return (
        f"{int(told // 60)} min {int(told % 60)} s"
        if told >= 120
        else f"{told:.1f} s"
        if told >= 1
        else f"{told:.2f} s"
    )


def size(value: Any) -> str:
    """Return a size to read, in units of 1024."""
    told = number(value)
    for unit in ("B", "KB", "MB"):
        if told < 1024:
            return f"{told:.0f} {unit}" if unit == "B" else f"{told:.1f} {unit}"
        told /= 1024
    return f"{told:.1f} GB"


def section(title: str, *parts: str) -> str:
    """Return a card with a heading, or nothing where it would be empty."""
    body = "".join(parts)
    return f"<section><h3>{esc(title)}</h3>{body}</section>\n" if body else ""


def facts(rows: Iterable[tuple[str, Any]]) -> str:
    """Return a table of names and values, without those that are empty."""
    told = [f'<tr><th scope="row">{esc(name)}</th><td>{esc(value)}</td></tr>' for name, value in rows if value]
    return f'<table class="facts"><tbody>{"".join(told)}</tbody></table>' if told else ""


def badge(code: str, text: str) -> str:
    """Return a verdict in its colour."""
    return f'<span class="badge {TONE.get(code, "soft")}">{esc(text)}</span>'


def bar(share: float) -> str:
    """Return a bar of that share of its cell; the figure beside it says the same."""
    width = max(0.6, min(100.0, 100 * share))
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="rail" width="100" height="8"/><rect class="fa" width="{width:.2f}" height="8"/></svg>'
    )


def steps(host: dict[str, Any], words: Words) -> str:
    """Return each step's time as a bar; the quick ones together."""
    told = sorted(host["steps"], key=lambda step: -number(step["seconds"]))
    total = sum(number(step["seconds"]) for step in told)
    shown = [step for step in told if number(step["seconds"]) >= max(0.1, total / 200) or step["outcome"] == "failed"]
    rows = [step for step in host["steps"] if step in shown[:40]]
    rest = total - sum(number(step["seconds"]) for step in rows)
    longest = max([number(step["seconds"]) for step in rows] + [rest, 0.001])
    lines = [
        f'<tr><th scope="row">{esc(": ".join(filter(None, (step["role"], step["name"]))))}'
        + ("" if step["outcome"] == "ok" else " " + badge(step["outcome"], words(f"outcome_{step['outcome']}")))
        + f'</th><td class="n">{seconds(step["seconds"])}</td>'
        f'<td class="bar">{bar(number(step["seconds"]) / longest)}</td></tr>'
        for step in rows
    ]
    if len(told) > len(rows):
        lines.append(
            f'<tr><th scope="row">{esc(words("others", count=len(told) - len(rows)))}</th>'
            f'<td class="n">{seconds(rest)}</td><td class="bar">{bar(rest / longest)}</td></tr>'
        )
    head = f'<th scope="col">{esc(words("step"))}</th><th scope="col" class="n">{esc(words("time"))}</th><td></td>'
    return (
        f"<table><caption>{esc(words('total', seconds=seconds(total)))}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
        if lines
        else ""
    )


def picture(gpu: dict[str, Any], words: Words) -> str:
    """Return the GPU's memory at its fullest as one bar."""
    total, free = number(gpu.get("total")), number(gpu.get("free_before"))
    if not total or free > total:
        return ""
    reserved = min(number(gpu.get("reserved_peak")), free)
    weights = min(float(capacity.weights(capacity.CHATGLM2_6B_INT4)), number(gpu.get("allocated_peak")), reserved)
    runtime = min(max(0.0, free - number(gpu.get("free_after")) - reserved), free - reserved)
    parts = {
        "other": total - free,
        "weights": weights,
        "cache": reserved - weights,
        "runtime": runtime,
        "free": free - reserved - runtime,
    }
    place, drawn, key = 0.0, [], []
    for name, held in parts.items():
        drawn.append(f'<rect class="f-{name}" x="{place:.2f}" width="{600 * held / total:.2f}" height="36"/>')
        place += 600 * held / total
        key.append(
            f'<li><svg viewBox="0 0 8 8" aria-hidden="true"><rect class="f-{name}" width="8" height="8"/></svg>'
            f"{esc(words(f'memory_{name}'))} {size(held)}</li>"
        )
    told = ", ".join(f"{words(f'memory_{name}')} {size(held)}" for name, held in parts.items())
    return (
        f'<svg viewBox="0 0 600 36" role="img" aria-label="{esc(words("memory"))}: {esc(told)}">'
        f"<title>{esc(words('memory'))}</title><desc>{esc(told)}</desc>{''.join(drawn)}</svg>"
        f'<ul class="key">{"".join(key)}</ul>'
    )


def judged(verdict: dict[str, Any], language: str) -> tuple[str, str]:
    """Return a verdict's name and what was found, in words."""
    name, found = str(verdict.get("name") or ""), str(verdict.get("found") or "")
    return (
        (translations.verdict(name), translations.chinese(found, translations.ENOUGH))
        if language == "zh"
        else (name, found)
    )


def proof(host: dict[str, Any], language: str, words: Words) -> str:
    """Return what the smoke test measured and judged."""
    told = host["proof"]
    model, page = told.get("model") or {}, told.get("page") or {}
    if not model:
        return ""
    tiles = [
        ("speed", f"{number(model.get('tokens_per_second')):.1f}" if model.get("tokens_per_second") else ""),
        ("first_token", seconds(model["first_token_seconds"]) if "first_token_seconds" in model else ""),
        ("load", seconds(model["load_seconds"]) if "load_seconds" in model else ""),
        ("page_ready", seconds(page["ready_seconds"]) if "ready_seconds" in page else ""),
        ("ram", size(model["rss_peak"]) if model.get("rss_peak") else ""),
        ("gpu_memory", size(model["gpu"].get("reserved_peak")) if model.get("gpu") else ""),
    ]
    drawn = "".join(f"<div><dt>{esc(words(name))}</dt><dd>{esc(value)}</dd></div>" for name, value in tiles if value)
    passed = {True: badge("ok", words("passed")), False: badge("failed", words("not_passed"))}
    verdicts = [
        [esc(name), passed[bool(verdict.get("ok"))], esc(found)]
        for verdict in told.get("verdicts") or []
        for name, found in [judged(verdict, language)]
    ]
    proven = words("proven", time=told.get("time") or "-", question=told.get("question") or "-")
    return (
        f'<p class="soft">{esc(proven)}</p>'
        f"<blockquote>{esc(model.get('answer'))}</blockquote>"
        f'<dl class="tiles">{drawn}</dl>'
        + picture(model.get("gpu") or {}, words)
        + labelled([words(name) for name in ("check", "verdict", "found")], verdicts)
    )


def chart(gpus: list[dict[str, Any]], words: Words) -> str:
    """Return memory against the length of a conversation, with the card's memory, or that of common cards."""
    card = next((gpu for gpu in gpus if number(gpu.get("memory_total"))), None)
    limits = (
        [
            ("card", number(card["memory_total"])),
            ("free", max(0.0, number(card.get("memory_free")) - capacity.MARGIN)),
        ]
        if card
        else [("", size_of * GIB) for size_of in (4, 6, 8)]
    )
    limits = [(name, held) for name, held in limits if held]
    top = min(max([held / GIB for _, held in limits] + [6.0]), 16.0) + 1
    most = 16384 if top < 9 else capacity.LONGEST
    left, right, low, high = 34, 470, 190, 12

    def x(tokens: float) -> float:
        return left + (right - left) * tokens / most

    def y(held: float) -> float:
        return low - (low - high) * min(held / GIB, top) / top

    points = [(tokens, capacity.conversation(max(1, tokens)).total) for tokens in range(0, most + 1, most // 32)]
    drawn = [f"{x(tokens):.1f},{y(held):.1f}" for tokens, held in points if held / GIB <= top]
    step = 1 if top <= 9 else 2
    grid = "".join(
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y(n * GIB):.1f}" y2="{y(n * GIB):.1f}"/>'
        f'<text x="{left - 6}" y="{y(n * GIB) + 4:.1f}" text-anchor="end">{n}</text>'
        for n in range(0, int(top) + 1, step)
    ) + "".join(
        f'<text x="{x(most * n / 4):.1f}" y="{low + 17}" text-anchor="{"end" if n == 4 else "middle"}">'
        f"{most * n // 4}</text>"
        for n in range(5)
    )
    marks = "".join(
        f'<line class="limit {name}" x1="{left}" x2="{right}" y1="{y(held):.1f}" y2="{y(held):.1f}"/>'
        f'<text x="{left + 6 if card else right}" y="{y(held) - 5:.1f}" text-anchor="{"start" if card else "end"}">'
        f"{esc(words('limit_' + name)) + ' ' if name else ''}{size(held)}</text>"
        for name, held in limits
        if held / GIB <= top
    )
    held_at = "; ".join(f"{tokens}: {size(held)}" for tokens, held in points[::8])
    return (
        f"<figure><figcaption>{esc(words('chart'))}</figcaption>"
        f'<svg viewBox="0 0 480 215" role="img" aria-label="{esc(words("chart"))}"><title>{esc(words("chart"))}</title>'
        f'<desc>{esc(held_at)}</desc>{grid}<polyline class="curve" points="{" ".join(drawn)}"/>{marks}'
        "</svg></figure>"
    )


def labelled(heads: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table whose rows are stacked on a phone, each cell behind its column's name; cells are HTML."""
    head = "".join(f'<th scope="col">{esc(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td data-label="{esc(name)}">{cell}</td>' for name, cell in zip(heads[1:], row[1:]))  # noqa: B905
        + "</tr>"
        for row in rows
    )
    return f'<table class="wide"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>' if body else ""


def holds(gpus: list[dict[str, Any]], language: str, words: Words) -> str:
    """Return the chart, and the same as a table for reading."""
    cards = [capacity.judge(gpu) for gpu in gpus] + capacity.comparison()
    heads = [say(language, f"capacity.{name}") for name in capacity.COLUMNS]
    table = labelled(heads, ([esc(cell) for cell in capacity.row(card, language)] for card in cards))
    return f'{chart(gpus, words)}{table}<p class="soft">{esc(capacity.terms(language))}</p>'


def doctor(found: dict[str, Any], words: Words) -> str:
    """Return the doctor's verdicts: what is not ok in full, the rest by name."""
    checks = [check for check in found.get("checks") or [] if check.get("applies", True)]
    if not checks:
        return ""
    bad = [check for check in checks if check["verdict"] != "ok" and not check.get("skipped_by")]
    heads = [words(name) for name in ("check", "verdict", "found", "cause", "remedy")]
    rows = [
        [
            f'<span class="mono">{esc(check["code"])}</span>',
            badge(check["verdict"], words("doctor_" + check["verdict"])),
            *(esc(check.get(name)) for name in ("evidence", "cause", "remedy")),
        ]
        for check in bad
    ]
    good = ", ".join(check["code"] for check in checks if check["verdict"] == "ok")
    return (
        labelled(heads, rows) + f'<p>{badge("ok", words("doctor_ok"))} <span class="mono">{esc(good)}</span></p>'
        f'<p class="soft">{esc(words("doctor_time", time=found.get("time") or "-"))}</p>'
    )


def plan(host: dict[str, Any], words: Words) -> str:
    """Return the host and what was planned for it."""
    seen, planned = host["facts"], host["plan"]
    memory, disk, gpu = seen.get("memory") or {}, seen.get("disk") or {}, planned.get("gpu") or {}
    python = planned.get("python") or {}
    whose = words("brought") + ", " if python.get("source") == "managed" else ""
    shown = [gpu] if gpu else seen.get("gpus") or []
    wsl = f", WSL {seen['wsl']}" if seen.get("wsl") else ""
    return facts(
        [
            (words("system"), f"{(seen.get('distribution') or {}).get('name', '')}{wsl}" if seen else ""),
            (words("kernel"), seen.get("kernel")),
            (words("ram_total"), size(memory["total"]) if memory.get("total") else ""),
            (words("disk"), words("disk_free", free=size(disk["free"])) if disk.get("free") else ""),
            (words("device"), planned.get("device")),
            *(
                (
                    words("gpu"),
                    f"{card.get('name')}, {size(card.get('memory_total'))}, sm {card.get('capability') or '?'}",
                )
                for card in shown
            ),
            (words("driver"), (seen.get("nvidia") or {}).get("driver")),
            (
                "Python",
                f"{python.get('release') or python.get('version', '')} ({whose}{python.get('path', '')})"
                if python
                else "",
            ),
            ("torch", planned.get("torch")),
            ("transformers", planned.get("transformers")),
            (words("engine"), planned.get("engine")),
        ]
    )


def host_part(name: str, host: dict[str, Any], language: str, words: Words) -> str:
    """Return all that is to say of one host."""
    told = []
    for line in host["lines"]:
        key, value = line[:10].strip(), line[10:].strip()
        link = (
            f'<a href="{esc(value)}">{esc(value)}</a>' if re.fullmatch(r"https?://[\w.:\[\]/-]+", value) else esc(value)
        )
        told.append(f'<tr><th scope="row">{esc(key) if key else ""}</th><td>{link}</td></tr>')
    summary = f'<table class="facts"><tbody>{"".join(told)}</tbody></table>' if told else ""
    failure = f"<pre>{esc(host['failure'])}</pre>" if host["failure"] else ""
    earlier = f'<p class="soft">{esc(words("earlier", time=host["since"]))}</p>' if host.get("since") else ""
    return (
        f"<h2>{esc(name)} {badge(host['outcome'], words('outcome_' + host['outcome']))}</h2>\n{earlier}"
        + section(words("summary"), summary)
        + section(words("failure"), failure)
        + section(words("plan"), plan(host, words))
        + section(words("steps"), steps(host, words))
        + section(words("proof"), proof(host, language, words))
        + section(words("holds"), holds(host["facts"].get("gpus") or [], language, words) if host["facts"] else "")
        + section(words("versions"), facts(sorted(host["versions"].items())))
        + section(words("digests"), facts((words(f"digest_{name}"), value) for name, value in host["digests"].items()))
        + section(words("doctor"), doctor(host["doctor"], words))
    )


def page(data: dict[str, Any], language: str) -> str:
    """Return the report.

    Args:
        data: time, command, hosts by name; see callback_plugins/report.py. Must be clean of secrets.
        language: en or zh.

    """

    def words(code: str, **values: Any) -> str:
        return str(say(language, f"report.{code}", **values))

    kept = json.dumps({**data, "version": VERSION}, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")
    parts = "".join(host_part(name, host, language, words) for name, host in sorted(data["hosts"].items()))
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-CN" if language == "zh" else "en"}">\n<head>\n<meta charset="utf-8">\n'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{POLICY}'; "
        "base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{esc(words('title'))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{esc(words("title"))}</h1><p class="soft">{esc(words("made", time=data["time"]))}</p></header>\n'
        f"<main>\n{parts}</main>\n<footer>{esc(words('footer', version=VERSION))}</footer>\n"
        f"{DATA}{kept}</script>\n</body>\n</html>\n"
    )


def earlier(text: str) -> dict[str, Any]:
    """Return the hosts that an earlier report tells of, from its text; none where that is not to be understood."""
    begin, end = text.find(DATA), text.rfind("</script>")
    try:
        hosts = json.loads(text[begin + len(DATA) : end])["hosts"] if begin >= 0 else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return {
        name: host
        for name, host in (hosts.items() if isinstance(hosts, dict) else ())
        if isinstance(host, dict) and host.keys() == blank().keys()
    }


def blank() -> dict[str, Any]:
    """Return a host of which nothing is known yet."""
    return {
        "time": "",
        "since": "",
        "outcome": "ok",
        "lines": [],
        "failure": "",
        "facts": {},
        "plan": {},
        "roles": [],
        "steps": [],
        "proof": {},
        "versions": {},
        "digests": {},
        "doctor": {},
    }
