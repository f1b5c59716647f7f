// The chart of the overview, drawn from the table below it, which then folds away.
/* global uPlot */

const figure = document.querySelector("[data-chart]");
const numbers = document.querySelector("details.numbers");

// Each line has a dash of its own: colours alone tell nobody apart.
const lines = [
  { colour: "--main", dash: [] },
  { colour: "--wait", dash: [9, 4] },
  { colour: "--good", dash: [2, 3] },
  { colour: "--bad", dash: [9, 3, 2, 3] },
];

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// read takes the columns out of the table.
function read(table) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const columns = names.map(() => []);
  for (const row of table.tBodies[0].rows) {
    columns[0].push(Date.parse(row.querySelector("time").dateTime) / 1000);
    for (let i = 1; i < row.cells.length; i++) columns[i].push(Number(row.cells[i].textContent));
  }
  return { names, columns };
}

function draw(box, { names, columns }) {
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const series = lines.map((line, i) => ({
    label: names[i + 1], stroke: colour(line.colour), dash: line.dash, width: 2, points: { show: false },
  }));
  return new uPlot({
    width: box.clientWidth, height: 260,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    scales: { y: { range: (_, low, high) => [0, Math.max(4, high * 1.1)] } },
    legend: { markers: { width: 3, dash: (_, i) => ["", "solid", "dashed", "dotted", "double"][i] } },
    axes: [
      { ...axis, values: [[3600, "{HH}:00", null, null, null, null, null, null, 1]] },
      { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000, 10000000] },
    ],
    series: [{ label: "Hour", value: "{HH}:00" }, ...series],
  }, columns, box);
}

if (figure && numbers && globalThis.uPlot) {
  const box = figure.querySelector("[role=img]");
  const data = read(numbers.querySelector("table"));
  figure.hidden = false;
  numbers.open = false;
  let chart = draw(box, data);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    chart.destroy();
    chart = draw(box, data);
  });
  new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: 260 })).observe(box);
}
