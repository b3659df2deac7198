# SPDX-License-Identifier: GPL-2.0-only
"""Operations per second over time, with the upgrades marked, as an SVG."""

from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1200, 420, 70, 60, 40
COLOURS = ["#2f6f9f", "#c0632f", "#4f8f4f", "#8a5fa8", "#a89030", "#5f9ea0"]
PHASE_COLOURS = {"drain": "#f3d9a4", "restart": "#f0b8a8", "resume": "#cfe3c4"}


def _scale(top):
    """A round number at or above top, and a step that gives about five lines."""
    step = 1
    while top / step > 6:
        step *= 2 if str(step)[0] in "15" else 2.5
    return step * (int(top / step) + 1), step


def draw(series, phases, end_s, title):
    """series: name → list of (time_s, ops_per_s); phases: list of (name, label, from_s, to_s)."""
    top, step = _scale(max((v for points in series.values() for _, v in points), default=1))
    plot_w, plot_h = WIDTH - LEFT - 20, HEIGHT - BOTTOM - TOP

    def x(t):
        return LEFT + plot_w * t / max(end_s, 1e-9)

    def y(v):
        return TOP + plot_h * (1 - v / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>']
    for name, label, start, stop in phases:
        out.append(f'<rect x="{x(start):.1f}" y="{TOP}" width="{max(x(stop) - x(start), 1):.1f}" height="{plot_h}" '
                   f'fill="{PHASE_COLOURS.get(name, "#eeeeee")}"><title>{escape(label)}: {name} {stop - start:.2f} s</title></rect>')
    for i in range(int(top / step) + 1):
        v = i * step
        out.append(f'<line x1="{LEFT}" x2="{LEFT + plot_w}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>')
    for i in range(0, int(end_s) + 1, max(1, int(end_s / 12) or 1)):
        out.append(f'<text x="{x(i):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{i}</text>')
    out.append(f'<text x="{LEFT + plot_w / 2}" y="{HEIGHT - BOTTOM + 34}" text-anchor="middle">seconds</text>'
               f'<text x="16" y="{TOP + plot_h / 2}" transform="rotate(-90 16 {TOP + plot_h / 2})" text-anchor="middle">'
               'operations per second</text>')
    for i, (name, points) in enumerate(sorted(series.items())):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                   f'<text x="{LEFT + 10 + 170 * i}" y="{HEIGHT - 8}" fill="{colour}">{escape(name)}</text>')
    seen = set()
    for _, label, start, _ in phases:
        if label not in seen:
            seen.add(label)
            out.append(f'<text x="{x(start):.1f}" y="{TOP - 6}" font-size="11">{escape(label)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)
