// A small chart of the last hour: values as lines that stand until the next one, gaps where nothing is known.

import { h, number, svg } from "./dom.js";

const NARROWEST = 240,
  HEIGHT = 150,
  LEFT = 40,
  BOTTOM = 20,
  TOP = 8,
  RIGHT = 8;
export const HOUR_S = 3600;

// lines: [{name, style, rows: [[time, value, quality]]}]; as wide as its place, so that its texts keep their size.
export function chart(lines, unit, now, place) {
  const width = Math.max(place, NARROWEST);
  const since = now - HOUR_S;
  const values = lines.flatMap((line) => line.rows.map((row) => row[1])).filter((value) => typeof value === "number");
  if (!values.length) return h("p.hint.empty", {}, "Nothing recorded in the last hour yet.");
  const top = nice(Math.max(...values, 1));
  const x = (time) => LEFT + ((Math.max(time, since) - since) / HOUR_S) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - Math.max(value, 0) / top) * (HEIGHT - TOP - BOTTOM);
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    class: "chart",
    role: "img",
    "aria-label": words(lines, unit),
  });
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part);
    drawing.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: at, y2: at, class: "grid" }));
    drawing.append(svg("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, number(top * part)));
  }
  for (const minutes of [60, 45, 30, 15, 0]) {
    const at = x(now - minutes * 60);
    const anchor = minutes === 60 ? "start" : minutes === 0 ? "end" : "middle";
    drawing.append(svg("text", { x: at, y: HEIGHT - 5, "text-anchor": anchor }, minutes ? `-${minutes} min` : "now"));
  }
  for (const line of lines) {
    const drawn = path(line.rows, x, y, now);
    if (line.style === "measured")
      drawing.append(
        svg("path", {
          d: drawn.replaceAll(/M([\d.]+) [^M]*/g, (piece, from) => `${piece}V${y(0)}H${from}Z`),
          class: "area",
        }),
      );
    drawing.append(svg("path", { d: drawn, class: `line ${line.style}` }));
  }
  const legend = lines.map((line) => h(`li.${line.style}`, {}, h("span.stroke", { "aria-hidden": "true" }), line.name));
  return h("figure", {}, drawing, h("figcaption", {}, h("ul.legend", {}, legend, h("li.hint", {}, unit))));
}

function path(rows, x, y, now) {
  let drawn = "";
  let pen = false;
  for (const [time, value] of rows) {
    if (typeof value !== "number") {
      if (pen) drawn += `H${x(time).toFixed(1)}`;
      pen = false;
      continue;
    }
    drawn += pen ? `H${x(time).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  }
  return pen ? `${drawn}H${x(now).toFixed(1)}` : drawn || "M0 0";
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function words(lines, unit) {
  const last = lines.map((line) => {
    const row = line.rows.at(-1);
    return row && typeof row[1] === "number" ? `${line.name} ${number(row[1])} ${unit}` : `${line.name} not known`;
  });
  return `The last hour; now ${last.join(", ")}`;
}
