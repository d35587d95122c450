"""One self-contained HTML page that tells what a demo run did: pictures as inline SVG, no scripts, no network.

`render(story)` takes the dict that story.py collects; every number on the page comes from the run.
"""

import html
import json

CSS = """
:root{--ink:#1d2528;--soft:#5d6b70;--line:#d9dfe1;--paper:#fbfbf9;--card:#fff;--stone:#2f6f73;--lie:#b3402f;--gold:#a8791c}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaea;--soft:#9aa7ab;--line:#344045;--paper:#14191b;--card:#1b2225;
--stone:#6fb8bc;--lie:#e8806f;--gold:#d9ab4f}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:40px 24px 80px}h1{font-size:30px;margin:0 0 4px}h2{font-size:20px;margin:44px 0 10px}
p{margin:6px 0;max-width:72ch}.soft{color:var(--soft)}.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px;margin:12px 0;overflow-x:auto}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px}.facts div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px}
.facts b{display:block;font-size:24px;font-variant-numeric:tabular-nums}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:5px 10px;text-align:left;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}code,pre{font:13px/1.5 ui-monospace,monospace}
pre{white-space:pre-wrap;word-break:break-all;margin:8px 0 0}details{border-bottom:1px solid var(--line);padding:8px 0}summary{cursor:pointer}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}svg .ink{fill:var(--ink)}.lie{color:var(--lie)}.stone{color:var(--stone)}
"""


def esc(value):
    return html.escape(str(value))


def crn(pebbles):
    return f"{int(pebbles) / 1_000_000:,.6f}".rstrip("0").rstrip(".")


def loss_chart(curves, width=900, height=280):
    """curves: [(label, css colour variable, [loss a step])]. A thin line is every step, the thick one its running mean."""
    points = [v for _, _, values in curves for v in values]
    if not points:
        return "<p class=soft>no losses recorded</p>"
    top, steps = max(points), max(len(values) for _, _, values in curves)
    left, right, above, below = 46, 12, 14, 30
    x = lambda i: left + (width - left - right) * i / max(1, steps - 1)
    y = lambda v: above + (height - above - below) * (1 - v / top)
    out = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="loss per step" width="100%">']
    for k in range(5):
        value = top * k / 4
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="var(--line)"/>'
                   f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for k in range(6):
        step = round((steps - 1) * k / 5)
        out.append(f'<text x="{x(step):.1f}" y="{height - 8}" text-anchor="middle">{step}</text>')
    for row, (label, colour, values) in enumerate(curves):
        raw = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
        mean, smooth = values[0], []
        for v in values:
            mean += (v - mean) * 0.2
            smooth.append(mean)
        line = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(smooth))
        out.append(f'<polyline points="{raw}" fill="none" stroke="var({colour})" stroke-opacity=".25"/>'
                   f'<polyline points="{line}" fill="none" stroke="var({colour})" stroke-width="2"/>'
                   f'<rect x="{width - 250}" y="{above + 8 + row * 20}" width="14" height="4" fill="var({colour})"/>'
                   f'<text class="ink" x="{width - 230}" y="{above + 14 + row * 20}">{esc(label)}</text>')
    return "".join(out) + "</svg>"


def zoom_chart(levels, width=900):
    """levels: [{"phase", "of", "index", "count"}]: a bar per level, the disputed part marked and opened into the next."""
    row, bar = 58, 20
    height = row * len(levels) + 10
    out = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="the dispute narrows" width="100%">']
    left, span = 170, width - 190
    for k, level in enumerate(levels):
        top = 10 + k * row
        count, index = max(1, level["count"]), level["index"]
        cell = span / count
        size = max(cell, 3)
        start = min(left + cell * index, left + span - size)
        out.append(f'<text class="ink" x="0" y="{top + 14}">{esc(level["phase"])}</text>'
                   f'<text x="0" y="{top + 30}">{index + 1:,} of {count:,}</text>'
                   f'<rect x="{left}" y="{top}" width="{span}" height="{bar}" fill="var(--stone)" fill-opacity=".18" rx="3"/>')
        if count <= 64:
            out += [f'<line x1="{left + cell * i:.1f}" x2="{left + cell * i:.1f}" y1="{top}" y2="{top + bar}" '
                    'stroke="var(--card)"/>' for i in range(1, count)]
        out.append(f'<rect x="{start:.1f}" y="{top}" width="{size:.1f}" height="{bar}" fill="var(--lie)" rx="2"/>')
        if k + 1 < len(levels):
            out.append(f'<path d="M{start:.1f} {top + bar} L{left} {top + row} L{left + span} {top + row} '
                       f'L{start + size:.1f} {top + bar} Z" fill="var(--lie)" fill-opacity=".07"/>')
        out.append(f'<text x="{left}" y="{top + bar + 16}">{esc(level.get("of", ""))}</text>')
    return "".join(out) + "</svg>"


def payment_chart(payments, width=900):
    """payments: [{"from", "to", "pebbles", "what"}]; one bar a payment, its length by the square root of the amount."""
    if not payments:
        return "<p class=soft>nothing was paid</p>"
    most = max(p["pebbles"] for p in payments) or 1
    row = 30
    out = [f'<svg viewBox="0 0 {width} {row * len(payments) + 6}" role="img" aria-label="who paid whom" width="100%">']
    for k, p in enumerate(payments):
        y = 4 + k * row
        size = 4 + 300 * (p["pebbles"] / most) ** 0.5
        colour = "--lie" if "slash" in p["what"] or "burn" in p["what"] else "--gold"
        out.append(f'<text class="ink" x="0" y="{y + 14}">{esc(p["from"])} &#8594; {esc(p["to"])}</text>'
                   f'<rect x="300" y="{y}" width="{size:.1f}" height="18" rx="3" fill="var({colour})" fill-opacity=".75"/>'
                   f'<text x="{308 + size:.1f}" y="{y + 14}">{crn(p["pebbles"])} CRN, {esc(p["what"])}</text>')
    return "".join(out) + "</svg>"


def table(head, rows):
    cells = lambda tag, row: "".join(
        f"<{tag}{' class=n' if isinstance(c, (int, float)) or k else ''}>{esc(c)}</{tag}>" for k, c in enumerate(row))
    return (f"<table><tr>{cells('th', head)}</tr>" + "".join(f"<tr>{cells('td', r)}</tr>" for r in rows) + "</table>")


def render(story):
    s, d = story["summary"], story["dispute"]
    facts = [("held-out accuracy", f"{s['accuracy']:.4f}"), ("training steps", s["steps"]),
             ("submit to result", f"{s['submit_to_result_seconds']:.1f} s"), ("slashed", crn(s["slashed_pebbles"]) + " CRN"),
             ("receipts accepted", s["receipts_verified"]), ("damaged receipts refused", s["tampered_receipts_refused"])]
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
             f"<title>Cairn demo</title><style>{CSS}</style><main><h1>A model was trained, checked and paid for</h1>",
             f"<p class=soft>{esc(story['machine'])} &#183; {esc(story['when'])} &#183; chain {esc(story['genesis'][:16])}</p>",
             "<div class=facts>" + "".join(f"<div><b>{esc(v)}</b>{esc(k)}</div>" for k, v in facts) + "</div>",
             "<h2>The loss falls</h2><p>Each job's loss, one value a step. Losses are part of the state that is committed to: "
             "nobody can show another curve for the same receipt.</p><div class=card>",
             loss_chart([(c["label"], c["colour"], c["losses"]) for c in story["curves"]]), "</div>",
             "<h2>A lie is narrowed to one number</h2>",
             f"<p>The second provider changed one number of one step. {esc(d['sentence'])}</p><div class=card>",
             zoom_chart(d["levels"]),
             f"<p>The provider claims <b class=lie>{esc(d['provider_value'])}</b>, the verifier holds "
             f"<b class=stone>{esc(d['challenger_value'])}</b>. The ledger recomputed that one block: {esc(d['verdict'])}.</p></div>",
             "<h2>Who paid whom</h2><div class=card>", payment_chart(story["payments"]), "</div><div class=card>",
             table(["account", "before, CRN", "after, CRN", "change"],
                   [(b["who"], crn(b["before"]), crn(b["after"]), ("+" if b["after"] >= b["before"] else "-") +
                     crn(abs(b["after"] - b["before"]))) for b in story["balances"]]),
             f"<p class=soft>{esc(story['conservation'])}</p></div>",
             "<h2>Receipts</h2><p>Each can be checked offline, with the genesis alone: "
             "<code>cairn-verify receipt FILE --genesis FILE</code>.</p><div class=card>"]
    for receipt in story["receipts"]:
        lines = "".join(f"<li>{esc(line)}</li>" for line in receipt["explanation"])
        parts.append(f"<details><summary>{esc(receipt['name'])} &#183; {receipt['bytes']:,} bytes</summary><ul>{lines}</ul>"
                     f"<pre>{esc(json.dumps(receipt['body'], indent=1))}</pre></details>")
    parts.append("</div><h2>The story, by the clock</h2><div class=card>")
    parts.append(table(["act", "seconds"], [(a["title"], f"{a['seconds']:.1f}") for a in story["acts"]]))
    return "".join(parts) + "</div></main></html>\n"
