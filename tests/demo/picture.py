# SPDX-License-Identifier: GPL-2.0-only
"""Operations per second over time, a strip for each program (each with its own scale), with the upgrades marked, as an SVG."""

from html import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1200, 150, 20, 116, 44
STRIP, GAP = 74, 16
LINE = "#2f6f9f"
PHASES = {"drain": ("#f3d9a4", "shutdown: drain, commit, halt"), "restart": ("#f0b8a8", "down: exchange the software, start"),
          "resume": ("#cfe3c4", "until the last client is served again")}


def round_up(value):
    """The next of 1, 2, 5, 10, 20…"""
    step = 1
    while step < value:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def draw(series, upgrades, end_s, title):
    """series: name → list of (time_s, ops_per_s); upgrades: list of {label, note, phases: {name: (from_s, to_s)}}."""
    height = TOP + len(series) * (STRIP + GAP) + BOTTOM
    plot_w, plot_end = WIDTH - LEFT - RIGHT, height - BOTTOM - GAP

    def x(t):
        return LEFT + plot_w * t / max(end_s, 1e-9)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>']
    out += legend()
    for i, upgrade in enumerate(upgrades):
        row = TOP - 34 * (1 + i % 2)  # neighbours do not write over each other
        for name, (start, stop) in upgrade["phases"].items():
            out.append(f'<rect x="{x(start):.1f}" y="{TOP}" width="{max(x(stop) - x(start), 1):.1f}" height="{plot_end - TOP}" '
                       f'fill="{PHASES[name][0]}"><title>{escape(upgrade["label"])}: {name} {stop - start:.2f} s</title></rect>')
        at = x(min(start for start, _ in upgrade["phases"].values()))
        out.append(f'<text x="{at:.1f}" y="{row + 14}">{escape(upgrade["label"])}</text>'
                   f'<text x="{at:.1f}" y="{row + 28}" font-size="11" fill="#555555">{escape(upgrade["note"])}</text>')
    for i, (name, points) in enumerate(sorted(series.items())):
        out += strip(name, points, TOP + i * (STRIP + GAP) + GAP, x)
    step = round_up(end_s / 14)
    for t in range(0, int(end_s) + 1, step):
        out.append(f'<text x="{x(t):.1f}" y="{plot_end + 18}" text-anchor="middle">{t}</text>')
    out.append(f'<text x="{LEFT + plot_w / 2}" y="{plot_end + 36}" text-anchor="middle">seconds</text></svg>\n')
    return "\n".join(out)


def legend():
    at = LEFT + 330
    for colour, text in PHASES.values():
        yield f'<rect x="{at}" y="9" width="14" height="14" fill="{colour}"/><text x="{at + 20}" y="20">{escape(text)}</text>'
        at += 45 + 6.3 * len(text)


def strip(name, points, y, x):
    top = round_up(max((v for _, v in points), default=1))
    base = y + STRIP - GAP

    def at(v):
        return base - (base - y) * v / top

    line = " ".join(f"{x(t):.1f},{at(v):.1f}" for t, v in points)
    yield (f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}" stroke="#bbbbbb"/>'
           f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end" font-size="13">{escape(name)}</text>'
           f'<text x="{LEFT - 10}" y="{y + 30}" text-anchor="end" font-size="11" fill="#555555">up to {top} op/s</text>'
           f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.3"/>')
