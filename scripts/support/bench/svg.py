# SPDX-License-Identifier: BSD-3-Clause
"""Line plots as SVG, with nothing but the standard library."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 36, 48
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#444444", "#d35400", "#16a085")


def ticks(low, high):
    """Decades with 1, 2 and 5, as far as they lie inside."""
    found = []
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        found += [factor * 10 ** power for factor in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def plot(title, x_label, y_label, lines):
    """`lines`: [(name, [(x, y), ...])]; both axes are logarithmic."""
    xs = sorted({x for _, points in lines for x, _ in points})
    ys = [y for _, points in lines for _, y in points]
    y_low, y_high = min(ys) / 1.15, max(ys) * 1.15
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(x):
        span = math.log(xs[-1] / xs[0]) or 1
        return LEFT + (right - LEFT) * math.log(x / xs[0]) / span

    def down(y):
        return bottom - (bottom - TOP) * math.log(y / y_low) / math.log(y_high / y_low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>']
    for y in ticks(y_low, y_high):
        out.append(f'<path d="M{LEFT} {down(y):.1f}H{right}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in xs:
        out.append(f'<text x="{across(x):.1f}" y="{bottom + 18}" text-anchor="middle">{x}</text>')
    out.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="black"/>')
    out.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
               f'{escape(x_label)}</text>')
    out.append(f'<text transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)" '
               f'text-anchor="middle">{escape(y_label)}</text>')
    for index, (name, points) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        out += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.6" fill="{colour}"/>'
                for x, y in points]
        at = TOP + 6 + 18 * index
        out.append(f'<path d="M{right + 12} {at}h18" stroke="{colour}" stroke-width="1.8"/>'
                   f'<text x="{right + 36}" y="{at + 4}">{escape(name)}</text>')
    return "\n".join(out) + "\n</svg>\n"
