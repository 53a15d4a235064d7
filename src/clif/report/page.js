(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = new Map(data.charts.map((chart) => [chart.name, chart]));
  const hidden = new Set();
  const plots = new Map();
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const COLOURS = 8;
  const DASHES = [[], [8, 4], [3, 3], [8, 3, 2, 3]];
  const MOST_MARKED = 20;
  let singles = false;

  // Colours of the theme, resolved by an element, since canvases know no variables.
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const faint = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
  const keep = (storage, key, value) => {
    try {
      window[storage].setItem(key, value);
    } catch {} // a browser may refuse to keep anything
  };

  const number = (value, digits) =>
    value === null ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const spread = ({ mean, std, n }, digits) => number(mean, digits) + (n > 1 ? ` ± ${number(std, digits)}` : "");

  function summary(runs, i) {
    const values = runs.map((run) => run.y[i]).filter((value) => value !== null);
    const n = values.length;
    if (n === 0) return { mean: null, std: 0, n };
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const std = n > 1 ? Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1)) : 0;
    return { mean, std, n };
  }

  function visible(chart) {
    return chart.lines
      .map((line) => ({ ...line, runs: line.runs.filter(({ run }) => !hidden.has(run)) }))
      .filter((line) => line.runs.length > 0)
      .map((line) => ({ ...line, at: chart.x.map((_, i) => summary(line.runs, i)) }));
  }

  function draw(box) {
    plots.get(box)?.plot?.destroy();
    box.replaceChildren();
    const chart = charts.get(box.dataset.chart);
    const lines = visible(chart);
    if (lines.length === 0) {
      box.append(Object.assign(document.createElement("p"), { className: "nothing", textContent: "All runs are hidden." }));
      plots.set(box, {});
      return;
    }
    const shape = chart.scatter ? scatter : chart.bars ? bars : curves;
    const { columns, series, bands, spread, places } = shape(chart, lines);
    const hooks = { setCursor: [() => point(box)], draw: spread ? [spread] : [] };
    const plot = new uPlot({ ...size(box), ...frame(chart), series, bands, hooks }, columns, box);
    const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    const spoken = Object.assign(document.createElement("div"), { className: "unseen", role: "status" });
    box.append(tip, spoken);
    plots.set(box, { plot, chart, lines, tip, spoken, places });
  }

  function curves(chart, lines) {
    const columns = [chart.x];
    const series = [{}];
    const bands = [];
    const add = (values, options) => columns.push(values) && series.push({ points: { show: false }, ...options }) - 1;
    for (const line of lines) {
      const stroke = colour(`g${line.group % COLOURS}`);
      const dash = DASHES[line.group % DASHES.length];
      if (line.reference) {
        add(line.at.map((one) => one.mean), { stroke, width: 1.5, dash: [2, 4] });
        continue;
      }
      if (line.at.some((one) => one.std > 0)) {
        const edge = (sign) => line.at.map((one) => (one.mean === null ? null : one.mean + sign * one.std));
        bands.push({ series: [add(edge(1), { width: 0 }), add(edge(-1), { width: 0 })], fill: faint(stroke, 0.18) });
      }
      if (singles) for (const run of line.runs) add(run.y, { stroke: faint(stroke, 0.6), width: 1 });
      const points = { show: chart.x.length <= MOST_MARKED, size: 7, stroke, fill: stroke };
      add(line.at.map((one) => one.mean), { stroke, width: 2.2, dash, points });
    }
    return { columns, series, bands };
  }

  // Bars of several groups stand at places of their own beside each tick.
  function bars(chart, lines) {
    const width = 0.8 / lines.length;
    const place = (i, nth) => chart.x[i] + (nth - (lines.length - 1) / 2) * width;
    const at = chart.x.flatMap((_, i) => lines.map((line, nth) => ({ x: place(i, nth), nth, one: line.at[i] })));
    const columns = [at.map(({ x }) => x), ...lines.map((_, nth) => at.map((bar) => (bar.nth === nth ? bar.one.mean : null)))];
    const paths = uPlot.paths.bars({ size: [0.9, 60] });
    const look = (line) => ({ stroke: colour(`g${line.group % COLOURS}`), fill: colour(`g${line.group % COLOURS}`), width: 0, paths, points: { show: false } });
    const spread = (plot) => {
      plot.ctx.save();
      plot.ctx.strokeStyle = colour("ink");
      plot.ctx.lineWidth = 1.5 * devicePixelRatio;
      plot.ctx.beginPath();
      for (const { x, one } of at) {
        if (!(one.std > 0)) continue;
        const [left, low, high] = [plot.valToPos(x, "x", true), plot.valToPos(one.mean - one.std, "y", true), plot.valToPos(one.mean + one.std, "y", true)];
        plot.ctx.moveTo(left, low);
        plot.ctx.lineTo(left, high);
      }
      plot.ctx.stroke();
      plot.ctx.restore();
    };
    return { columns, series: [{}, ...lines.map(look)], bands: [], spread };
  }

  // A point a group: its values at the two ticks are x and y.
  function scatter(chart, lines) {
    const whole = lines.filter((line) => line.at.every((one) => one.mean !== null));
    const places = whole.map((line) => ({ line, x: line.at[0].mean, y: line.at[1].mean }));
    if (singles) for (const line of whole) for (const { y } of line.runs) if (!y.includes(null)) places.push({ line, x: y[0], y: y[1], run: true });
    places.sort((a, b) => a.x - b.x);
    const columns = [places.map(({ x }) => x)];
    const series = [{}];
    const add = (line, run) => {
      columns.push(places.map((place) => (place.line === line && !!place.run === run ? place.y : null)));
      const stroke = colour(`g${line.group % COLOURS}`);
      const fill = run ? faint(stroke, 0.35) : stroke;
      series.push({ stroke, paths: () => null, points: { show: true, size: run ? 6 : 11, stroke: fill, fill } });
    };
    for (const line of whole) for (const run of singles ? [true, false] : [false]) add(line, run);
    const spread = (plot) => {
      plot.ctx.save();
      plot.ctx.lineWidth = 1.5 * devicePixelRatio;
      for (const { line, x, y, run } of places) {
        if (run) continue;
        plot.ctx.strokeStyle = colour(`g${line.group % COLOURS}`);
        plot.ctx.beginPath();
        for (const [dx, dy] of [[line.at[0].std, 0], [0, line.at[1].std]]) {
          plot.ctx.moveTo(plot.valToPos(x - dx, "x", true), plot.valToPos(y - dy, "y", true));
          plot.ctx.lineTo(plot.valToPos(x + dx, "x", true), plot.valToPos(y + dy, "y", true));
        }
        plot.ctx.stroke();
      }
      plot.ctx.restore();
    };
    return { columns, series, bands: [], spread, places };
  }

  // The range of an axis of points: all of them with their spread, and a margin.
  function around(chart, axis) {
    const all = chart.lines.map((line) => summary(line.runs, axis)).filter(({ mean }) => mean !== null);
    const values = [...all.flatMap(({ mean, std }) => [mean - std, mean + std]), ...chart.lines.flatMap((line) => line.runs.map(({ y }) => y[axis]))];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = 0.12 * (high - low) || 0.05 * Math.abs(high) || 1;
    return [low - margin, high + margin];
  }

  const size = (box) => {
    const width = Math.max(220, box.clientWidth);
    return { width, height: Math.round(Math.min(320, Math.max(250, width * 0.58))) };
  };

  function frame(chart) {
    const named = chart.ticks.length > 0 && !chart.scatter;
    const grid = { stroke: colour("grid"), width: 1 };
    const common = { stroke: colour("soft"), font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 20, ticks: grid };
    const ends = [chart.x[0], chart.x[chart.x.length - 1]];
    const margin = named ? 0.35 : 0;
    const top = Math.max(...chart.lines.flatMap((line) => chart.x.map((_, i) => summary(line.runs, i))).map(({ mean, std }) => mean + std));
    const x = {
      ...common,
      label: chart.xLabel,
      grid: { show: false },
      size: 30,
      incrs: chart.scatter ? undefined : [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000],
      space: named ? 10 + 7 * Math.max(...chart.places.map((place) => place.length)) : 40,
      values: named ? (_, splits) => splits.map((split) => chart.places[split] ?? "") : undefined,
    };
    return {
      scales: chart.scatter
        ? { y: { range: around(chart, 1) }, x: { time: false, range: around(chart, 0) } }
        : chart.bars
        ? { y: { range: [0, 1.08 * top] }, x: { time: false, range: [ends[0] - 0.55, ends[1] + 0.55] } }
        : { x: { time: false, range: (_, low, high) => (low === null ? ends : [low - (low === ends[0] ? margin : 0), high + (high === ends[1] ? margin : 0)]) } },
      axes: [x, { ...common, label: chart.yLabel, grid, size: 52 }],
      legend: { show: false },
      cursor: { y: false, points: { size: 9 }, drag: { x: !chart.bars && !chart.scatter, y: false } },
      padding: [10, 12, 0, 0],
    };
  }

  // What is pointed at, with the mouse or the arrow keys.
  function point(box, spoken = false) {
    const { plot, chart, lines, tip, spoken: status, places } = plots.get(box) ?? {};
    if (!tip) return;
    const nearest = plot.cursor.idx;
    tip.hidden = nearest === null || nearest === undefined;
    if (tip.hidden) return;
    const i = chart.bars ? Math.round(plot.data[0][nearest]) : nearest;
    const place = chart.ticks[i] ?? number(chart.x[i], 0);
    const title = Object.assign(document.createElement("b"), { textContent: places ? places[i].line.label : `${chart.xLabel} ${place}` });
    const rows = places
      ? chart.ticks.map((tick, axis) => [places[i].line, `${tick}: ${spread(places[i].line.at[axis], chart.digits)}`])
      : lines.filter((line) => line.at[i].mean !== null).map((line) => [line, `${line.label}: ${spread(line.at[i], chart.digits)}`]);
    tip.replaceChildren(title, ...rows.map(([line, text]) => {
      const row = document.createElement("span");
      const key = box.closest("figure").querySelector(`.key[data-group="${line.group}"] svg`);
      row.append(key.cloneNode(true), text);
      return row;
    }));
    const left = plot.bbox.left / devicePixelRatio + plot.valToPos(places ? places[i].x : chart.x[i], "x");
    const flip = left > box.clientWidth / 2;
    tip.style.left = flip ? "auto" : `${left + 14}px`;
    tip.style.right = flip ? `${box.clientWidth - left + 14}px` : "auto";
    tip.style.top = "14px";
    if (spoken) status.textContent = [title.textContent, ...rows.map(([, text]) => text)].join("; ");
  }

  function byKey(event) {
    const box = event.currentTarget;
    const { plot, chart, places } = plots.get(box) ?? {};
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!plot || !(event.key in steps || event.key === "Escape")) return;
    event.preventDefault();
    if (event.key === "Escape") return plot.setCursor({ left: -10, top: -10 });
    const last = (places ?? chart.x).length - 1;
    const nearest = plot.cursor.idx;
    const here = chart.bars && nearest !== null ? Math.round(plot.data[0][nearest]) : nearest;
    const now = here ?? (steps[event.key] > 0 ? -1 : last + 1);
    const next = Math.min(last, Math.max(0, now + steps[event.key]));
    plot.setCursor({ left: plot.valToPos(places ? places[next].x : chart.x[next], "x"), top: plot.over.clientHeight / 2 });
    point(box, true);
  }

  const redraw = () => plots.forEach((_, box) => box.clientWidth && draw(box));
  const watcher = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      const { plot } = plots.get(box) ?? {};
      if (!box.clientWidth) continue;
      if (!plots.has(box)) draw(box);
      else if (plot && plot.width !== size(box).width) plot.setSize(size(box));
    }
  });
  for (const box of all(".plot")) {
    box.addEventListener("keydown", byKey);
    box.addEventListener("blur", () => plots.get(box)?.plot?.setCursor({ left: -10, top: -10 }));
    watcher.observe(box);
  }

  // Tables sort by the values of a column.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text === "–" || text === "" ? null : text;
  };
  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  }
  function sort(table, heading) {
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const column = heading.cellIndex;
    const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    const sign = direction === "ascending" ? 1 : -1;
    keyed.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : sign * compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }
  for (const table of all("table"))
    for (const heading of all("thead th", table)) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading));
    }

  // Runs are hidden from charts and from the tables that have rows of them.
  const runBoxes = all("[data-run-box]");
  const kept = `clif-hidden ${data.title}`;
  function choose() {
    hidden.clear();
    runBoxes.filter((box) => !box.checked).forEach((box) => hidden.add(Number(box.dataset.runBox)));
    const gone = new Set();
    for (const box of all("[data-group-box]")) {
      const own = runBoxes.filter((run) => run.dataset.of === box.dataset.groupBox);
      const shown = own.filter((run) => run.checked).length;
      box.checked = shown > 0;
      box.indeterminate = shown > 0 && shown < own.length;
      if (shown === 0) gone.add(box.dataset.groupBox);
    }
    all("tr[data-group], tr[data-run]").forEach((row) => {
      row.hidden = row.dataset.run === undefined ? gone.has(row.dataset.group) : hidden.has(Number(row.dataset.run));
    });
    all(".key").forEach((key) => key.classList.toggle("off", gone.has(key.dataset.group)));
    document.getElementById("count").textContent = `${runBoxes.length - hidden.size} of ${runBoxes.length}`;
    keep("sessionStorage", kept, JSON.stringify([...hidden]));
    redraw();
  }
  for (const box of all("[data-group-box]"))
    box.addEventListener("change", () => {
      runBoxes.filter((run) => run.dataset.of === box.dataset.groupBox).forEach((run) => (run.checked = box.checked));
      choose();
    });
  runBoxes.forEach((box) => box.addEventListener("change", choose));
  document.getElementById("singles").addEventListener("change", (event) => {
    singles = event.target.checked;
    redraw();
  });
  document.getElementById("shown").hidden = false;

  // The theme is the system's until it is chosen.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const paint = () => {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
    redraw();
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    keep("localStorage", "clif-theme", theme);
    paint();
  });
  system.addEventListener("change", paint);
  paint();

  // A page of runs that go on loads itself anew, and keeps what was hidden.
  const live = document.querySelector(".live");
  if (live) {
    try {
      const before = new Set(JSON.parse(sessionStorage.getItem(kept) ?? "[]"));
      runBoxes.forEach((box) => (box.checked = !before.has(Number(box.dataset.runBox))));
    } catch {}
    const pause = document.getElementById("pause");
    let timer;
    const wait = () => (timer = setTimeout(() => location.reload(), 1000 * live.dataset.seconds));
    pause.hidden = false;
    pause.addEventListener("click", () => {
      const paused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", paused);
      paused ? clearTimeout(timer) : wait();
    });
    wait();
  }
  choose();
})();
